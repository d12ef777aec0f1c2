"""The traffic quota of the running product, as two makes of router see it in their own logs."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import psycopg
import pytest

from api.rehearsal.nas_log import standing
from api.rehearsal.nas_profile import Profile
from tests.support.database import libpq
from tests.support.product import own_folder
from tests.support.walled import DOWN_BPS, UP_BPS, ZONE, Scene

QUOTA = 50_000_000_000
FULL = Profile(DOWN_BPS, UP_BPS, walled=False)
# Quicker down than the plan's reduced 2 Mbit/s, slower up than its 1 Mbit/s.
THROTTLED = Profile(5_000_000, 500_000, walled=False)
WALLED = Profile(2_000_000, 500_000, walled=True)
# One on each router uses its quota up; the others do not.
HEAVY, LIGHT = (0, 1), (2, 3)


class Metered:
    """The scene, with a quota on its plan and its cycle begun today."""

    def __init__(self, scene: Scene, database_url: str) -> None:
        self.scene = scene
        self._url = libpq(database_url)
        # Ahead of where it stood at the start.
        self.now = self.move(datetime.now(ZONE) + timedelta(minutes=10))
        self.run(
            "update plans set quota_octets = %s, quota_down_bps = 5000000, quota_up_bps = 500000",
            QUOTA,
        )
        self.run("update contracts set quota_reset_day = %s", self.now.day)

    def run(self, statement: str, *values: object) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    def use(self, index: int, octets: int) -> None:
        contract_id = self.scene.contracts[f"user{index}"]
        statement = (
            "insert into usage_days as u values (%s, %s, %s, 0) on conflict (contract_id, day)"
            " do update set down_octets = u.down_octets + excluded.down_octets"
        )
        self.run(statement, contract_id, self.now.date(), octets)

    def move(self, to: datetime) -> datetime:
        """Move the clock and do what is due on the way; answers where it stands then."""
        answer = self.scene.product.post("/clock", {"to": to.isoformat()})
        return datetime.fromisoformat(answer["now"]).astimezone(ZONE)

    def look(self) -> None:
        self.now = self.move(self.now + timedelta(seconds=1))

    def stands(self, index: int) -> Profile | None:
        return standing(self.scene.nas_of(index).events()).get(f"user{index}")

    def comes_to(self, index: int, profile: Profile, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while (seen := self.stands(index)) != profile:
            assert time.monotonic() < deadline, f"user{index} is at {seen}, not at {profile}"
            time.sleep(0.05)

    def proves_restores(self, count: int, within_s: float = 20.0) -> None:
        """The product knows of them a little after the router's own log does."""
        deadline = time.monotonic() + within_s
        while (seen := self.scene.product.get("/metrics/restore")["applied"]["count"]) != count:
            assert time.monotonic() < deadline, f"{seen} restores are applied, not {count}"
            time.sleep(0.05)

    def changes(self) -> dict[str, int]:
        """How many CoAs and Disconnects each line saw."""
        heard = [e.username for e in self.scene.events() if e.event in ("coa", "disconnect")]
        return {name: heard.count(name) for name in heard}


@pytest.fixture
def metered(database_url: str) -> Iterator[Metered]:
    with own_folder() as folder:
        scene = Scene(folder, subscribers=4, online=4, database_url=database_url)
        try:
            scene.build()
            yield Metered(scene, database_url)
        finally:
            scene.close()


def test_a_quota_is_used_up_survives_a_cut_and_is_whole_again(metered: Metered) -> None:
    scene = metered.scene
    for index in HEAVY:
        metered.use(index, QUOTA - 1)
    metered.look()
    assert metered.changes() == {}

    for index in HEAVY:
        metered.use(index, 1)
    # Nobody moves the clock: the schedule looks by itself.
    for index in HEAVY:
        metered.comes_to(index, THROTTLED, within_s=60.0)
    assert metered.changes() == {"user0": 1, "user1": 1}

    # Using more and looking again change nothing.
    for _ in range(2):
        metered.use(HEAVY[0], QUOTA)
        metered.look()
    assert metered.changes() == {"user0": 1, "user1": 1}

    # A redial is granted the same rate.
    nas = scene.nas_of(HEAVY[0])
    nas.order("hang_up", usernames=[f"user{HEAVY[0]}"])
    assert nas.dial([HEAVY[0]]) == 1
    assert metered.stands(HEAVY[0]) == THROTTLED

    # A cut on top, never quicker than either asks; then money, which buys no traffic.
    scene.wall_off(HEAVY)
    for index in HEAVY:
        metered.comes_to(index, WALLED)
        scene.psp.pay(scene.charge(index))
    for index in HEAVY:
        metered.comes_to(index, THROTTLED)
    metered.proves_restores(len(HEAVY))

    access = scene.product.get(f"/contracts/{scene.contracts['user1']}/access")
    spent_until = access["quota"]["spent_until"]
    assert (access["level"], access["quota"]["octets"]) == ("full", QUOTA)
    reset = datetime.fromisoformat(spent_until).replace(tzinfo=ZONE)
    metered.now = metered.move(reset - timedelta(seconds=1))
    assert [metered.stands(index) for index in HEAVY] == [THROTTLED, THROTTLED]
    metered.look()
    for index in HEAVY:
        metered.comes_to(index, FULL)

    # A new cycle is no restore: it was not waited for since anybody paid.
    assert scene.product.get("/metrics/restore")["applied"]["count"] <= len(HEAVY)
    assert not {f"user{index}" for index in LIGHT} & set(metered.changes())
    done = scene.product.command("verify")
    assert (done.returncode, done.stdout) == (0, "all as recorded\n"), done.stderr
    told = scene.product.command("explain", str(scene.contracts["user1"]))
    for said in ("foi usada", "página de pagamento", "novo ciclo"):
        assert said in told.stdout
