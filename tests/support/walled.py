"""A small provider whose debtors stand walled off, ready to pay: the scene of restore tests."""

import time
from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from api.rehearsal.nas_log import Event, restored, standing
from tests.support.product import Product, nas_row, plan_row, subscriber_row
from tests.support.programs import NasProgram, PspProgram

DOWN_BPS, UP_BPS = 100_000_000, 50_000_000
ZONE = ZoneInfo("America/Sao_Paulo")
# Walled three days after the notice, on any day: the scene is about restoring, not about the law.
POLICY = {
    "law": "none",
    "notice_after_days": 1,
    "notice_days": 1,
    "cut_any_day": True,
    "steps": [{"level": "walled", "anchor": "maturity", "after_days": 0}],
}


class Scene:
    """Product, provider and two routers: even users on a mikrotik, odd ones on an accel-ppp."""

    def __init__(self, folder: Path, subscribers: int, online: int, **settings: object) -> None:
        self.product = Product(folder, clock="manual", **settings)
        self.psp = PspProgram(f"{self.product.url}/webhooks/pix")
        self.product.settings |= self.psp.settings()
        self.nases = [
            NasProgram(folder, self.product, "pop-even", "mikrotik", "127.0.0.21"),
            NasProgram(folder, self.product, "pop-odd", "accel_ppp", "127.0.0.22"),
        ]
        self.contracts: dict[str, int] = {}
        self.invoices: dict[int, int] = {}
        self._subscribers = subscribers
        self._online = online

    def close(self) -> None:
        self.product.stop()
        self.psp.stop()
        for nas in self.nases:
            nas.stop()

    def build(self) -> None:
        """Start, import, dial `online` of the subscribers."""
        product = self.product.start()
        product.import_csv("plans", [plan_row()])
        rows = [nas_row(n.name, n.bind, n.dialect, n.coa_port) for n in self.nases]
        product.import_csv("nas", rows)
        product.import_csv("subscribers", [subscriber_row(i) for i in range(self._subscribers)])
        answer = product.client.put("/policies/anatel-765", json=POLICY)
        answer.raise_for_status()
        self.await_table(f"user{self._subscribers - 1}")
        for parity, nas in enumerate(self.nases):
            mine = list(range(parity, self._online, 2))
            if nas.dial(mine) != len(mine):
                raise RuntimeError(f"not all lines of {nas.name} came up")
        after: int | None = None
        while len(self.contracts) < self._online:
            more = {} if after is None else {"after": after}
            page = product.get("/contracts", limit=500, **more)
            self.contracts |= {item["username"]: item["id"] for item in page["items"]}
            after = page["next"]
            if after is None:
                break

    def await_table(self, username: str) -> None:
        """Wait until the last imported login is answered: the grant table holds them all."""
        index = int(username.removeprefix("user"))
        deadline = time.monotonic() + 60
        while self.nases[index % 2].dial([index]) == 0:
            if time.monotonic() > deadline:
                raise RuntimeError("the grant table was not published")
        self.nases[index % 2].order("hang_up", usernames=[username])

    def wall_off(self, debtors: Collection[int]) -> None:
        """Let these not pay until their lines are walled off, as their routers see it."""
        today = datetime.now(ZONE).date()
        due_on = today + timedelta(days=1)
        line = {"description": "Plano", "amount_cents": 9_990}
        for index in debtors:
            body = {
                "contract_id": self.contracts[f"user{index}"],
                "due_on": due_on.isoformat(),
                "lines": [line],
            }
            self.invoices[index] = self.product.post("/invoices", body)["id"]
        day = due_on
        for _ in range(15):
            day += timedelta(days=1)
            self.move_clock(day)
            if all(self.stands(index) == "walled" for index in debtors):
                return
        raise RuntimeError("the debtors were not walled off")

    def move_clock(self, day: date) -> None:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE)
        self.product.post("/clock", {"to": noon.isoformat()})

    def nas_of(self, index: int) -> NasProgram:
        return self.nases[index % 2]

    def events(self) -> list[Event]:
        return [event for nas in self.nases for event in nas.events()]

    def stands(self, index: int) -> str:
        profile = standing(self.nas_of(index).events()).get(f"user{index}")
        if profile is None:
            return "down"
        if profile.walled:
            return "walled"
        return "full" if profile.rate_down_bps == DOWN_BPS else "slow"

    def charge(self, index: int) -> str:
        """The txid of a Pix charge for this user's invoice."""
        return str(self.product.post(f"/invoices/{self.invoices[index]}/pix", {})["txid"])

    def restored_at(self, index: int, since_ns: int, within_s: float) -> int | None:
        """When this user's line came back for good, by its router's log; waits for it."""
        deadline = time.monotonic() + within_s
        while True:
            events: Sequence[Event] = self.nas_of(index).events()
            at = restored(events, f"user{index}", since_ns, DOWN_BPS, UP_BPS)
            if at is not None or time.monotonic() > deadline:
                return at
            time.sleep(0.02)

    def await_applied(self, within_s: float) -> None:
        """Wait until the books, too, hold every restored line as told: nobody is asked again."""
        deadline = time.monotonic() + within_s
        while waiting := self.product.get("/metrics/restore")["open"]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"restores not marked: {waiting}")
            time.sleep(0.05)

    def touched_since(self, since_ns: int) -> set[str]:
        """Whose lines were changed, cut off or dropped since then, by the routers' logs."""
        return {
            event.username
            for event in self.events()
            if event.at_ns > since_ns
            and event.username
            and event.event in ("coa", "disconnect", "stop", "profile", "forgotten")
        }
