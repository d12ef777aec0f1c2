"""From a grant to a vendor's attributes.

The same functions fill Access-Accept and CoA, so a redial and a live change cannot disagree; and
each renders the whole grant, so what an earlier, unanswered request left behind is overwritten.
"""

from dataclasses import dataclass

from billing.access import Access, Level
from network.device import Attributes, Dialect, SessionKey
from network.dialects import dialect

# BLOCKED says 0, which NASes read as "no limit": the lowest rate that every dialect can say.
RATE_LOWEST_BPS = 1_000


@dataclass(frozen=True, slots=True)
class Line:
    """What a login is given besides its access. A static address wins over a pool."""

    ipv4_pool: str | None
    ipv6_pool: str | None
    static_ipv4: str | None
    delegated_ipv6: str | None
    interim_s: int


@dataclass(frozen=True, slots=True)
class Change:
    """A CoA-Request: this NAS can change the live line."""

    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Redial:
    """A Disconnect-Request: the line has to come again to get what this NAS cannot change."""

    attributes: Attributes


def accept(dialect_name: str, access: Access, line: Line) -> Attributes:
    """The attributes of an Access-Accept, without Class and Message-Authenticator.

    Raises:
        UnknownDialect: nobody here speaks it.
    """
    spoken = dialect(dialect_name)
    attributes = _rate(spoken, access)
    if is_walled(access.level):
        attributes += spoken.walled
    if line.static_ipv4 is not None:
        attributes += (("Framed-IP-Address", line.static_ipv4),)
    elif line.ipv4_pool is not None:
        attributes += (("Framed-Pool", line.ipv4_pool),)
    if line.delegated_ipv6 is not None:
        attributes += (("Delegated-IPv6-Prefix", line.delegated_ipv6),)
    elif line.ipv6_pool is not None:
        attributes += ((spoken.ipv6_pool, line.ipv6_pool),)
    return (*attributes, ("Acct-Interim-Interval", line.interim_s))


def change(
    dialect_name: str, before: Level | None, access: Access, session: SessionKey
) -> Change | Redial:
    """What brings a live line from `before` to `access`.

    Args:
        dialect_name: of the session's NAS.
        before: the level that the line is known to be at; None: not known, so that only a redial
            makes sure of it, unless the NAS changes everything live.
        access: the grant to reach.
        session: the line.

    Raises:
        UnknownDialect: nobody here speaks it.
    """
    spoken = dialect(dialect_name)
    attributes = spoken.identify(session)
    if spoken.unwalled is not None:
        wall = spoken.walled if is_walled(access.level) else spoken.unwalled
        return Change(attributes + _rate(spoken, access) + wall)
    open_throughout = before is not None and not is_walled(before) and not is_walled(access.level)
    if before is access.level or open_throughout:
        return Change(attributes + _rate(spoken, access))
    return Redial(attributes)


def disconnect(dialect_name: str, session: SessionKey) -> Attributes:
    """The attributes of a Disconnect-Request: identifiers and nothing else (RFC 5176 section 3).

    Raises:
        UnknownDialect: nobody here speaks it.
    """
    return dialect(dialect_name).identify(session)


def is_walled(level: Level) -> bool:
    """Whether a line of this level is behind the wall; BLOCKED is, with next to no rate."""
    return level in (Level.WALLED, Level.BLOCKED)


def _rate(spoken: Dialect, access: Access) -> Attributes:
    if access.level is Level.BLOCKED:
        return spoken.rate(RATE_LOWEST_BPS, RATE_LOWEST_BPS)
    return spoken.rate(access.rate_down_bps, access.rate_up_bps)
