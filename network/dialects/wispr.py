"""WISPr (vendor 14122): the attributes that most hotspot gateways understand."""

from network.device import Attributes, Dialect, username_and_session_id

# The attributes are unsigned 32-bit integers: more than 4.29 Gbit/s cannot be said.
RATE_BPS_MAX = 2**32 - 1

# The walled garden's resolver answers this name with the portal's address; .invalid (RFC 2606)
# never leaves the provider's network.
WALL_URL = "http://religa-walled.invalid/"


def _rate(down_bps: int, up_bps: int) -> Attributes:
    return (
        ("WISPr-Bandwidth-Max-Down", min(down_bps, RATE_BPS_MAX)),
        ("WISPr-Bandwidth-Max-Up", min(up_bps, RATE_BPS_MAX)),
    )


DIALECT = Dialect(
    name="wispr",
    rate=_rate,
    identify=username_and_session_id,
    # Read when a line logs in.
    walled=(("WISPr-Redirection-URL", WALL_URL),),
    unwalled=None,
    ipv6_pool="Delegated-IPv6-Prefix-Pool",
)
