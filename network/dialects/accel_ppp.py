"""accel-ppp, also inside VyOS (vendor 55999): all that we need can be changed on a live line.

Source: accel-pppd/radius/dm_coa.c and shaper/shaper.c. A CoA with Class or Session-Timeout is
acknowledged before the VRF is looked at, so a CoA of ours never carries them.
"""

from network.device import Attributes, Dialect, username_and_session_id


def _rate(down_bps: int, up_bps: int) -> Attributes:
    # "down/up" in kbit/s, the reverse of MikroTik's order; below 1 the shaper would read no limit.
    return (("Filter-Id", f"{max(1, down_bps // 1_000)}/{max(1, up_bps // 1_000)}"),)


DIALECT = Dialect(
    name="accel_ppp",
    rate=_rate,
    identify=username_and_session_id,
    # A VRF of this name must exist on the router and lead to the portal only.
    walled=(("Accel-VRF-Name", "religa-walled"),),
    # The value 0 takes the interface out of any VRF.
    unwalled=(("Accel-VRF-Name", "0"),),
    ipv6_pool="Delegated-IPv6-Prefix-Pool",
)
