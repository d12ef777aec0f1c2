"""Double entry in integer cents, append only. A correction is a new entry.

Debits are positive, credits negative; the postings of an entry sum to zero (invariant M1).
Accounts are named by what they hold: `receivable:{contract_id}`, `cash:{provider}`,
`revenue:service`, `revenue:fine`, `revenue:interest`, `credit:{subscriber_id}` (a liability: what a
customer paid ahead), `suspense` (money that nobody could be credited with yet).
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Posting:
    """`cents` to one ledger account: positive debits it, negative credits it, never zero."""

    account: str
    cents: int

    def __post_init__(self) -> None:
        if type(self.cents) is not int or self.cents == 0:
            raise ValueError(f"a posting is a whole, nonzero number of cents: {self}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One balanced set of postings. `kind` says which event of the business made it."""

    kind: str
    at: datetime
    reference: str
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if sum(p.cents for p in self.postings) != 0:
            raise ValueError(f"an entry must sum to zero: {self}")
        if len(self.postings) < 2:
            raise ValueError(f"an entry has at least two postings: {self}")
        if self.at.tzinfo is None:
            raise ValueError(f"an entry's instant carries its zone: {self}")
