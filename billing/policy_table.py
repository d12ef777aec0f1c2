"""Reading a policy document's tables: a wrong key or a wrong type is one clear sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time

from billing.law import PolicyError


@dataclass(frozen=True, slots=True)
class TableReader:
    """Typed reads from one table of a document. `where` prefixes keys in messages.

    Every read raises PolicyError in one sentence that names the key.
    """

    table: Mapping[str, object]
    defaults: Mapping[str, object]
    where: str

    def __post_init__(self) -> None:
        for key in self.table:
            if key not in self.defaults:
                known = ", ".join(self.defaults)
                raise PolicyError(f"unknown key {self.where}{key}; known keys are {known}")

    def value(self, key: str) -> object:
        """What the table says of `key`, or its default."""
        return self.table.get(key, self.defaults[key])

    def whole(self, key: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.value(key)
        # bool is an int to Python, not to whoever writes a policy.
        if type(value) is not int or not least <= value <= most:
            raise PolicyError(
                f"{self.where}{key} must be a whole number from {least} to {most}, not {value!r}"
            )
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.value(key)
        if not isinstance(value, bool):
            raise PolicyError(f"{self.where}{key} must be true or false, not {value!r}")
        return value

    def word(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of the words that are allowed."""
        value = self.value(key)
        if not isinstance(value, str) or value not in allowed:
            words = ", ".join(str(word) for word in allowed)
            raise PolicyError(f"{self.where}{key} must be one of {words}, not {value!r}")
        return value

    def clock(self, key: str) -> time:
        """A local time, as in `08:00`."""
        value = self.value(key)
        if isinstance(value, str) and len(value) == 5 and value[2] == ":":
            hours, minutes = value[:2], value[3:]
            digits = value.isascii() and hours.isdigit() and minutes.isdigit()
            if digits and int(hours) < 24 and int(minutes) < 60:
                return time(int(hours), int(minutes))
        raise PolicyError(f'{self.where}{key} must be a time such as "08:00", not {value!r}')

    def day(self, key: str) -> date | None:
        """A local date, as in `2026-12-31`; None where nothing is said."""
        value = self.value(key)
        if value is None:
            return None
        try:
            if isinstance(value, str) and len(value) == len("2026-12-31"):
                return date.fromisoformat(value)
        except ValueError:
            pass
        raise PolicyError(f'{self.where}{key} must be a date such as "2026-12-31", not {value!r}')
