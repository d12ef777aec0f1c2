"""A contract's life as data and as sentences, for `religa explain` and the timeline.

Sentences are data, by language and kind; what they say comes from the rows alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from babel.numbers import format_currency
from sqlalchemy.ext.asyncio import AsyncConnection

from api.house import House
from api.sentences import (
    CHOICES,
    FLAWS,
    LEVELS,
    REASONS,
    REMOVALS,
    SENTENCES,
    STAGES,
    Lang,
)
from api.store.history import contract_history
from api.store.listing import Item
from billing.access import Level


@dataclass(frozen=True, slots=True)
class TimelineItem:
    """One fact. `at` is business time; `data` what is known of it; `sentence` the same, told."""

    at: datetime
    kind: str
    data: Item
    sentence: str


async def timeline(
    house: House,
    connection: AsyncConnection,
    contract_id: int,
    lang: str = "pt-BR",
    *,
    amounts: bool = True,
) -> list[TimelineItem]:
    """The facts of a contract, oldest first; none for an unknown contract.

    Args:
        house: for the provider's zone and whether time is rehearsed.
        connection: where to read.
        contract_id: whose.
        lang: `pt-BR` or `en`; another is read as `pt-BR`.
        amounts: False leaves every amount out, for those who may not see debt.
    """
    history = await contract_history(connection, contract_id, house.settings.zone)
    decided = {row["generation"]: row["decided_at"] for row in history["decision"]}
    told: list[tuple[datetime, int, TimelineItem]] = []
    say = _Teller("en" if lang == "en" else "pt-BR", amounts)
    for rank, (kind, rows) in enumerate(history.items()):
        for row in rows:
            for at, event in _events(kind, row, decided if house.clock.manual else {}):
                data = row if amounts else _without_amounts(row)
                told.append((at, rank, TimelineItem(at, event, data, say(event, row))))
    return [item for _, _, item in sorted(told, key=lambda t: t[:2])]


def _events(
    kind: str, row: Item, rehearsed: Mapping[int, datetime]
) -> Iterator[tuple[datetime, str]]:
    """When a row says that something happened, and what."""
    match kind:
        case "contract":
            yield row["created_at"], "contract_created"
        case "invoice":
            yield row["issued_at"], "invoice_issued"
        case "notice":
            yield row["drawn_at"], "notice_drawn"
            if row["proven_at"] is not None:
                yield row["proven_at"], "notice_proven"
            if row["failed_at"] is not None:
                yield row["failed_at"], "notice_failed"
        case "attempt":
            # A notice fails when every channel has.
            state = "undelivered" if row["state"] == "failed" else row["state"]
            yield row["at"], f"notice_{state}"
        case "promise":
            yield row["made_at"], "promise_taken"
            if row["state"] in ("kept", "broken"):
                yield row["settled_at"], f"promise_{row['state']}"
        case "agreement":
            yield row["offered_at"], "agreement_offered"
            if row["accepted_at"] is not None:
                yield row["accepted_at"], "agreement_accepted"
            if row["settled_at"] is not None:
                yield row["settled_at"], f"agreement_{row['state']}"
        case "dispute":
            yield row["opened_at"], "dispute_opened"
            if row["answered_at"] is not None:
                yield row["answered_at"], f"dispute_{row['state']}"
        case "pause":
            yield row["asked_at"], "pause_taken"
            if row["ended_at"] is not None:
                yield row["ended_at"], "pause_ended"
        case "hold":
            exemption = row["kind"] == "exemption"
            yield row["placed_at"], "exemption_placed" if exemption else "hold_placed"
            if row["ended_at"] is not None:
                yield row["ended_at"], "hold_ended"
        case "move":
            yield row["written_at"], "contract_policy_changed"
        case "outage":
            yield row["started_at"], "outage_started"
            if row["ended_at"] is not None:
                yield row["ended_at"], "outage_ended"
        case "payment":
            yield row["cleared_at"], "payment_posted"
            if row["assigned_at"] is not None:
                yield row["assigned_at"], "payment_assigned"
        case "reversal":
            yield row["at"], f"payment_{_REVERSED[row['kind']]}"
        case "correction":
            yield row["at"], f"invoice_{_CORRECTED[row['kind']]}"
        case "change":
            yield row["at"], row["action"].replace(".", "_")
        case "decision":
            yield row["decided_at"], "access_decided"
        case "stage":
            yield row["entered_at"], f"stage_{row['stage']}"
            if row["left_at"] is not None:
                yield row["left_at"], "stage_left"
        case "action":
            # The wire keeps real time. In rehearsal an action is told where its decision stands.
            yield rehearsed.get(row["generation"], row["sent_wall"]), f"action_{row['outcome']}"
        case _:
            raise ValueError(f"no such kind of fact: {kind}")


_REVERSED = {"refund": "refunded", "chargeback": "charged_back", "returned": "returned"}
_CORRECTED = {
    "credit_note": "credited",
    "debit_note": "debited",
    "void": "voided",
    "write_off": "written_off",
}


def _without_amounts(row: Item) -> Item:
    """Without what anyone owes or paid. Ids stay: they say nothing of money."""
    return {
        name: value
        for name, value in row.items()
        if name != "cents" and not name.endswith("_cents")
    }


class _Teller:
    """Says an event in one language."""

    def __init__(self, lang: Lang, amounts: bool) -> None:
        self._lang = lang
        self._amounts = amounts

    def __call__(self, event: str, row: Item) -> str:
        full, bare = SENTENCES[self._lang][event]
        template = full if self._amounts else bare
        return template.format_map(_Words(self._lang, row))


class _Words(dict[str, str]):
    """The words that sentences may name, made from a row as they are asked for."""

    def __init__(self, lang: Lang, row: Item) -> None:
        super().__init__()
        self._lang = lang
        self._row = row

    def __missing__(self, key: str) -> str:
        made = _MADE.get(key)
        return made(self._lang, self._row) if made else self._shown(self._row[key])

    def _shown(self, value: Any) -> str:
        if isinstance(value, datetime):
            return value.strftime("%d/%m/%Y %H:%M" if self._lang == "pt-BR" else "%Y-%m-%d %H:%M")
        if isinstance(value, date):
            return value.strftime("%d/%m/%Y" if self._lang == "pt-BR" else "%Y-%m-%d")
        return str(value)


def money(lang: str, cents: int) -> str:
    """Cents as that language writes Brazilian reais.

    >>> money("en", 999090)
    'R$9,990.90'
    """
    locale = "pt_BR" if lang == "pt-BR" else "en_US"
    return str(format_currency(Decimal(cents) / 100, "BRL", locale=locale))


def _amount(lang: Lang, row: Item) -> str:
    return money(lang, row["amount_cents"])


def _counted(lang: Lang, row: Item) -> str:
    return money(lang, row["counted_cents"])


def _level(lang: Lang, row: Item) -> str:
    level: str = row["level"]
    if level == Level.FULL and row["quota_spent_until"] is not None:
        return LEVELS[lang]["quota"].format(until=_Words(lang, row)["quota_spent_until"])
    return LEVELS[lang].get(level, level)


def _reason(lang: Lang, row: Item) -> str:
    return reason_text(lang, row["reason"])


def _stage(lang: Lang, row: Item) -> str:
    return STAGES[lang][row["stage"]]


def _left(lang: Lang, row: Item) -> str:
    return reason_text(lang, row["left_reason"])


def _review(lang: Lang, row: Item) -> str:
    if row["review_on"] is None:
        return ""
    shown = _Words(lang, row)["review_on"]
    return f" Nova verificação em {shown}." if lang == "pt-BR" else f" Next look at {shown}."


def _covered(_lang: Lang, row: Item) -> str:
    return ", ".join(sorted(row["amounts_cents"], key=int))


def _covered_amount(lang: Lang, row: Item) -> str:
    return money(lang, sum(row["amounts_cents"].values()))


def _period(lang: Lang, row: Item) -> str:
    if row["billed_from"] is None or row["billed_from"] >= row["billed_until"]:
        return ""
    last = row["billed_until"] - timedelta(days=1)
    words = _Words(lang, row | {"last": last})
    if lang == "pt-BR":
        return f" pela cobrança mensal, dias {words['billed_from']} a {words['last']}"
    return f" by the month's billing, for {words['billed_from']} to {words['last']}"


def _flaws(lang: Lang, row: Item) -> str:
    return ", ".join(FLAWS[lang].get(flaw, flaw) for flaw in row["flaws"])


def _removal(lang: Lang, row: Item) -> str:
    why: str = row["removal"]
    return REMOVALS[lang].get(why, why)


def _penalty(lang: Lang, row: Item) -> str:
    if not row["penalty_cents"]:
        return ""
    shown = money(lang, row["penalty_cents"])
    return f" Multa por fidelidade: {shown}." if lang == "pt-BR" else f" Penalty: {shown}."


def _place(lang: Lang, row: Item) -> str:
    known = [row[name] for name in ("state", "city_code", "region") if row[name] is not None]
    if known:
        return ", ".join(known)
    return "onde está o cliente" if lang == "pt-BR" else "where the customer is"


def _class(lang: Lang, row: Item) -> str:
    if row["customer_class"] is None:
        return "nenhuma" if lang == "pt-BR" else "none"
    never = {"pt-BR": ", que não é cortada", "en": ", which is never cut"}[lang]
    return f"{row['customer_class']}{never if row['never_block'] else ''}"


def _because(lang: Lang, row: Item) -> str:
    return CHOICES[lang][row["because"]]


def _took(lang: Lang, row: Item) -> str:
    if row["answered_wall"] is None:
        return ""
    ms = round((row["answered_wall"] - row["sent_wall"]).total_seconds() * 1000)
    return f" em {ms} ms" if lang == "pt-BR" else f" in {ms} ms"


def _cause(lang: Lang, row: Item) -> str:
    if row["error_cause"] is None:
        return ""
    return f" (Error-Cause {row['error_cause']})"


def _sent(lang: Lang, row: Item) -> str:
    sent = {"coa": "CoA", "disconnect": "Disconnect"}[row["kind"]]
    why = REASONS[lang].get(row["reason"])
    return f"{sent} ({why})" if why is not None else sent


_MADE: dict[str, Callable[[Lang, Item], str]] = {
    "amount": _amount,
    "counted": _counted,
    "level_name": _level,
    "reason_text": _reason,
    "stage_name": _stage,
    "left_text": _left,
    "review": _review,
    "period": _period,
    "flaw_names": _flaws,
    "penalty": _penalty,
    "removal_name": _removal,
    "covered": _covered,
    "covered_amount": _covered_amount,
    "place": _place,
    "class_name": _class,
    "because_text": _because,
    "took": _took,
    "cause": _cause,
    "sent": _sent,
}


def reason_text(lang: str, code: str) -> str:
    """A verdict's reason for people; a code without a text is shown as it is."""
    return REASONS["en" if lang == "en" else "pt-BR"].get(code, code)
