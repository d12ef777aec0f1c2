"""Accounts, policies and instants for tests of the money core, in one line each."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from billing.access import Level, Rates
from billing.account import Account, Contract, Desk, Payment
from billing.calendar import brazil
from billing.events import AccessDecided, Fact
from billing.invoice import Invoice, Line
from billing.policy import Policy, parse

ZONE = ZoneInfo("America/Sao_Paulo")
CALENDAR = brazil(range(2017, 2033))
RATES = Rates(100_000_000, 50_000_000, 2_000_000, 1_000_000)
# anatel-765 with its optional stage of reduced speed.
STAGED = [
    {"level": "reduced", "anchor": "maturity", "after_days": 0},
    {"level": "walled", "anchor": "reduced", "after_days": 15},
]


def at(text: str) -> datetime:
    """A local instant, as in `2026-09-21 08:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def day(text: str) -> date:
    return date.fromisoformat(text)


def policy(**document: object) -> Policy:
    """`anatel-765` with some keys of its document changed."""
    return parse("anatel-765", 1, document)


def invoice(
    number: int = 1, due: str = "2026-09-01", cents: int = 99_90, contract_id: int = 1
) -> Invoice:
    return Invoice(number, contract_id, day(due), at("2026-08-01 09:00"), (Line("Plano", cents),))


def account(contracts: int = 1, credit_cents: int = 0) -> Account:
    since = at("2026-01-01 00:00")
    access = RATES.at(Level.FULL)
    return Account(
        7,
        credit_cents,
        tuple(
            Contract(number, "anatel-765", RATES, access, 1, "no_debt", since)
            for number in range(1, contracts + 1)
        ),
    )


def desk(now: str | datetime, rules: Policy | None = None) -> Desk:
    """A desk at a local instant, with one policy."""
    rules = rules or policy()
    instant = at(now) if isinstance(now, str) else now
    return Desk({rules.name: rules}, CALENDAR, instant)


def payment(
    cents: int,
    paid: str | datetime,
    invoice_id: int | None = None,
    number: int = 1,
    key: str = "",
) -> Payment:
    instant = at(paid) if isinstance(paid, str) else paid
    return Payment(
        id=number,
        provider="pix",
        external_id=key or f"e2e-{number}",
        amount_cents=cents,
        method="pix",
        reference="",
        paid_at=instant.astimezone(UTC),
        cleared_at=instant.astimezone(UTC),
        invoice_id=invoice_id,
    )


def decided(facts: Sequence[Fact]) -> list[AccessDecided]:
    return [fact for fact in facts if isinstance(fact, AccessDecided)]
