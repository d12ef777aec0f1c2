"""Five years of a small provider, from a fixed seed; `make sim` runs more."""

from datetime import date, timedelta

import pytest

from tests.sim.world import START, Broken, World

SEED, SUBSCRIBERS, DAYS = 20170201, 500, 1826


def test_five_years_of_random_lives_keep_every_invariant_and_every_cent() -> None:
    world = World(SEED, SUBSCRIBERS)
    try:
        world.run(DAYS)
    except Broken as broken:
        pytest.fail(f"{broken}\nmake sim SEED={SEED} YEARS=5")
    end = START + timedelta(days=DAYS)
    assert START < date(2017, 10, 15) < date(2018, 11, 4) < date(2020, 2, 29) < end
    counts = world.count()
    rare = {kind: counts[kind] for kind in OFTEN if counts[kind] < 20}
    assert not rare, "years in which nothing happens prove nothing"


OFTEN = (
    "InvoiceIssued",
    "PaymentPosted",
    "CreditUsed",
    "PaymentReversed",
    "AgreementAccepted",
    "AgreementBroken",
    "PromiseTaken",
    "PauseTaken",
    "PauseEnded",
    "cuts",
    "restores",
    "plan changes",
    "due day changes",
    "ends",
)
