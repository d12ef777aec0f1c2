"""What each make of NAS reads from a grant and changes by CoA, as the simulated NAS does it."""

import pytest

from api.rehearsal.nas_profile import BadValueError, DialectName, Profile, changed, granted
from api.rehearsal.nas_wire import (
    Attribute,
    Code,
    Datagram,
    keyed_request,
    number,
    read,
    vendor_specific,
)


def packet_with(*attributes: Attribute, code: Code = Code.COA_REQUEST) -> Datagram:
    packet = read(keyed_request(code, 1, attributes, b"secret"))
    assert packet is not None
    return packet


OPEN = Profile(0, 0, walled=False)
FULL = Profile(50_000_000, 10_000_000, walled=False)


def _mikrotik(kind: int, value: bytes) -> Attribute:
    return vendor_specific(14988, kind, value)


def _wispr(kind: int, value: int) -> Attribute:
    return vendor_specific(14122, kind, number(value))


@pytest.mark.parametrize(
    ("dialect", "attributes", "profile"),
    [
        ("mikrotik", [_mikrotik(8, b"10M/50M")], FULL),
        ("mikrotik", [_mikrotik(8, b"512k")], Profile(512_000, 512_000, walled=False)),
        ("mikrotik", [_mikrotik(8, b"10M/50M 12M/60M 8M/40M 10/10 8")], FULL),
        ("mikrotik", [_mikrotik(8, b"1000/2000")], Profile(2_000, 1_000, walled=False)),
        (
            "mikrotik",
            [_mikrotik(8, b"1k/1k"), _mikrotik(19, b"religa-walled")],
            Profile(1_000, 1_000, walled=True),
        ),
        ("mikrotik", [_mikrotik(19, b"vip")], OPEN),
        ("accel_ppp", [(11, b"50000/10000")], FULL),
        (
            "accel_ppp",
            [(11, b"1/1"), vendor_specific(55999, 1, b"religa-walled")],
            Profile(1_000, 1_000, walled=True),
        ),
        ("accel_ppp", [], OPEN),
        ("wispr", [_wispr(8, 50_000_000), _wispr(7, 10_000_000)], FULL),
        (
            "wispr",
            [_wispr(8, 1_000), vendor_specific(14122, 4, b"https://pay.example/")],
            Profile(1_000, 0, walled=True),
        ),
    ],
)
def test_a_grant_reads_as_the_make_reads_it(
    dialect: DialectName, attributes: list[Attribute], profile: Profile
) -> None:
    accept = packet_with(*attributes, code=Code.ACCESS_ACCEPT)
    assert granted(dialect, accept, "religa-walled") == profile


WALLED = Profile(1_000_000, 500_000, walled=True)


@pytest.mark.parametrize(
    ("dialect", "before", "attributes", "after"),
    [
        ("mikrotik", OPEN, [_mikrotik(8, b"10M/50M")], FULL),
        # The list cannot be entered or left by CoA.
        ("mikrotik", FULL, [_mikrotik(19, b"religa-walled")], FULL),
        (
            "mikrotik",
            WALLED,
            [_mikrotik(8, b"10M/50M"), _mikrotik(19, b"")],
            Profile(50_000_000, 10_000_000, walled=True),
        ),
        ("mikrotik", FULL, [(11, b"1/1")], FULL),
        (
            "accel_ppp",
            WALLED,
            [(11, b"50000/10000"), vendor_specific(55999, 1, b"0")],
            FULL,
        ),
        (
            "accel_ppp",
            FULL,
            [(11, b"1000/500"), vendor_specific(55999, 1, b"religa-walled")],
            WALLED,
        ),
        (
            "accel_ppp",
            WALLED,
            [(25, b"class"), (11, b"50000/10000"), vendor_specific(55999, 1, b"0")],
            Profile(50_000_000, 10_000_000, walled=True),
        ),
        ("wispr", OPEN, [_wispr(8, 50_000_000), _wispr(7, 10_000_000)], FULL),
        ("wispr", FULL, [vendor_specific(14122, 4, b"https://pay.example/")], FULL),
    ],
)
def test_a_coa_changes_only_what_the_make_can_change_live(
    dialect: DialectName, before: Profile, attributes: list[Attribute], after: Profile
) -> None:
    assert changed(dialect, before, packet_with(*attributes), "religa-walled") == after


@pytest.mark.parametrize(
    ("dialect", "attribute", "cause"),
    [
        ("mikrotik", _mikrotik(8, b"fast"), 407),
        ("mikrotik", _mikrotik(8, b"10M/"), 407),
        ("accel_ppp", (11, b"10M/50M"), None),
        ("wispr", vendor_specific(14122, 8, b"50"), 407),
    ],
)
def test_a_rate_that_the_make_cannot_read_is_refused(
    dialect: DialectName, attribute: Attribute, cause: int | None
) -> None:
    with pytest.raises(BadValueError) as refusal:
        changed(dialect, FULL, packet_with(attribute), "religa-walled")
    assert refusal.value.error_cause == cause
