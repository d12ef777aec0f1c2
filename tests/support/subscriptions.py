"""Subscriptions for tests: dates as text, the plan of the worked examples."""

from dataclasses import replace
from datetime import date
from typing import Any

from billing.access import Level
from billing.cycle import DueDay
from billing.subscription import Subscription, Suspension
from billing.tariff import Tariff, TariffPeriod, plain


def day(text: str) -> date:
    return date.fromisoformat(text)


def period(from_on: str, cents: int, plan: str = "") -> TariffPeriod:
    return TariffPeriod(day(from_on), plain(plan or f"Plano {cents}", cents))


def subscription(
    started_on: str = "2026-08-10",
    due_day: int = 10,
    cents: int = 99_90,
    *,
    tariff: Tariff | None = None,
    billed_until: str | None = None,
    **changes: Any,
) -> Subscription:
    """A contract in arrears at one price since it began, nothing of it billed yet."""
    start = day(started_on)
    until = day(billed_until) if billed_until is not None else start
    usual = Subscription(
        started_on=start,
        due_days=(DueDay(start, due_day),),
        tariffs=(TariffPeriod(start, tariff or plain("Fibra 300", cents)),),
        billed_until=until,
        credited_until=until,
    )
    return replace(usual, **changes)


def out(from_on: str, until_on: str, level: Level = Level.WALLED) -> Suspension:
    return Suspension(day(from_on), day(until_on), level)
