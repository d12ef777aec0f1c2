"""Importing CSV: all rows or none, and every fault with its line, column and reason."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Table, func, select

from api import importer
from api.csv_files import ImportRefused, ImportReport
from api.house import House
from api.store.customer_tables import contracts, logins, nases, plans, subscribers
from api.store.network_tables import grant_changes
from api.store.staff_tables import audit_log
from tests.support.database import add_contract, add_plan

PLANS = (
    "name,down_bps,up_bps,reduced_down_bps,reduced_up_bps,price_cents,ipv4_pool,ipv6_pool,"
    "simultaneous_use"
)
NASES = "name,address,secret,dialect,coa_port,require_message_authenticator"
SUBSCRIBERS = (
    "name,document,email,phone,plan,due_day,username,password,mac,static_ipv4,delegated_ipv6"
)
# Valid check digits of made-up people and companies.
ANA, BOB, ACME = "123.456.789-09", "987.654.321-00", "12.ABC.345/01DE-35"


async def _import(house: House, kind: str, path: Path, *, dry_run: bool = False) -> ImportReport:
    work = {
        "plans": importer.import_plans,
        "nas": importer.import_nas,
        "subscribers": importer.import_subscribers,
    }[kind]
    told: list[tuple[int, int]] = []
    report = await work(
        *(house.store, house.secrets, house.clock, path, dry_run),
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == sorted(told)
    assert all(done <= total for done, total in told)
    return report


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(*lines: str) -> Path:
        path = tmp_path / "in.csv"
        path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")
        return path

    return _write


async def _all(house: House, table: Table) -> list[dict[str, object]]:
    async with house.store.reading() as connection:
        rows = await connection.execute(select(table).order_by(*table.primary_key.columns))
        return [dict(row._mapping) for row in rows]


async def _count(house: House, table: Table) -> int | None:
    async with house.store.reading() as connection:
        return await connection.scalar(select(func.count()).select_from(table))


def _said(report: ImportReport) -> list[str]:
    return [f"{found.line} {found.column}: {found.reason}" for found in report.problems]


@pytest.mark.anyio
async def test_plans_come_in_as_written(house: House, write: Write) -> None:
    path = write(PLANS, "100 Mega,100000000,50000000,2000000,1000000,9990,pool-a,,", "")
    assert await _import(house, "plans", path) == ImportReport(1, ())
    (plan,) = await _all(house, plans)
    del plan["id"]
    assert plan == {
        "name": "100 Mega",
        "down_bps": 100_000_000,
        "up_bps": 50_000_000,
        "reduced_down_bps": 2_000_000,
        "reduced_up_bps": 1_000_000,
        "price_cents": 9990,
        "ipv4_pool": "pool-a",
        "ipv6_pool": None,
        "simultaneous_use": 1,
        "simultaneous_policy": "reject",
        "quota_octets": None,
        "quota_down_bps": None,
        "quota_up_bps": None,
        "withdrawn_on": None,
    }


@pytest.mark.anyio
async def test_plans_may_say_what_holds_their_sessions(house: House, write: Write) -> None:
    path = write(
        f"{PLANS},simultaneous_policy,quota_octets,quota_down_bps,quota_up_bps",
        "a,100,50,1,1,0,,,2,drop_oldest,1000000000,10,5",
        "b,100,50,1,1,0,,,,,,,",
    )
    assert await _import(house, "plans", path) == ImportReport(2, ())
    a, b = await _all(house, plans)
    names = ("simultaneous_policy", "quota_octets", "quota_down_bps", "quota_up_bps")
    assert [a[name] for name in names] == ["drop_oldest", 1_000_000_000, 10, 5]
    assert [b[name] for name in names] == ["reject", None, None, None]


@pytest.mark.anyio
async def test_a_wrong_hold_on_sessions_is_named(house: House, write: Write) -> None:
    path = write(
        f"{PLANS},simultaneous_policy,quota_octets,quota_down_bps,quota_up_bps",
        "a,100,50,1,1,0,,,1,kill,,,",
        "b,100,50,1,1,0,,,1,,1000,10,",
        "c,100,50,1,1,0,,,1,,1000,101,50",
        "d,100,50,1,1,0,,,1,,0,10,51",
    )
    short = "is empty; a quota needs quota_octets, quota_down_bps, quota_up_bps"
    assert _said(await _import(house, "plans", path)) == [
        "2 simultaneous_policy: must be reject, drop_oldest or allow, not 'kill'",
        f"3 quota_up_bps: {short}",
        "4 quota_down_bps: must be a whole number from 1 to 100, not '101'",
        "5 quota_octets: must be a whole number from 1 to 1000000000000000000, not '0'",
        "5 quota_up_bps: must be a whole number from 1 to 50, not '51'",
    ]
    assert await _count(house, plans) == 0


@pytest.mark.anyio
async def test_nases_may_say_how_they_count(house: House, write: Write) -> None:
    header = f"{NASES},wraps_at_4_gib,input_is_upload"
    good = write(header, "a,10.0.0.1,s,mikrotik,,,yes,no", "b,10.0.0.2,s,mikrotik,,,,")
    assert await _import(house, "nas", good) == ImportReport(2, ())
    told = [(row["wraps_at_4_gib"], row["input_is_upload"]) for row in await _all(house, nases)]
    assert told == [(True, False), (False, True)]
    bad = write(header, "c,10.0.0.3,s,mikrotik,,,true,")
    assert _said(await _import(house, "nas", bad)) == [
        "2 wraps_at_4_gib: must be yes or no, not 'true'"
    ]


@pytest.mark.anyio
async def test_bad_plans_are_all_named_and_none_imported(house: House, write: Write) -> None:
    await add_plan(house, "taken")
    path = write(
        PLANS,
        "good,10,10,1,1,0,,,1",
        "taken,10,10,1,1,0,,,1",
        "good,10,10,1,1,0,,,1",
        ",ten,10,1,1,-5,,,0",
        "soft,10,10,11,1,0,,,1",
        "short,10",
    )
    report = await _import(house, "plans", path)
    assert _said(report) == [
        "3 name: is in the database already",
        "4 name: is the same as in line 2",
        "5 down_bps: must be a whole number from 1 to 10000000000000, not 'ten'",
        "5 name: is empty",
        "5 price_cents: must be a whole number from 0 to 1000000000, not '-5'",
        "5 simultaneous_use: must be a whole number from 1 to 1000, not '0'",
        "6 reduced_down_bps: must be a whole number from 1 to 10, not '11'",
        "7 (row): has 2 fields, the header has 9",
    ]
    assert await _count(house, plans) == 1


@pytest.mark.anyio
async def test_nases_come_in_with_their_secrets_sealed(house: House, write: Write) -> None:
    path = write(
        NASES,
        "bng-1,10.0.0.1,s3cret,mikrotik,,",
        "bng-2,2001:db8::/64,other,accel_ppp,1700,auto",
    )
    assert await _import(house, "nas", path) == ImportReport(2, ())
    first, second = await _all(house, nases)
    assert (first["coa_port"], first["require_message_authenticator"]) == (3799, "yes")
    assert (second["coa_port"], second["require_message_authenticator"]) == (1700, "auto")
    assert (str(first["address"]), str(second["address"])) == ("10.0.0.1/32", "2001:db8::/64")
    sealed = first["secret"]
    assert isinstance(sealed, bytes)
    assert house.secrets.open("nases", "bng-1", "secret", sealed) == b"s3cret"


@pytest.mark.anyio
async def test_bad_nases_are_all_named(house: House, write: Write) -> None:
    path = write(
        NASES,
        "a,10.0.0.0/8,s,mikrotik,3799,yes",
        "a,10.0.0.0/8,s,mikrotik,3799,yes",
        "b,10.0.0.1/8,,nobody,0,maybe",
    )
    said = _said(await _import(house, "nas", path))
    assert said[:2] == ["3 address: is the same as in line 2", "3 name: is the same as in line 2"]
    assert said[2].startswith("4 address: '10.0.0.1/8' is no IP address and no network")
    assert said[3].startswith("4 coa_port: must be a whole number from 1 to 65535")
    assert said[4].startswith("4 dialect: unknown dialect 'nobody'; known are accel_ppp")
    assert said[5] == "4 require_message_authenticator: must be yes, no or auto, not 'maybe'"
    assert said[6] == "4 secret: is empty"
    assert await _count(house, nases) == 0


@pytest.mark.anyio
async def test_an_address_that_is_stored_is_not_imported_again(house: House, write: Write) -> None:
    await _import(house, "nas", write(NASES, "a,10.0.0.0/8,s,mikrotik,3799,yes"))
    again = await _import(house, "nas", write(NASES, "b,10.0.0.0/8,s,mikrotik,3799,yes"))
    assert _said(again) == ["2 address: is in the database already"]


@pytest.mark.anyio
async def test_subscribers_come_in_whole(house: House, write: Write) -> None:
    await add_plan(house, "100 Mega")
    path = write(
        SUBSCRIBERS,
        f'"Ana ""A"" Silva",{ANA},ana@example.invalid,+55 11 99999-0000,100 Mega,31,ana,"p,w",'
        "0a-1b-2c-3d-4e-5f,100.64.0.7,2001:db8:1::/56",
        f"Acme,{ACME},,,100 Mega,1,acme@isp,pw,,,",
    )
    assert await _import(house, "subscribers", path) == ImportReport(2, ())
    ana, acme = await _all(house, subscribers)
    assert (ana["name"], ana["document"], ana["email"]) == (
        *('Ana "A" Silva', "12345678909"),
        "ana@example.invalid",
    )
    assert (acme["document"], acme["email"], acme["phone"]) == ("12ABC34501DE35", None, None)
    first, _ = await _all(house, contracts)
    assert (first["subscriber_id"], first["due_day"], first["policy"], first["level"]) == (
        *(ana["id"], 31),
        *("anatel-765", "full"),
    )
    login, _ = await _all(house, logins)
    assert (login["contract_id"], login["username"], login["mac"]) == (
        *(first["id"], "ana"),
        "0A:1B:2C:3D:4E:5F",
    )
    assert (str(login["static_ipv4"]), str(login["delegated_ipv6"])) == (
        "100.64.0.7",
        "2001:db8:1::/56",
    )
    sealed = login["password"]
    assert isinstance(sealed, bytes)
    assert house.secrets.open("logins", "ana", "password", sealed) == b"p,w"
    changes = await _all(house, grant_changes)
    assert [row["subject"] for row in changes] == ["login", "login"]
    (logged,) = await _all(house, audit_log)
    assert (logged["action"], logged["data"]) == (
        "subscribers.imported",
        {
            "subscribers": 2,
            "contracts": 2,
            "file": "in.csv",
            "sha256": sha256(path.read_bytes()).hexdigest(),
        },
    )


@pytest.mark.anyio
async def test_rows_of_one_person_are_contracts_of_one_subscriber(
    house: House, write: Write
) -> None:
    await add_plan(house, "p")
    await _import(
        house,
        "subscribers",
        write(
            SUBSCRIBERS,
            f"Ana,{ANA},,,p,1,home,pw,,,",
            f"Ana,{ANA},,,p,1,shop,pw,,,",
        ),
    )
    # And so is a row in a later file.
    await _import(house, "subscribers", write(SUBSCRIBERS, f"Ana,{ANA},,,p,1,farm,pw,,,"))
    assert await _count(house, subscribers) == 1
    assert await _count(house, contracts) == 3
    # New ids go on after the imported ones.
    added = await add_contract(house, 1)
    assert added.contract_id == 4


@pytest.mark.anyio
async def test_bad_subscribers_are_all_named_and_none_imported(house: House, write: Write) -> None:
    await add_plan(house, "p")
    good = f"Ana,{ANA},ana@example.invalid,,p,1,ana,pw,,10.0.0.1,2001:db8::/56"
    await _import(house, "subscribers", write(SUBSCRIBERS, good))
    path = write(
        SUBSCRIBERS,
        f"Bob,{BOB},,,p,1,bob,pw,,,",
        f"Robert,{BOB},,,p,1,bob,pw,,,",
        f"Ana Maria,{ANA},ana@example.invalid,,p,1,ana,pw,,10.0.0.1,2001:db8::/56",
        "X,111.111.111-11,nobody,12,none,0,a b,,zz,10.0.0.256,2001:db8::1/56",
        f"Y\t,{ACME},,,p,32,{'y' * 65},pw,,,",
    )
    said = _said(await _import(house, "subscribers", path))
    expected = [
        "3 document: is that of line 2, with another name, email or phone",
        "3 username: is the same as in line 2",
        "4 delegated_ipv6: is in the database already",
        "4 document: is in the database already, with another name, email or phone",
        "4 static_ipv4: is in the database already",
        "4 username: is in the database already",
        "5 delegated_ipv6: '2001:db8::1/56' is no IPv6 prefix, as 2001:db8:1::/56",
        "5 document: a CPF does not repeat one character; ask for the real one",
        "5 due_day: must be a whole number from 1 to 31, not '0'",
        "5 email: 'nobody' is no e-mail address",
        "5 mac: 'zz' is no MAC address, as 0A:1B:2C:3D:4E:5F",
        "5 password: is empty",
        "5 phone: '12' is no phone number",
        "5 plan: there is no plan 'none'; import plans first",
        "5 static_ipv4: '10.0.0.256' is no IPv4 address",
        "5 username: may have letters, digits and . _ @ - only",
        "6 due_day: must be a whole number from 1 to 31, not '32'",
        "6 username: is longer than 64 characters",
        "6 username: may have letters, digits and . _ @ - only",
    ]
    assert said == expected
    assert await _count(house, subscribers) == 1
    assert await _count(house, logins) == 1


@pytest.mark.anyio
async def test_a_dry_run_writes_nothing(house: House, write: Write) -> None:
    await add_plan(house, "p")
    path = write(SUBSCRIBERS, f"Ana,{ANA},,,p,1,ana,pw,,,")
    assert await _import(house, "subscribers", path, dry_run=True) == ImportReport(1, ())
    assert await _count(house, subscribers) == 0
    assert await _count(house, audit_log) == 0


@pytest.mark.anyio
async def test_a_record_over_several_lines_is_named_by_its_first(
    house: House, write: Write
) -> None:
    path = write(PLANS, '"two', 'lines",10,10,1,1,0,,,1', "bad,0,10,1,1,0,,,1")
    said = _said(await _import(house, "plans", path))
    assert said == [
        "2 name: has a control character",
        "4 down_bps: must be a whole number from 1 to 10000000000000, not '0'",
    ]


@pytest.mark.anyio
async def test_a_byte_order_mark_is_passed_over(house: House, tmp_path: Path) -> None:
    path = tmp_path / "bom.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f"{PLANS}\np,10,10,1,1,0,,,1\n".encode())
    assert await _import(house, "plans", path) == ImportReport(1, ())


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "the header lacks name, down_bps"),
        (b"name,price\n", "lacks down_bps.* and has unknown 'price'"),
        (PLANS.encode() + b",name\n", "names a column twice"),
        (PLANS.encode() + b"\nS\xe3o Paulo,1,1,1,1,1,,,1\n", "line 2: not UTF-8; save the file"),
        (PLANS.encode() + b'\n"open,1,1,1,1,1,,,1\n', "line 2: not CSV"),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused(
    house: House, tmp_path: Path, octets: bytes, said: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(octets)
    with pytest.raises(ImportRefused, match=said):
        await _import(house, "plans", path)


@pytest.mark.anyio
async def test_a_file_that_is_not_there_is_refused(house: House, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"cannot read .*none\.csv"):
        await _import(house, "plans", tmp_path / "none.csv")
