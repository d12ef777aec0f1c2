"""MikroTik RouterOS (vendor 14988): PPPoE and hotspot.

Needs `/radius incoming set accept=yes port=3799`: both 1700 and 3799 are documented as the default.
"""

from network.device import Attributes, Dialect, SessionKey, username_and_session_id


def _rate(down_bps: int, up_bps: int) -> Attributes:
    # "rx/tx" as the router sees it: rx is what it receives, the subscriber's upload.
    return (("Mikrotik-Rate-Limit", f"{_short(up_bps)}/{_short(down_bps)}"),)


def _short(bps: int) -> str:
    """RouterOS reads k as 1,000 and M as 1,000,000; a rate that neither divides stays exact."""
    if bps % 1_000_000 == 0:
        return f"{bps // 1_000_000}M"
    if bps % 1_000 == 0:
        return f"{bps // 1_000}k"
    return str(bps)


def _identify(session: SessionKey) -> Attributes:
    identifiers = username_and_session_id(session)
    # PPPoE lines were reported to be found by name and address where the session id alone fails.
    if session.ipv4 is not None:
        identifiers += (("Framed-IP-Address", session.ipv4),)
    return identifiers


DIALECT = Dialect(
    name="mikrotik",
    rate=_rate,
    identify=_identify,
    # Firewall and NAT rules of the router refer to this list. It is not among the attributes that
    # RouterOS changes by CoA, which it would acknowledge and ignore.
    walled=(("Mikrotik-Address-List", "religa-walled"),),
    unwalled=None,
    ipv6_pool="Mikrotik-Delegated-IPv6-Pool",
)
