"""Access-Accept and CoA say the same of the same grant, and every dialect can say every grant."""

import pytest

from billing.access import Level, Rates
from network.device import Attributes, SessionKey
from network.dialects import DIALECTS, UnknownDialect
from network.render import Change, Line, accept, change, disconnect, is_walled
from radius.dictionary import encode

RATES = Rates(100_000_000, 20_000_000, 2_000_000, 1_000_000)
POOLS = Line("residential", "v6-pd", None, None, 300)
STATIC = Line("residential", "v6-pd", "203.0.113.9", "2001:db8:1::/56", 300)
SESSION = SessionKey("ana@isp", "81d00032", "100.64.0.7")

MIKROTIK_FULL: Attributes = (("Mikrotik-Rate-Limit", "20M/100M"),)
MIKROTIK_WALLED: Attributes = (
    ("Mikrotik-Rate-Limit", "1M/2M"),
    ("Mikrotik-Address-List", "religa-walled"),
)
POOLED: Attributes = (
    ("Framed-Pool", "residential"),
    ("Mikrotik-Delegated-IPv6-Pool", "v6-pd"),
    ("Acct-Interim-Interval", 300),
)
FIXED: Attributes = (
    ("Framed-IP-Address", "203.0.113.9"),
    ("Delegated-IPv6-Prefix", "2001:db8:1::/56"),
    ("Acct-Interim-Interval", 300),
)


@pytest.mark.parametrize(
    ("level", "line", "expected"),
    [
        (Level.FULL, POOLS, MIKROTIK_FULL + POOLED),
        (Level.FULL, STATIC, MIKROTIK_FULL + FIXED),
        (Level.WALLED, POOLS, MIKROTIK_WALLED + POOLED),
        (Level.WALLED, STATIC, MIKROTIK_WALLED + FIXED),
    ],
)
def test_accept(level: Level, line: Line, expected: Attributes) -> None:
    assert accept("mikrotik", RATES.at(level), line) == expected


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("level", Level)
def test_a_live_change_and_a_redial_cannot_disagree(name: str, level: Level) -> None:
    live = change(name, level, RATES.at(level), SESSION)
    granted = accept(name, RATES.at(level), POOLS)
    assert isinstance(live, Change)
    said = [pair for pair in live.attributes if pair not in disconnect(name, SESSION)]
    assert said
    # What only takes a wall away needs no words at login: a new line has none.
    assert [pair for pair in said if pair not in granted] in ([], [*_unwalled(name, level)])


def _unwalled(name: str, level: Level) -> Attributes:
    return () if is_walled(level) else DIALECTS[name].unwalled or ()


@pytest.mark.parametrize("name", DIALECTS)
def test_every_level_of_every_dialect_fits_the_dictionary(name: str) -> None:
    for level in Level:
        for line in (POOLS, STATIC):
            assert encode(accept(name, RATES.at(level), line))
        for before in (None, *Level):
            assert encode(change(name, before, RATES.at(level), SESSION).attributes)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_session_is_named_by_at_least_two_identifiers_and_nothing_else(name: str) -> None:
    named = dict(disconnect(name, SESSION))
    assert named.items() >= {"User-Name": "ana@isp", "Acct-Session-Id": "81d00032"}.items()
    assert set(named) <= {"User-Name", "Acct-Session-Id", "Framed-IP-Address"}


@pytest.mark.parametrize("name", DIALECTS)
def test_no_change_carries_what_makes_accel_ppp_stop_reading(name: str) -> None:
    for level in Level:
        names = dict(change(name, Level.FULL, RATES.at(level), SESSION).attributes)
        assert not names.keys() & {"Class", "Session-Timeout"}


def test_an_unknown_dialect_is_named_beside_the_known_ones() -> None:
    with pytest.raises(UnknownDialect, match=r"'cisco'.*accel_ppp, mikrotik, wispr"):
        disconnect("cisco", SESSION)
