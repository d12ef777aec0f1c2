"""What the simulated NAS saw and did, one JSON object a line: the ground truth tests judge by."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from api.rehearsal.nas_profile import Profile
from api.rehearsal.nas_session import Session


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. `at_ns` is wall time, strictly rising within one NAS's log.

    `event` is one of: `access_accept`, `access_reject`, `access_silence`, `bad_reply`, `acct_ok`,
    `acct_silence` (outcome: the status type), `profile` (before, after), `coa`, `disconnect`
    (outcome: `ack`, `nak`, `nak:CAUSE`, `lie`, `silent`, `repeat`, `dropped:REASON`),
    `identifier_reused`, `stop` (outcome: the terminate cause), `forgotten`, `redial`, `reboot`.
    """

    at_ns: int
    nas: str
    event: str
    username: str = ""
    session_id: str = ""
    before: Profile | None = None
    after: Profile | None = None
    outcome: str = ""
    authenticator: str = ""


class NasLog:
    """Appends events to a file, each line handed to the kernel at once, so a reader sees it."""

    def __init__(self, path: Path, nas: str) -> None:
        self._nas = nas
        self._last_ns = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8", buffering=1)

    def write(
        self,
        event: str,
        session: Session | None = None,
        *,
        username: str = "",
        before: Profile | None = None,
        after: Profile | None = None,
        outcome: str = "",
        authenticator: bytes = b"",
    ) -> None:
        """Note what happened, to a session or, where there is none, to a user."""
        # A wall clock may stand still or step back; the order of what happened may not.
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        line: dict[str, object] = {"at_ns": self._last_ns, "nas": self._nas, "event": event}
        optional = {
            "username": username if session is None else session.line.username,
            "session_id": "" if session is None else session.acct_session_id,
            "before": _profile_fields(before),
            "after": _profile_fields(after),
            "outcome": outcome,
            "authenticator": authenticator.hex(),
        }
        line.update({name: value for name, value in optional.items() if value})
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _profile_fields(profile: Profile | None) -> dict[str, object] | None:
    if profile is None:
        return None
    return {
        "rate_down_bps": profile.rate_down_bps,
        "rate_up_bps": profile.rate_up_bps,
        "walled": profile.walled,
    }


def _event(line: str) -> Event:
    fields = json.loads(line)
    for name in ("before", "after"):
        if name in fields:
            fields[name] = Profile(**fields[name])
    return Event(**fields)


def read_log(path: Path) -> list[Event]:
    """All events of a log, oldest first. A last line still being written is left out."""
    text = path.read_text(encoding="utf-8")
    return [_event(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def by_username(events: Iterable[Event]) -> dict[str, list[Event]]:
    """The events of each user, in order."""
    users: dict[str, list[Event]] = {}
    for event in events:
        if event.username:
            users.setdefault(event.username, []).append(event)
    return users


def standing(events: Iterable[Event]) -> dict[str, Profile]:
    """The profile of every user who is online at the end; logs of several NASes may be joined."""
    online: dict[tuple[str, str], tuple[str, Profile]] = {}
    for event in events:
        session = (event.nas, event.session_id)  # only both together are unique
        match event:
            case Event(event="profile", after=Profile() as after):
                online[session] = (event.username, after)
            case Event(event="stop" | "forgotten"):
                online.pop(session, None)
    return dict(online.values())


def restored(
    events: Iterable[Event],
    username: str,
    since_ns: int,
    rate_down_bps: int,
    rate_up_bps: int,
) -> int | None:
    """When, after `since_ns`, this user's line came to these rates outside the walled garden.

    For good: a line that reached them and left them again counts from its last return; None if it
    is not there at the end of the events. Time in which it was already there does not count as a
    restore, so `since_ns` is to lie before the switch.
    """
    wanted = Profile(rate_down_bps, rate_up_bps, walled=False)
    reached: int | None = None
    for event in events:
        if event.username != username or event.event not in ("profile", "stop", "forgotten"):
            continue
        if event.after != wanted:
            reached = None
        elif reached is None and event.at_ns > since_ns:
            reached = event.at_ns
    return reached
