"""A simulated NAS: dials sessions, accounts for them and obeys CoA, over UDP like a BNG.

It is an outside judge of the server: it shares no RADIUS code with it but the MS-CHAPv2 response,
which published vectors prove. What it saw is in its own log (`nas_log`).
"""

import asyncio
import os
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address
from types import TracebackType
from typing import Any, Self

from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_dynauth import Behaviour
from api.rehearsal.nas_listener import Listener
from api.rehearsal.nas_log import NasLog
from api.rehearsal.nas_profile import BadValueError, granted
from api.rehearsal.nas_records import (
    Cause,
    Status,
    access_attributes,
    accounting_attributes,
    happened_now,
    nas_attributes,
)
from api.rehearsal.nas_session import Line, Session, Sessions
from api.rehearsal.nas_uplink import Uplink
from api.rehearsal.nas_wire import (
    Attribute,
    Code,
    Datagram,
    Type,
    access_request,
    keyed_request,
    number,
)


class Answered(StrEnum):
    """How one attempt to log in ended. UNUSABLE: accepted, with a value this NAS cannot read."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SILENCE = "silence"
    UNUSABLE = "unusable"


@dataclass(frozen=True, slots=True)
class Dialled:
    """How many attempts of one `dial` ended in which way."""

    accepted: int
    rejected: int
    silence: int
    unusable: int


def _no_progress(_count: int) -> None:
    pass


class SimulatedNas:
    """One NAS; `async with` opens and closes it."""

    def __init__(self, config: NasConfig) -> None:
        self.config = config
        self._log = NasLog(config.log_path, config.name)
        self._sessions = Sessions()
        self._own = nas_attributes(config.name, config.bind_host)
        self._access = self._uplink(config.auth_port)
        self._accounting = self._uplink(config.acct_port)
        self._listener = Listener(config, self._sessions, self._log, self._cut_off)
        self._running: set[asyncio.Task[Any]] = set()
        self._accounts: set[asyncio.Task[None]] = set()
        self._ports_given = 0
        self._sessions_begun = 0
        # Acct-Session-Ids may not repeat after a restart (RFC 2866 section 5.5).
        self._boot = f"{int(time.time()):08x}"

    def _uplink(self, port: int) -> Uplink:
        config = self.config
        return Uplink((config.server_host, port), config.bind_host, config.secret, self._suspect)

    def _suspect(self, authenticator: bytes, reason: str) -> None:
        self._log.write("bad_reply", outcome=reason, authenticator=authenticator)

    async def __aenter__(self) -> Self:
        # First what may fail: a port in use, an address that is not this machine's.
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self._listener, local_addr=(self.config.bind_host, self.config.coa_port)
        )
        await self._access.open()
        await self._accounting.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Fall silent, as if switched off: no Accounting-Stop for anyone."""
        self._sessions.clear()  # so that no interim timer finds its session
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._listener.close()
        self._access.close()
        self._accounting.close()
        await asyncio.sleep(0)  # transports close in the loop's next turn
        self._log.close()

    @property
    def coa_port(self) -> int:
        return self._listener.port

    def sessions(self) -> list[Session]:
        return list(self._sessions)

    def behave(
        self, behaviour: Behaviour, username: str | None = None, requests: int | None = None
    ) -> None:
        """Answer CoA and Disconnect so from now on: for one user or all, for ever or N requests."""
        self._listener.behave(behaviour, username, requests)

    async def dial(
        self,
        credentials: Collection[tuple[str, str]],
        rate_per_s: float,
        progress: Callable[[int], None] = _no_progress,
    ) -> Dialled:
        """Log in every (username, password) on a line of its own, so many a second.

        Accounting-Starts go on in the background: see `accounted`.
        """
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        ended: list[Answered] = []

        async def attempt(username: str, password: str) -> None:
            self._ports_given += 1
            ended.append(await self._connect(Line(username, password, self._ports_given)))
            progress(len(ended))

        async with asyncio.TaskGroup() as group:
            for position, (username, password) in enumerate(credentials):
                await asyncio.sleep(began_at + position / rate_per_s - loop.time())
                group.create_task(attempt(username, password))
        return Dialled(**{answered.value: ended.count(answered) for answered in Answered})

    async def interim_all(self) -> None:
        """Send an interim update for every session now; returns when all are answered."""
        for session in self._sessions:
            self._account(session, Status.INTERIM)
        await self.accounted()

    async def accounted(self) -> None:
        """Wait until every Accounting-Request that is under way has been answered."""
        while self._accounts:
            await asyncio.wait(tuple(self._accounts))

    async def hang_up(self, usernames: Iterable[str] | None = None) -> int:
        """End the sessions of these users, or of all, from the subscriber's side."""
        ended: Sequence[Session] = self.sessions()
        if usernames is not None:
            ended = [session for name in usernames for session in self._sessions.of(name)]
        for session in ended:
            self._end(session, Cause.USER_REQUEST)
        await self.accounted()
        return len(ended)

    def forget(self, username: str) -> int:
        """Lose a user's sessions without a word, as when a card is pulled."""
        lost = self._sessions.of(username)
        for session in lost:
            self._lose(session)
        return len(lost)

    async def reboot(self, *, orderly: bool = True) -> int:
        """Lose all sessions; Accounting-Off before if orderly, Accounting-On after."""
        if orderly:
            await self._report(Status.OFF)
        lost = self.sessions()
        for session in lost:
            self._lose(session)
        self._log.write("reboot", outcome="orderly" if orderly else "power")
        await self._report(Status.ON)
        return len(lost)

    def _lose(self, session: Session) -> None:
        if self._sessions.drop(session):
            self._log.write("forgotten", session)

    async def _connect(self, line: Line) -> Answered:
        authenticator = os.urandom(16)
        secret = self.config.secret
        asked = access_attributes(line, self.config.method, authenticator, secret)
        answer = await self._access.ask(
            lambda identifier: access_request(
                identifier, authenticator, [*self._own, *asked], secret
            ),
            self.config.access_timers,
        )
        if answer is None:
            self._log.write("access_silence", username=line.username)
            return Answered.SILENCE
        if answer.code != Code.ACCESS_ACCEPT:
            self._log.write("access_reject", username=line.username, authenticator=authenticator)
            return Answered.REJECTED
        return self._begin(line, answer, authenticator)

    def _begin(self, line: Line, accept: Datagram, authenticator: bytes) -> Answered:
        config = self.config
        try:
            profile = granted(config.dialect, accept, config.walled_name)
        except BadValueError as error:
            self._suspect(authenticator, str(error))
            return Answered.UNUSABLE
        self._sessions_begun += 1
        address = accept.first(Type.FRAMED_IP_ADDRESS)
        interval = accept.first(Type.ACCT_INTERIM_INTERVAL)
        session = Session(
            line=line,
            acct_session_id=f"{self._boot}-{self._sessions_begun:06x}",
            ipv4=line.own_ipv4 if address is None else IPv4Address(address),
            profile=profile,
            class_value=accept.first(Type.CLASS),
            interim_s=config.interim_s if interval is None else int.from_bytes(interval, "big"),
        )
        self._sessions.add(session)
        self._log.write("access_accept", session, authenticator=authenticator)
        self._log.write("profile", session, after=profile, outcome="accept")
        self._account(session, Status.START)
        self._interim_later(session)
        return Answered.ACCEPTED

    def _interim_later(self, session: Session) -> None:
        if session.interim_s:
            asyncio.get_running_loop().call_later(session.interim_s, self._interim_due, session)

    def _interim_due(self, session: Session) -> None:
        if session in self._sessions:
            self._account(session, Status.INTERIM)
            self._interim_later(session)

    def _cut_off(self, session: Session) -> None:
        """After a Disconnect-ACK: Stop, and the subscriber's router dials again by itself."""
        self._end(session, Cause.ADMIN_RESET)
        self._run(self._redial(session.line))

    async def _redial(self, line: Line) -> None:
        answered = Answered.SILENCE
        while answered is Answered.SILENCE:
            await asyncio.sleep(self.config.redial_after_s)
            answered = await self._connect(line)
            self._log.write("redial", username=line.username, outcome=answered.value)

    def _end(self, session: Session, cause: Cause) -> None:
        if self._sessions.drop(session):
            outcome = cause.name.lower()
            self._log.write("stop", session, before=session.profile, outcome=outcome)
            self._account(session, Status.STOP, cause)

    def _account(self, session: Session, status: Status, cause: Cause | None = None) -> None:
        session.count_traffic()
        attributes = accounting_attributes(session, status, cause)
        task = self._run(self._report(status, attributes, session))
        self._accounts.add(task)
        task.add_done_callback(self._accounts.discard)

    async def _report(
        self,
        status: Status,
        attributes: Sequence[Attribute] = (),
        session: Session | None = None,
    ) -> None:
        record = attributes or [(Type.ACCT_STATUS_TYPE, number(status)), *happened_now()]
        answer = await self._accounting.ask(
            lambda identifier: keyed_request(
                Code.ACCOUNTING_REQUEST, identifier, [*self._own, *record], self.config.secret
            ),
            self.config.accounting_timers,
        )
        event = "acct_silence" if answer is None else "acct_ok"
        self._log.write(event, session, outcome=status.name.lower())

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task
