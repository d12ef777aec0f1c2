"""MikroTik: rates live by CoA as "upload/download", the wall only by a redial."""

import pytest

from billing.access import Access, Level, Rates
from network.device import Attributes, SessionKey
from network.render import Change, Redial, change

RATES = Rates(100_000_000, 20_000_000, 2_000_000, 1_500_000)
SESSION = SessionKey("ana@isp", "81d00032", "100.64.0.7", "<pppoe-ana>")
NAMED: Attributes = (
    ("User-Name", "ana@isp"),
    ("Acct-Session-Id", "81d00032"),
    ("Framed-IP-Address", "100.64.0.7"),
)
REDIAL = Redial(NAMED)
FULL = Change((*NAMED, ("Mikrotik-Rate-Limit", "20M/100M")))
REDUCED = Change((*NAMED, ("Mikrotik-Rate-Limit", "1500k/2M")))
BLOCKED = Change((*NAMED, ("Mikrotik-Rate-Limit", "1k/1k")))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Level.FULL, Level.FULL, FULL),
        (Level.FULL, Level.REDUCED, REDUCED),
        (Level.FULL, Level.WALLED, REDIAL),
        (Level.FULL, Level.BLOCKED, REDIAL),
        (Level.REDUCED, Level.FULL, FULL),
        (Level.REDUCED, Level.REDUCED, REDUCED),
        (Level.REDUCED, Level.WALLED, REDIAL),
        (Level.REDUCED, Level.BLOCKED, REDIAL),
        (Level.WALLED, Level.FULL, REDIAL),
        (Level.WALLED, Level.REDUCED, REDIAL),
        (Level.WALLED, Level.WALLED, REDUCED),
        (Level.WALLED, Level.BLOCKED, REDIAL),
        (Level.BLOCKED, Level.FULL, REDIAL),
        (Level.BLOCKED, Level.REDUCED, REDIAL),
        (Level.BLOCKED, Level.WALLED, REDIAL),
        (Level.BLOCKED, Level.BLOCKED, BLOCKED),
        # Not known where the line stands: an acknowledged rate would prove nothing about the wall.
        (None, Level.FULL, REDIAL),
        (None, Level.REDUCED, REDIAL),
        (None, Level.WALLED, REDIAL),
        (None, Level.BLOCKED, REDIAL),
    ],
)
def test_change_of_a_live_line(
    before: Level | None, after: Level, expected: Change | Redial
) -> None:
    assert change("mikrotik", before, RATES.at(after), SESSION) == expected


@pytest.mark.parametrize(
    ("down_bps", "up_bps", "text"),
    [
        (100_000_000, 20_000_000, "20M/100M"),
        (1_000_000_000, 500_000_000, "500M/1000M"),
        (1_500_000, 512_000, "512k/1500k"),
        (1_000_001, 999, "999/1000001"),
    ],
)
def test_rate_is_exact_and_upload_comes_first(down_bps: int, up_bps: int, text: str) -> None:
    plan = change("mikrotik", Level.FULL, Access(Level.FULL, down_bps, up_bps), SESSION)
    assert ("Mikrotik-Rate-Limit", text) in plan.attributes


def test_a_line_without_ipv4_is_named_by_two_identifiers() -> None:
    session = SessionKey("ana@isp", "81d00032")
    assert change("mikrotik", Level.WALLED, RATES.at(Level.FULL), session) == Redial(NAMED[:2])
