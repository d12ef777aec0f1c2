"""What a subscriber's line is set to, read from attributes the way each make of NAS reads them.

Independent of `network`: these are the other end of what it renders. Rates are bits per second,
0 where the NAS was told no limit.
Source: RouterOS manual, page RADIUS; accel-ppp `radius/dm_coa.c` and `shaper/shaper.c`; WISPr 1.0.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal, assert_never, get_args

from api.rehearsal.nas_wire import Datagram, Type

DialectName = Literal["mikrotik", "accel_ppp", "wispr"]
DIALECT_NAMES: tuple[DialectName, ...] = get_args(DialectName)

_MIKROTIK = 14988
_ACCEL_PPP = 55999
_WISPR = 14122

_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_ROUTEROS_RATE = re.compile(r"(\d+)([kmg]?)(?:/(\d+)([kmg]?))?(?: .*)?", re.IGNORECASE)
_ACCEL_RATE = re.compile(r"(\d+)(?:/(\d+))?")


class BadValueError(ValueError):
    """An attribute that this NAS cannot read. `error_cause` None: its NAK carries none."""

    def __init__(self, what: str, error_cause: int | None) -> None:
        super().__init__(what)
        self.error_cause = error_cause


@dataclass(frozen=True, slots=True)
class Profile:
    """How a line is set: its two rates, and whether it is inside the walled garden."""

    rate_down_bps: int
    rate_up_bps: int
    walled: bool


def granted(dialect: DialectName, accept: Datagram, walled_name: str) -> Profile:
    """The profile of a new session by its Access-Accept. Raises BadValueError."""
    open_line = Profile(0, 0, walled=False)
    match dialect:
        case "mikrotik":
            address_list = accept.vendor(_MIKROTIK, 19)
            walled = address_list == walled_name.encode()
            return replace(_routeros_rate(open_line, accept), walled=walled)
        case "accel_ppp":
            return _accel_vrf(_accel_rate(open_line, accept), accept, walled_name)
        case "wispr":
            redirected = bool(accept.vendor(_WISPR, 4))
            return replace(_wispr_rates(open_line, accept), walled=redirected)
        case _:
            assert_never(dialect)


def changed(dialect: DialectName, before: Profile, request: Datagram, walled_name: str) -> Profile:
    """The profile after a CoA-Request: only what this make can change in a live session.

    Raises BadValueError; nothing is changed then.
    """
    match dialect:
        case "mikrotik":
            # Address-List is not among what RouterOS changes by CoA: acknowledged and ignored.
            return _routeros_rate(before, request)
        case "accel_ppp":
            after = _accel_rate(before, request)
            # dm_coa.c: a CoA that carries Class is acknowledged before the VRF is looked at.
            if request.first(Type.CLASS) is not None:
                return after
            return _accel_vrf(after, request, walled_name)
        case "wispr":
            return _wispr_rates(before, request)
        case _:
            assert_never(dialect)


def _routeros_rate(before: Profile, packet: Datagram) -> Profile:
    value = packet.vendor(_MIKROTIK, 8)
    if value is None:
        return before
    text = value.decode("latin-1")
    found = _ROUTEROS_RATE.fullmatch(text)
    if found is None:
        raise BadValueError(f"Mikrotik-Rate-Limit {text!r}", 407)
    received, received_suffix, sent, sent_suffix = found.groups()
    # rx is what the router receives: the subscriber's upload. A missing tx equals rx.
    up = int(received) * _SUFFIX[received_suffix.lower()]
    down = up if sent is None else int(sent) * _SUFFIX[sent_suffix.lower()]
    return replace(before, rate_down_bps=down, rate_up_bps=up)


def _accel_rate(before: Profile, packet: Datagram) -> Profile:
    value = packet.first(Type.FILTER_ID)
    if value is None:
        return before
    text = value.decode("latin-1")
    found = _ACCEL_RATE.fullmatch(text)
    if found is None:
        raise BadValueError(f"Filter-Id {text!r}", None)
    down, up = found.groups()
    return replace(
        before,
        rate_down_bps=int(down) * 1_000,
        rate_up_bps=int(down if up is None else up) * 1_000,
    )


def _accel_vrf(before: Profile, packet: Datagram, walled_name: str) -> Profile:
    vrf = packet.vendor(_ACCEL_PPP, 1)
    if vrf is None:
        return before
    # "0" leads back to the main routing table, which is no walled garden.
    return replace(before, walled=vrf == walled_name.encode())


def _wispr_rates(before: Profile, packet: Datagram) -> Profile:
    rates = []
    for kind, standing in ((8, before.rate_down_bps), (7, before.rate_up_bps)):
        value = packet.vendor(_WISPR, kind)
        if value is not None and len(value) != 4:
            raise BadValueError(f"WISPr attribute {kind} of {len(value)} octets", 407)
        rates.append(standing if value is None else int.from_bytes(value, "big"))
    return replace(before, rate_down_bps=rates[0], rate_up_bps=rates[1])
