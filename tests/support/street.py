"""Neighbours who each live one story on one moving clock, and the judge of what became of them.

The product runs as a process; the judge sees the routers' own logs and what the mail server and the
SMS adapter were handed, and nothing else. Which day it is comes from the stories, never from what
the product says.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from api.rehearsal.nas_log import by_username, standing
from api.rehearsal.nas_profile import Profile
from tests.support.adapter import SECRET
from tests.support.postman import Postman
from tests.support.product import Product, nas_row, plan_row, subscriber_row
from tests.support.programs import NasProgram, PspProgram

ZONE = ZoneInfo("America/Sao_Paulo")
MINUTE = timedelta(minutes=1)
BLOCKED_BPS = 1_000
# What each subject says that the letter is.
SUBJECTS = {
    "aviso de débito": "notice",
    "fatura de": "reminder",
    "recebemos": "receipt",
    "como estamos": "survey",
    "obrigado": "thanks",
}


def at(text: str) -> datetime:
    """A local instant, as in `2037-09-21 08:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@dataclass(frozen=True)
class Came:
    """A letter or an SMS, and between which instants of the moving clock it was handed over."""

    kind: str
    after: datetime
    until: datetime
    text: str
    message_id: str = ""


Deed = Callable[["Street", "Story"], None]


@dataclass
class Story:
    """One subscriber's life. `line` and `told` are all that may happen, in order.

    `line`: the instant at which the line comes to be full, reduced, walled, blocked, or gone.
    `told`: what is delivered and when, of the kinds that `judged` names.
    """

    name: str
    due: Sequence[str]
    line: Sequence[tuple[str, str]]
    told: Sequence[tuple[str, str]] = ()
    deeds: Sequence[tuple[str, Deed]] = ()
    policy: str | None = None
    judged: frozenset[str] = frozenset({"notice"})
    phone: str = ""
    # Static ones, of the login.
    addresses: dict[str, str] = field(default_factory=dict)
    # Whose contract it is too, when the payer is another story's.
    payer: "Story | None" = None
    issued: str = "2037-08-20 10:00"
    index: int = -1
    subscriber_id: int = 0
    contract_id: int = 0
    invoices: list[int] = field(default_factory=list)

    @property
    def username(self) -> str:
        return f"user{self.index}"


class Street:
    """Product, Pix provider, two routers, mail and SMS, with a house for each story."""

    def __init__(self, folder: Path, postman: Postman, stories: Sequence[Story]) -> None:
        self.stories = stories
        self.postman = postman
        for index, story in enumerate(stories):
            story.index = index
        self.product = Product(
            folder,
            clock="manual",
            smtp_url=postman.mail.url,
            sms_url=postman.sms.url,
            sms_secret=SECRET,
        )
        self.psp = PspProgram(f"{self.product.url}/webhooks/pix")
        self.product.settings |= self.psp.settings()
        self.nases = [
            NasProgram(folder, self.product, "pop-even", "mikrotik", "127.0.0.41"),
            NasProgram(folder, self.product, "pop-odd", "accel_ppp", "127.0.0.42"),
        ]
        self.now = at("2037-08-20 10:00")
        self.came: defaultdict[str, list[Came]] = defaultdict(list)
        self._read = 0
        self._heard: set[str] = set()
        self.wrong: list[str] = []

    def close(self) -> None:
        self.product.stop()
        self.psp.stop()
        for nas in self.nases:
            nas.stop()

    def build(self, policies: dict[str, dict[str, Any]]) -> None:
        """Start on the first morning, import everybody, dial."""
        product = self.product.start()
        product.post("/clock", {"to": self.now.isoformat()})
        plan_id = self.post("/plans", _given(plan_row()))["id"]
        for nas in self.nases:
            self.post("/nas", nas_row(nas.name, nas.bind, nas.dialect, nas.coa_port))
        for name, document in policies.items():
            self.put(f"/policies/{name}", document)
        for story in self.stories:
            self._move_in(story, plan_id)
        self._dial()

    def _move_in(self, story: Story, plan_id: int) -> None:
        payer = story.payer or story
        if story.payer is None:
            person = subscriber_row(story.index)
            kept = {name: person[name] for name in ("name", "document", "email")}
            body = kept | ({"phone": story.phone} if story.phone else {})
            story.subscriber_id = self.post("/subscribers", body)["id"]
        login = {"username": story.username, "password": f"pw-{story.index}", **story.addresses}
        body = {
            "subscriber_id": payer.subscriber_id,
            "plan_id": plan_id,
            "due_day": 10,
            "login": login,
        }
        if story.policy is not None:
            body["policy"] = story.policy
        story.contract_id = self.post("/contracts", body)["id"]

    def _dial(self) -> None:
        for parity, nas in enumerate(self.nases):
            *others, last = range(parity, len(self.stories), 2)
            deadline = time.monotonic() + 30
            while not nas.dial([last]):
                if time.monotonic() > deadline:
                    raise RuntimeError("the grant table was not published")
            if nas.dial(others) != len(others):
                raise RuntimeError(f"not all lines of {nas.name} came up")

    def put(self, path: str, body: object) -> Any:
        answer = self.product.client.put(path, json=body)
        if answer.is_error:
            raise RuntimeError(f"PUT {path}: {answer.status_code} {answer.text}")
        return answer.json()

    def post(self, path: str, body: object) -> Any:
        return self.product.post(path, body)

    def knock(self, channel: str, body: str, headers: dict[str, str]) -> dict[str, Any]:
        """What a mail server or an adapter tells of its messages."""
        url = f"{self.product.url}/webhooks/messages/{channel}"
        told = httpx.post(url, content=body, headers=headers, timeout=30)
        assert told.status_code == 200, told.text
        answer: dict[str, Any] = told.json()
        return answer

    def issue(self, story: Story, due_on: str) -> None:
        line = {"description": "Internet", "amount_cents": 9_990}
        body = {"contract_id": story.contract_id, "due_on": due_on, "lines": [line]}
        story.invoices.append(self.post("/invoices", body)["id"])

    def refused(self, path: str, body: object) -> dict[str, Any]:
        """The problem that a POST is refused with."""
        answer = self.product.client.post(path, json=body)
        assert answer.status_code in (409, 422), f"{path} answered {answer.status_code}"
        problem: dict[str, Any] = answer.json()
        return problem

    def live(self, until: str) -> None:
        """Let time pass from deed to deed and from date to date; notes whatever is not as told."""
        deeds: defaultdict[datetime, list[tuple[Story, Deed]]] = defaultdict(list)
        issues: defaultdict[datetime, list[tuple[Story, str]]] = defaultdict(list)
        looks: set[datetime] = {at(until)}
        for story in self.stories:
            for due_on in story.due:
                issues[at(story.issued)].append((story, due_on))
            for when, deed in story.deeds:
                deeds[at(when)].append((story, deed))
            for when, _ in (*story.line, *story.told):
                looks |= {at(when), at(when) - MINUTE}
        # What somebody does at an instant cannot come before it.
        early = {instant - MINUTE for instant in deeds}
        for instant in sorted(looks - early | deeds.keys() | issues.keys()):
            self.move(instant)
            for story, due_on in issues.pop(instant, ()):
                self.issue(story, due_on)
            for story, deed in deeds.pop(instant, ()):
                deed(self, story)
            if instant in looks:
                self._look(instant)

    def move(self, to: datetime) -> None:
        """Let time pass until `to`; standing still does what has become due."""
        moved = self.post("/clock", {"to": to.isoformat()})
        if moved["open"]:
            self.wrong.append(f"{to}: {moved['open']} things were left undone")
        before, self.now = self.now, to
        self.collect(before, to)

    def collect(self, after: datetime, until: datetime) -> None:
        """Date what was handed over since the last look."""
        received = self.postman.mail.received
        fresh, self._read = received[self._read :], len(received)
        for address, message in fresh:
            username = address.replace("assinante", "user").partition("@")[0]
            subject = str(message["Subject"])
            kinds = [kind for words, kind in SUBJECTS.items() if words in subject]
            self.came[username].append(
                Came(kinds[0], after, until, _text(message), str(message["Message-ID"]))
            )
        by_phone = {story.phone: story.username for story in self.stories if story.phone}
        for ours, sent in list(self.postman.sms.delivered.items()):
            if ours not in self._heard:
                self._heard.add(ours)
                kind = "notice" if ours.startswith("notice") else "message"
                username = by_phone[sent["to"].removeprefix("+55")]
                self.came[username].append(Came(f"sms {kind}", after, until, sent["text"]))

    def _look(self, instant: datetime) -> None:
        """Compare every line with its story, as the routers' logs have it."""
        wanted = {story.username: _level_at(story, instant) for story in self.stories}
        deadline = time.monotonic() + 10
        while True:
            seen = self._levels()
            differ = {name: level for name, level in wanted.items() if seen[name] != level}
            if not differ or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        for story in self.stories:
            if story.username in differ:
                found = seen[story.username]
                self.wrong.append(
                    f"{story.name}: at {instant:%Y-%m-%d %H:%M} {found},"
                    f" and it should be {wanted[story.username]}"
                )

    def _levels(self) -> dict[str, str]:
        profiles: dict[str, Profile] = {}
        for nas in self.nases:
            profiles |= standing(nas.events())
        return {story.username: _word(profiles.get(story.username)) for story in self.stories}

    def verdict(self) -> list[str]:
        """Everything that went otherwise than it was written."""
        events = by_username(event for nas in self.nases for event in nas.events())
        found = list(self.wrong)
        for story in self.stories:
            words = [
                _word(event.after)
                for event in events[story.username]
                if event.event == "profile" and event.after is not None
            ]
            lived = [word for n, word in enumerate(words) if n == 0 or word != words[n - 1]]
            meant = ["full", *(level for _, level in story.line if level != "gone")]
            if lived != meant:
                found.append(f"{story.name}: its router saw {lived}, meant was {meant}")
            found += self._letters(story)
        return found

    def _letters(self, story: Story) -> list[str]:
        if story.payer is not None:
            return []
        came = [item for item in self.came[story.username] if item.kind in story.judged]
        told = [
            f"{item.kind} {item.after:%m-%d %H:%M} to {item.until:%m-%d %H:%M}" for item in came
        ]
        right = len(came) == len(story.told) and all(
            item.kind == kind and item.after <= at(when) <= item.until
            for item, (when, kind) in zip(came, story.told, strict=False)
        )
        return [] if right else [f"{story.name}: told {told}, meant was {list(story.told)}"]


def _given(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if value != ""}


def _level_at(story: Story, instant: datetime) -> str:
    level = "full"
    for when, word in story.line:
        if at(when) <= instant:
            level = word
    return level


def _word(profile: Profile | None) -> str:
    if profile is None:
        return "gone"
    if not profile.walled:
        return "full" if profile.rate_down_bps == 100_000_000 else "reduced"
    return "blocked" if profile.rate_down_bps == BLOCKED_BPS else "walled"


def _text(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    return "" if part is None else str(part.get_content())


def texts(came: Iterable[Came], kind: str) -> list[str]:
    """What letters of a kind say, each on one line."""
    return [" ".join(item.text.split()) for item in came if item.kind == kind]
