"""A year with planted disasters: nobody is cut wrongly, and without its guards somebody is."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from billing.account import Account, Desk
from billing.guard import Limits
from billing.ladder import Bar
from billing.policy import Policy
from tests.sim.disasters import REASONS, Disasters, hasty
from tests.sim.judge import Broken
from tests.sim.provider import Looked, Provider
from tests.sim.year import Year

SEED, CONTRACTS = 24, 700
FEW = 700
EVER = timedelta(days=10_000)


def test_a_year_of_disasters_cuts_nobody_wrongly() -> None:
    year = Year(SEED, CONTRACTS)
    disasters = Disasters(year)
    try:
        year.run()
    except Broken as broken:
        pytest.fail(f"{broken}\nmake sim WORLD=disasters SEED={SEED}")
    assert year.wrong == []
    assert set(disasters.began) == set(REASONS)
    # Years in which nothing happens prove nothing.
    assert year.told["cuts"] > CONTRACTS // 2
    assert year.told["restores"] > CONTRACTS // 2
    assert year.told["released plans"] > 0
    assert {"too_many", "clock_ahead", "stale_feed"} <= year.flaws.keys()


class NoLastLook(Provider):
    """Makes a planned cut as it was planned."""

    def drip(self) -> None:
        cut, _ = self.queue[0]
        if self.accounts[cut.contract_id].contracts[0].access.level is cut.before:
            self.moved(cut.contract_id, cut.before, cut.after)
        super().drip()


class CutsOnTheWay(Provider):
    """Whatever happens to a payer who is due for a look may cut them."""

    def desk(self, standing: tuple[Bar, ...] | None = None) -> Desk:
        return replace(super().desk(standing), leaves_due=False)


class TrustsNewRules(Provider):
    """Cuts by whatever version of a policy rules."""

    def put_policy(self, policy: Policy) -> None:
        super().put_policy(policy)
        self.trusted = policy


class TrustsTheClock(Provider):
    """Draws notices whatever day its clock says."""

    def _judge(self, account: Account, desk: Desk, known: bool) -> Looked:
        return super()._judge(account, desk, True)


ANY_SIZE = Limits(sweep_basis_points=10_000, day_basis_points=10_000)


@pytest.mark.parametrize(
    ("kind", "days", "provider", "limits"),
    [
        ("feed dead", 40, Provider, Limits(feed_age_max=EVER)),
        ("policy corrupted", 40, TrustsNewRules, ANY_SIZE),
        ("clock ahead", 40, Provider, replace(ANY_SIZE, clock_ahead_max=EVER)),
        ("everybody late", 55, Provider, ANY_SIZE),
        ("everybody late", 60, CutsOnTheWay, Limits()),
        ("many really late", 85, NoLastLook, Limits()),
    ],
)
def test_without_its_guard_somebody_is_cut_wrongly(
    kind: str, days: int, provider: type[Provider], limits: Limits
) -> None:
    year = Year(SEED, FEW, days=days, provider=provider, limits=limits)
    Disasters(year, [kind], first=25, corrupted=[hasty])
    # What else it breaks is no matter here.
    with suppress(Broken):
        year.run()
    assert year.wrong


def test_notices_drawn_by_a_wrong_clock_keep_the_right_ones_away() -> None:
    year = Year(SEED, FEW, days=60, provider=TrustsTheClock)
    Disasters(year, ["clock ahead"], first=25)
    with pytest.raises(Broken, match="had no notice"):
        year.run()
