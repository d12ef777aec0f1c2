"""What fell due and when it was paid: sums that follow every change, and tell of a wrong one."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api import worker
from api.house import House
from api.operators import Role
from api.store import recovery
from api.verify import verify
from tests.support.database import Added, add_contract, add_plan, make_house
from tests.support.http_face import open_face
from tests.support.money import add_invoice, add_payment, move_clock

pytestmark = pytest.mark.anyio

NOW = datetime.fromisoformat("2026-06-10T22:30:00-03:00")


@pytest.fixture
async def house(database_url: str, tmp_path: Path) -> AsyncIterator[House]:
    made = await make_house(database_url, tmp_path, now=NOW)
    yield made
    await made.store.close()


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with open_face(house) as face:
        yield await face.client(Role.FINANCE)


@pytest.fixture
async def added(house: House) -> Added:
    return await add_contract(house, await add_plan(house))


async def fold(house: House) -> None:
    async with house.store.writing() as connection:
        await recovery.fold(connection, house.settings.zone)


async def told(house: House) -> dict[str, Any]:
    """All of it, by due date and, for what was paid, by days from it."""
    async with house.store.reading() as connection:
        zone = house.settings.zone
        found = await recovery.history(connection, date(2000, 1, 1), date(2100, 1, 1), zone)
        assert await recovery.differences(connection, zone) == []
    return {
        "due": {day.isoformat(): cents for day, cents in found.due_cents.items()},
        "paid": {
            (due_on.isoformat(), (paid_on - due_on).days): cents
            for (due_on, paid_on), cents in found.paid_cents.items()
        },
    }


@pytest.mark.parametrize("folded", [False, True])
async def test_every_change_is_followed(
    house: House, client: httpx.AsyncClient, added: Added, folded: bool
) -> None:
    async def post(path: str, **body: Any) -> Any:
        answer = await client.post(f"/api/v1/{path}", json=body)
        assert answer.is_success, answer.text
        if folded:
            await fold(house)
        return answer.json()

    first = await add_invoice(house, added, date(2026, 6, 10), 100_00)
    second = await add_invoice(house, added, date(2026, 7, 10), 100_00)
    # 22:30 in São Paulo is another day in UTC.
    payment = await add_payment(house, added, 100_00, "p-1", first)
    assert await told(house) == {
        "due": {"2026-06-10": 100_00, "2026-07-10": 100_00},
        "paid": {("2026-06-10", 0): 100_00},
    }
    # What is paid too much is credit; an invoice issued for it counts as paid when it was issued.
    await add_payment(house, added, 120_00, "p-2", second)
    third = await add_invoice(house, added, date(2026, 8, 10), 100_00)
    found = await told(house)
    assert found["paid"][("2026-07-10", -30)] == 100_00
    assert found["paid"][("2026-08-10", -61)] == 20_00
    # A chargeback opens the first again under a new due date, and takes its cohort along.
    await post(f"payments/{payment}/chargebacks", reference="cb-1", reason="contestado")
    found = await told(house)
    assert "2026-06-10" not in found["due"]
    assert sum(found["due"].values()) == 300_00
    assert sum(found["paid"].values()) == 120_00
    # A credit note makes less fall due; a void invoice never did.
    await post(f"invoices/{third}/credit-notes", amount_cents=30_00, reason="erro")
    assert (await told(house))["due"]["2026-08-10"] == 70_00
    await post(f"invoices/{third}/void", reason="erro")
    found = await told(house)
    assert "2026-08-10" not in found["due"]
    assert not [due_on for due_on, _ in found["paid"] if due_on == "2026-08-10"]
    await worker._prune(house)
    assert await told(house) == found
    async with house.store.reading() as connection:
        assert await connection.scalar(text("select count(*) from recovery_news")) == 0
    async with house.store.reading() as connection:
        assert await verify(house, connection) == []


async def test_verify_tells_of_a_sum_that_is_wrong(house: House, added: Added) -> None:
    number = await add_invoice(house, added, date(2026, 6, 10), 100_00)
    await add_payment(house, added, 40_00, "p-1", number)
    await fold(house)
    async with house.store.writing() as connection:
        await connection.execute(text("update due_sums set cents = cents + 1"))
        await connection.execute(text("delete from recovery_sums"))
    async with house.store.reading() as connection:
        assert await verify(house, connection) == [
            "the sums have 10001 cents due on 2026-06-10, the invoices have 10000",
            "the sums have 0 cents due on 2026-06-10 and paid on 2026-06-10,"
            " the allocations have 4000",
        ]


async def test_cohorts_days_of_sales_and_forecast_are_of_the_same_books(
    house: House, client: httpx.AsyncClient, added: Added
) -> None:
    """Of 300.00 due in June 100.00 is paid on the day, 100.00 ten days later, the rest never."""
    due_on = date(2026, 6, 10)
    numbers = [await add_invoice(house, added, due_on, 100_00) for _ in range(3)]
    await add_payment(house, added, 100_00, "p-1", numbers[0])
    await move_clock(house, NOW + timedelta(days=10))
    # With its fine of 2.00 and interest of 0.33.
    await add_payment(house, added, 102_33, "p-2", numbers[1])
    await move_clock(house, datetime.fromisoformat("2026-07-20T09:00:00-03:00"))
    await add_invoice(house, added, date(2026, 7, 30), 90_00)

    async def read(path: str) -> Any:
        answer = await client.get(f"/api/v1/delinquency/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    (june,) = (await read("cohorts"))["items"]
    assert (june["month"], june["due_cents"]) == ("2026-06-01", 300_00)
    shares = [(r["days"], r["paid_cents"], r["basis_points"]) for r in june["recovered"]]
    assert shares == [
        (0, 100_00, 3333),
        (15, 200_00, 6667),
        (30, 200_00, 6667),
        (60, None, None),
        (90, None, None),
    ]
    dso = await read("dso?days=60")
    # 190.00 unpaid over 300.00 in 60 days: 38.0 days, 20.0 of them late.
    assert (dso["unpaid_cents"], dso["late_cents"], dso["due_cents"]) == (190_00, 100_00, 300_00)
    assert (dso["dso_tenths"], dso["not_late_tenths"], dso["late_tenths"]) == (380, 180, 200)
    forecast = await read("forecast")
    assert forecast["months"] == ["2026-06-01"]
    expected = {i["from_on"]: i["cents"] for i in forecast["items"] if i["cents"]}
    # A third on the due date, half of the rest ten days later; of the old rest no more is known.
    assert expected == {"2026-07-30": 30_00, "2026-08-09": 30_00}
    weeks = (await read("forecast?by=week"))["items"]
    assert sum(week["cents"] for week in weeks) == 60_00
    assert (weeks[0]["from_on"], weeks[0]["until_on"]) == ("2026-07-20", "2026-07-27")
    assert weeks[-1]["until_on"] == "2026-09-18"
