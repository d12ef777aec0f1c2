"""WISPr: rates live by CoA in bit/s, the wall by redirection, which takes a redial."""

import pytest

from billing.access import Access, Level, Rates
from network.device import Attributes, SessionKey
from network.render import Change, Line, Redial, accept, change

RATES = Rates(100_000_000, 20_000_000, 2_000_000, 1_500_000)
SESSION = SessionKey("ana@isp", "81d00032", "100.64.0.7")
NAMED: Attributes = (("User-Name", "ana@isp"), ("Acct-Session-Id", "81d00032"))
REDIAL = Redial(NAMED)


def rates(down_bps: int, up_bps: int) -> Change:
    down, up = ("WISPr-Bandwidth-Max-Down", down_bps), ("WISPr-Bandwidth-Max-Up", up_bps)
    return Change((*NAMED, down, up))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Level.FULL, Level.REDUCED, rates(2_000_000, 1_500_000)),
        (Level.FULL, Level.WALLED, REDIAL),
        (Level.FULL, Level.BLOCKED, REDIAL),
        (Level.REDUCED, Level.FULL, rates(100_000_000, 20_000_000)),
        (Level.REDUCED, Level.WALLED, REDIAL),
        (Level.REDUCED, Level.BLOCKED, REDIAL),
        (Level.WALLED, Level.FULL, REDIAL),
        (Level.WALLED, Level.REDUCED, REDIAL),
        (Level.WALLED, Level.WALLED, rates(2_000_000, 1_500_000)),
        (Level.WALLED, Level.BLOCKED, REDIAL),
        (Level.BLOCKED, Level.FULL, REDIAL),
        (Level.BLOCKED, Level.REDUCED, REDIAL),
        (Level.BLOCKED, Level.WALLED, REDIAL),
        (Level.BLOCKED, Level.BLOCKED, rates(1_000, 1_000)),
        (None, Level.FULL, REDIAL),
    ],
)
def test_change_of_a_live_line(
    before: Level | None, after: Level, expected: Change | Redial
) -> None:
    assert change("wispr", before, RATES.at(after), SESSION) == expected


def test_a_rate_beyond_32_bits_is_sent_as_the_highest_that_fits() -> None:
    plan = change("wispr", Level.FULL, Access(Level.FULL, 10**10, 2**32 - 1), SESSION)
    assert plan == rates(2**32 - 1, 2**32 - 1)


def test_a_walled_login_is_redirected() -> None:
    line = Line(None, None, None, None, 300)
    attributes = dict(accept("wispr", RATES.at(Level.WALLED), line))
    assert attributes["WISPr-Redirection-URL"] == "http://religa-walled.invalid/"
