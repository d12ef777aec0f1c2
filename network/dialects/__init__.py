"""The dialects by the name that a NAS carries in the database. A new one is a file and a row."""

from collections.abc import Mapping
from types import MappingProxyType

from network.device import Dialect
from network.dialects import accel_ppp, mikrotik, wispr

DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {dialect.name: dialect for dialect in (accel_ppp.DIALECT, mikrotik.DIALECT, wispr.DIALECT)}
)


class UnknownDialect(ValueError):
    """A NAS has a dialect that nobody here speaks."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown dialect {name!r}; known are {', '.join(sorted(DIALECTS))}")


def dialect(name: str) -> Dialect:
    """The dialect of that name; raises `UnknownDialect`."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise UnknownDialect(name) from None
