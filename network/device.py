"""What differs from one kind of access router to the next, as data: a `Dialect` per kind."""

from collections.abc import Callable
from dataclasses import dataclass

# (name in the RADIUS dictionary, value), in the order in which they are sent.
Attributes = tuple[tuple[str, str | int | bytes], ...]


@dataclass(frozen=True, slots=True)
class SessionKey:
    """How a NAS told us to call one of its sessions.

    The texts came from the network. They go nowhere but into values of RADIUS attributes.
    """

    username: str
    acct_session_id: str
    ipv4: str | None = None
    nas_port_id: str | None = None


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of NAS is told a rate, a wall, and which session is meant.

    `rate` renders (down, up) in bits per second, both positive. `identify` gives at least two
    identifiers. `walled` puts a line behind the wall. `unwalled` is what a CoA carries to say "no
    wall"; None where the NAS applies its wall only as a line comes up, so that a live line has to
    be dropped and come again. `ipv6_pool` names the attribute that chooses a pool of prefixes.
    """

    name: str
    rate: Callable[[int, int], Attributes]
    identify: Callable[[SessionKey], Attributes]
    walled: Attributes
    unwalled: Attributes | None
    ipv6_pool: str


def username_and_session_id(session: SessionKey) -> Attributes:
    """The two identifiers that every NAS knows (RFC 5176 section 3)."""
    return (("User-Name", session.username), ("Acct-Session-Id", session.acct_session_id))
