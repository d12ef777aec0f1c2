"""What a contract may do on the network: the one billing word that the network knows.

No money, no dates, no vendors.
"""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much of the service is granted, mild to severe.

    REDUCED keeps the service at the plan's reduced rates. WALLED leaves DNS, the portal and the
    payment providers. BLOCKED leaves nothing; the login itself is still accepted.
    """

    FULL = "full"
    REDUCED = "reduced"
    WALLED = "walled"
    BLOCKED = "blocked"

    @property
    def severity(self) -> int:
        """0 for FULL up to 3 for BLOCKED.

        >>> Level.WALLED.severity > Level.REDUCED.severity
        True
        """
        return _ORDER.index(self)


_ORDER = tuple(Level)


@dataclass(frozen=True, slots=True)
class Access:
    """One grant. Rates are bits per second; both are 0 exactly when BLOCKED."""

    level: Level
    rate_down_bps: int
    rate_up_bps: int

    def __post_init__(self) -> None:
        silent = self.rate_down_bps == 0 and self.rate_up_bps == 0
        if silent != (self.level is Level.BLOCKED):
            raise ValueError(f"rates and level disagree: {self}")
        if self.rate_down_bps < 0 or self.rate_up_bps < 0:
            raise ValueError(f"a rate is negative: {self}")


@dataclass(frozen=True, slots=True)
class Rates:
    """What a plan grants at each level, in bits per second. WALLED runs at the reduced rates.

    The quota's rates are those of a used up traffic quota; None: the plan has no quota.
    """

    down_bps: int
    up_bps: int
    reduced_down_bps: int
    reduced_up_bps: int
    quota_down_bps: int | None = None
    quota_up_bps: int | None = None

    def at(self, level: Level, *, quota_spent: bool = False) -> Access:
        """The grant of this plan at `level`; a used up quota slows it and never speeds it up."""
        match level:
            case Level.FULL:
                down_bps, up_bps = self.down_bps, self.up_bps
            case Level.REDUCED | Level.WALLED:
                down_bps, up_bps = self.reduced_down_bps, self.reduced_up_bps
            case Level.BLOCKED:
                down_bps, up_bps = 0, 0
        if quota_spent and self.quota_down_bps is not None and self.quota_up_bps is not None:
            down_bps, up_bps = min(down_bps, self.quota_down_bps), min(up_bps, self.quota_up_bps)
        return Access(level, down_bps, up_bps)
