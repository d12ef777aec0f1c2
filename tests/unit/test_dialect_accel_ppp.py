"""accel-ppp: everything live by CoA, "download/upload" in kbit/s, the wall by VRF."""

import pytest

from billing.access import Access, Level, Rates
from network.device import Attributes, SessionKey
from network.render import Change, change

RATES = Rates(100_000_000, 20_000_000, 2_000_000, 1_500_000)
SESSION = SessionKey("ana@isp", "81d00032", "100.64.0.7")
NAMED: Attributes = (("User-Name", "ana@isp"), ("Acct-Session-Id", "81d00032"))

OPEN, WALL = ("Accel-VRF-Name", "0"), ("Accel-VRF-Name", "religa-walled")


@pytest.mark.parametrize("before", [None, *Level])
@pytest.mark.parametrize(
    ("after", "shape", "vrf"),
    [
        (Level.FULL, "100000/20000", OPEN),
        (Level.REDUCED, "2000/1500", OPEN),
        (Level.WALLED, "2000/1500", WALL),
        (Level.BLOCKED, "1/1", WALL),
    ],
)
def test_the_whole_grant_goes_by_coa_wherever_the_line_stands(
    before: Level | None, after: Level, shape: str, vrf: tuple[str, str]
) -> None:
    expected = Change((*NAMED, ("Filter-Id", shape), vrf))
    assert change("accel_ppp", before, RATES.at(after), SESSION) == expected


def test_a_rate_below_one_kbit_is_not_rendered_as_no_limit() -> None:
    plan = change("accel_ppp", Level.FULL, Access(Level.FULL, 900, 1_999), SESSION)
    assert ("Filter-Id", "1/1") in plan.attributes
