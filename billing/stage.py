"""The stages of the ladder, mild to severe: those of a line, the contract's end, what follows it.

The first three are access levels. RESCIND leaves nothing of the line and ends the contract; BUREAU
and AGENCY follow an ended contract: its debt may be registered at credit bureaus, and handed over
to a collection agency (ladder rules 5 and 14).
"""

from enum import StrEnum

from billing.access import Level


class Stage(StrEnum):
    """One stage; the three of a line carry their level's name."""

    REDUCED = "reduced"
    WALLED = "walled"
    BLOCKED = "blocked"
    RESCIND = "rescind"
    BUREAU = "bureau"
    AGENCY = "agency"

    def __init__(self, _name: str) -> None:
        # 1 for REDUCED up to 6 for AGENCY; 0 is no stage.
        self.severity = len(type(self).__members__) + 1

    @property
    def level(self) -> Level:
        """What the line is left with in this stage.

        >>> Stage.RESCIND.level
        <Level.BLOCKED: 'blocked'>
        """
        return Level(self.value) if self.is_of_line else Level.BLOCKED

    @property
    def is_of_line(self) -> bool:
        """Whether it is a matter of the line alone, and goes away with the debt."""
        return self.severity <= Stage.BLOCKED.severity

    @property
    def is_cut(self) -> bool:
        """Whether entering it waits for a day and an hour at which a cut may start (rule 6)."""
        return self.severity <= Stage.RESCIND.severity

    @property
    def suspends(self) -> bool:
        """Whether the service is suspended in it, which a rescission's days are counted from."""
        return self in (Stage.WALLED, Stage.BLOCKED)
