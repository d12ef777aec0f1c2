"""What happens to one contract: dated events, in the order of the days."""

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class PlanChanged:
    """Counts from the first instant of the day (rule 3)."""

    on: date
    price: int


@dataclass(frozen=True, slots=True)
class DueDayChanged:
    """Asked on a day; takes effect when the running cycle ends (rule 4)."""

    on: date
    due_day: int


@dataclass(frozen=True, slots=True)
class Paid:
    """Money of its own date, for the invoice due on `bill` or for the oldest."""

    on: date
    cents: int
    bill: date | None = None


@dataclass(frozen=True, slots=True)
class Refunded:
    """Credit that went back to the customer."""

    on: date
    cents: int


@dataclass(frozen=True, slots=True)
class ChargedBack:
    """The whole of the payment with that number (from 0, in the order of the life)."""

    on: date
    payment: int


@dataclass(frozen=True, slots=True)
class Agreed:
    """Every open invoice is renegotiated into instalments; the first falls due from `first` on."""

    on: date
    instalments: int
    first: date
    due_day: int
    down: int = 0
    off_charges: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class WrittenOff:
    """Every open invoice goes to the losses."""

    on: date


@dataclass(frozen=True, slots=True)
class Charged:
    """A line by hand on the next invoice."""

    on: date
    cents: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The day is the last one of the contract."""

    on: date


Event = (
    PlanChanged
    | DueDayChanged
    | Paid
    | Refunded
    | ChargedBack
    | Agreed
    | WrittenOff
    | Charged
    | Ended
)


@dataclass(frozen=True, slots=True)
class Life:
    """One contract billed in arrears, whose only contract this customer has.

    Attributes:
        activated_on: its first day.
        due_day: the day of the month on which invoices fall due at first.
        price: a month's price at first, in cents.
        offers: conditional discounts: Fractions of the price, or cents.
        events: what happened, in order.
        cuts: (cut at, restored at) as local instants, for rule 8.
        zone: the provider's.
        issue_days: how long before the due date an invoice is issued.
    """

    activated_on: date
    due_day: int
    price: int
    offers: tuple[Fraction | int, ...] = ()
    events: tuple[Event, ...] = ()
    cuts: tuple[tuple[datetime, datetime], ...] = ()
    zone: ZoneInfo = field(default=ZoneInfo("America/Sao_Paulo"))
    issue_days: int = 10
