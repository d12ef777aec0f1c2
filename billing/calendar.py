"""Which days banks work and on which days, at which hours, a cut may start."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays of the customer's place and the days on which banks are closed."""

    holidays: frozenset[date]
    bank_closed: frozenset[date]
