"""What an overdue notice says: the five items that the law asks for, in the customer's language.

Source: RGC 2023 (Anatel resolution 765/2023) articles 70 and 71: reasons; rules and time limits of
suspension and rescission; amount and reference month; credit bureaus after rescission; time limit
for restoring. The document is masked, because a mailbox is read by others too (LGPD).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from billing.access import Level
from billing.law import BOUNDS, Law
from billing.policy import Policy
from billing.stage import Stage

Language = Literal["pt_BR", "en"]

# The law's own limit, which no policy changes.
RESTORE_WITHIN_DAYS = 1


@dataclass(frozen=True, slots=True)
class OwedInvoice:
    """One line of the notice. `due_cents` is what settles it today, charges included."""

    invoice_id: int
    contract_id: int
    due_on: date
    unpaid_cents: int
    due_cents: int
    copy_and_paste: str | None


@dataclass(frozen=True, slots=True)
class Deadline:
    """The earliest day on which a level may be entered."""

    level: Level
    on: date


@dataclass(frozen=True, slots=True)
class Letter:
    """All that the notice says. `written_on` is the local day it goes out.

    `rescission_after_days` count from the suspension.
    """

    notice_id: int
    provider: str
    name: str
    document: str
    written_on: date
    notice_days: int
    deadlines: tuple[Deadline, ...]
    invoices: tuple[OwedInvoice, ...]
    rescission_after_days: int = BOUNDS[Law.ANATEL_765].rescind_days

    @property
    def rescission_on(self) -> date | None:
        """So many days after the first suspension, which is what the law counts from."""
        suspended = (d.on for d in self.deadlines if d.level.severity >= Level.WALLED.severity)
        first = min(suspended, default=None)
        return None if first is None else first + timedelta(days=self.rescission_after_days)

    @property
    def total_cents(self) -> int:
        return sum(invoice.due_cents for invoice in self.invoices)


@dataclass(frozen=True, slots=True)
class Wording:
    """A letter as text: the same content twice."""

    subject: str
    plain: str
    html: str


def deadlines(policy: Policy, proven_on: date) -> tuple[Deadline, ...]:
    """When each step of the line may begin at the earliest, with the notice proven on a day."""
    days: dict[str, date] = {"maturity": proven_on + timedelta(days=policy.notice_days)}
    for step in policy.steps:
        days[step.stage] = days[step.anchor] + timedelta(days=step.after_days)
    return tuple(
        Deadline(step.stage.level, days[step.stage])
        for step in policy.steps
        if step.stage.is_of_line
    )


def rescission_days(policy: Policy) -> int:
    """Days from the suspension to the contract's end: the policy's, else the law's."""
    offset_days: dict[str, int] = {"maturity": 0}
    for step in policy.steps:
        offset_days[step.stage] = offset_days[step.anchor] + step.after_days
    suspended = [offset_days[step.stage] for step in policy.steps if step.stage.suspends]
    if suspended and Stage.RESCIND in offset_days:
        return offset_days[Stage.RESCIND] - min(suspended)
    return BOUNDS.get(policy.law, BOUNDS[Law.ANATEL_765]).rescind_days


def soonest(policies: Sequence[Policy], proven_on: date) -> Policy:
    """Of a payer's policies the one that cuts first: a notice may be early, never late."""
    return min(
        policies,
        key=lambda policy: min(
            (deadline.on for deadline in deadlines(policy, proven_on)), default=date.max
        ),
    )


def render(letter: Letter, language: Language = "pt_BR") -> Wording:
    """Put the letter into words. Whatever a subscriber typed stays on one line, and is escaped."""
    values = {
        "letter": letter,
        "provider": one_line(letter.provider),
        "name": one_line(letter.name),
        "money": _money_pt if language == "pt_BR" else _money_en,
        "day": _day_pt if language == "pt_BR" else date.isoformat,
        "restore_within_days": RESTORE_WITHIN_DAYS,
        "rescission_after_days": letter.rescission_after_days,
    }
    subject, text, html = (
        _TEMPLATES.get_template(f"notice.{language}.{part}.j2").render(values)
        for part in ("subject", "txt", "html")
    )
    return Wording(one_line(subject), text, html)


def one_line(text: str) -> str:
    r"""Text without control characters or line breaks.

    >>> one_line("Ana\r\nBcc: x")
    'Ana Bcc: x'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _money_pt(cents: int) -> str:
    whole = f"{cents // 100:,}".replace(",", ".")
    return f"R$ {whole},{cents % 100:02d}"


def _money_en(cents: int) -> str:
    return f"R$ {cents // 100:,}.{cents % 100:02d}"


def _day_pt(day: date) -> str:
    return f"{day:%d/%m/%Y}"


_TEMPLATES = Environment(
    loader=PackageLoader("api", "templates"),
    autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
