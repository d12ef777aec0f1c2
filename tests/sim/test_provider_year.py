"""A year of a small provider, from a fixed seed; `make sim` runs more."""

from tests.sim.world import World


def test_a_year_of_random_payers_keeps_every_invariant() -> None:
    world = World(seed=20260901, payers=15)
    world.run(365)
    assert sum(payer.cuts for payer in world.payers) > 5, "a year without cuts proves nothing"
    assert world.restores > 5
