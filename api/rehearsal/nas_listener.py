"""The simulated NAS as a Dynamic Authorization Server: does what it is asked, or what it was told.

Source: RFC 5176 sections 3 and 3.5 (Error-Cause).
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import assert_never, cast

from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_dynauth import (
    Ack,
    Admitted,
    Behaviour,
    Dropped,
    Gate,
    Late,
    Lie,
    Nak,
    Repeat,
    Silent,
    Source,
)
from api.rehearsal.nas_log import NasLog
from api.rehearsal.nas_profile import BadValueError, changed
from api.rehearsal.nas_session import Session, Sessions, identifiers
from api.rehearsal.nas_wire import Code, Datagram, Type, number, reply

_MISSING_ATTRIBUTE = 402
_NAS_IDENTIFICATION_MISMATCH = 403
_SESSION_CONTEXT_NOT_FOUND = 503
_MULTIPLE_SESSION_SELECTION = 508


@dataclass(slots=True)
class _Script:
    behaviour: Behaviour
    requests_left: int | None


class Listener(asyncio.DatagramProtocol):
    """One UDP port on which CoA- and Disconnect-Requests come."""

    def __init__(
        self,
        config: NasConfig,
        sessions: Sessions,
        log: NasLog,
        disconnect: Callable[[Session], None],
    ) -> None:
        """`disconnect` ends a session whose Disconnect-Request was acknowledged."""
        self._config = config
        self._sessions = sessions
        self._log = log
        self._disconnect = disconnect
        self._accel = config.dialect == "accel_ppp"
        # accel-ppp neither checks nor returns Message-Authenticator on this port (dm_coa.c:109).
        self._gate = Gate(
            config.secret,
            config.window_s,
            config.coa_clients,
            checks_message_authenticator=not self._accel,
        )
        self._scripts: dict[str | None, _Script] = {}
        self._late: set[asyncio.TimerHandle] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def behave(
        self, behaviour: Behaviour, username: str | None = None, requests: int | None = None
    ) -> None:
        """Answer so from now on: to one user's sessions or to all; for ever or so many times."""
        self._scripts[username] = _Script(behaviour, requests)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    @property
    def port(self) -> int:
        if self._transport is None:
            raise RuntimeError("the listener is not open")
        return int(self._transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        for timer in self._late:
            timer.cancel()
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        source = (addr[0], addr[1])
        match self._gate.admit(data, source, time.time()):
            case Dropped(reason, request):
                self._note(request, f"dropped:{reason}")
            case Repeat(request, answer):
                self._send(answer, source)
                self._note(request, "repeat")
            case Admitted(request, reused):
                if reused:
                    self._log.write("identifier_reused", authenticator=request.authenticator)
                self._consider(request, source)
            case unexpected:
                assert_never(unexpected)

    def _consider(self, request: Datagram, source: Source) -> None:
        target = self._target(request)
        session = target if isinstance(target, Session) else None
        if self._accel and session is not None and session.busy:
            # accel-ppp drops a request that comes while another waits for the same session.
            self._ignore(request, source, session, "dropped:pending")
            return
        match self._behaviour(session):
            case Silent():
                self._ignore(request, source, session, "silent")
            case Late(seconds):
                self._answer_later(seconds, request, source, session)
            case (Ack() | Nak() | Lie()) as behaviour:
                self._answer(request, source, behaviour)
            case unexpected:
                assert_never(unexpected)

    def _behaviour(self, session: Session | None) -> Behaviour:
        username = None if session is None else session.line.username
        for key in (username, None):
            script = self._scripts.get(key)
            if script is None:
                continue
            if script.requests_left is not None:
                script.requests_left -= 1
                if script.requests_left <= 0:
                    del self._scripts[key]
            return script.behaviour
        return Ack()

    def _target(self, request: Datagram) -> Session | Nak:
        """The one session that a request names, or why there is none."""
        address = request.first(Type.NAS_IP_ADDRESS)
        name = request.first(Type.NAS_IDENTIFIER)
        if address not in (None, IPv4Address(self._config.bind_host).packed):
            return Nak(_NAS_IDENTIFICATION_MISMATCH)
        if name not in (None, self._config.name.encode()):
            return Nak(_NAS_IDENTIFICATION_MISMATCH)
        named = identifiers(request)
        if not named:
            return Nak(_MISSING_ATTRIBUTE)
        found = self._sessions.matching(named)
        if not found:
            return Nak(_SESSION_CONTEXT_NOT_FOUND)
        if len(found) > 1 and not self._accel:  # accel-ppp takes the first that matches
            return Nak(_MULTIPLE_SESSION_SELECTION)
        return found[0]

    def _ignore(
        self, request: Datagram, source: Source, session: Session | None, outcome: str
    ) -> None:
        self._gate.ignored(request, source)
        self._note(request, outcome, session)

    def _answer_later(
        self, seconds: float, request: Datagram, source: Source, session: Session | None
    ) -> None:
        def answer() -> None:
            self._late.discard(timer)
            if session is not None:
                session.busy = False
            self._answer(request, source, Ack())

        if session is not None:
            session.busy = True
        timer = asyncio.get_running_loop().call_later(seconds, answer)
        self._late.add(timer)

    def _answer(self, request: Datagram, source: Source, behaviour: Ack | Nak | Lie) -> None:
        target = self._target(request)
        session = target if isinstance(target, Session) else None
        outcome: Ack | Nak | Lie = behaviour if isinstance(target, Session) else target
        if session is not None and isinstance(behaviour, Ack) and request.code == Code.COA_REQUEST:
            outcome = self._change(session, request)
        octets = self._reply(request, outcome)
        self._gate.answered(request, source, octets)
        self._send(octets, source)
        match outcome:
            case Ack():
                self._note(request, "ack", session)
                if session is not None and request.code == Code.DISCONNECT_REQUEST:
                    self._disconnect(session)
            case Nak(error_cause=None):
                self._note(request, "nak", session)
            case Nak(cause):
                self._note(request, f"nak:{cause}", session)
            case Lie():
                self._note(request, "lie", session)
            case unexpected:
                assert_never(unexpected)

    def _change(self, session: Session, request: Datagram) -> Ack | Nak:
        before = session.profile
        try:
            after = changed(self._config.dialect, before, request, self._config.walled_name)
        except BadValueError as error:
            return Nak(error.error_cause)
        if after != before:
            session.count_traffic()
            session.profile = after
            self._log.write(
                "profile",
                session,
                before=before,
                after=after,
                outcome="coa",
                authenticator=request.authenticator,
            )
        return Ack()

    def _reply(self, request: Datagram, outcome: Ack | Nak | Lie) -> bytes:
        refused = isinstance(outcome, Nak)
        if request.code == Code.COA_REQUEST:
            code = Code.COA_NAK if refused else Code.COA_ACK
        else:
            code = Code.DISCONNECT_NAK if refused else Code.DISCONNECT_ACK
        cause = outcome.error_cause if isinstance(outcome, Nak) else None
        attributes = [] if cause is None else [(int(Type.ERROR_CAUSE), number(cause))]
        signed = request.first(Type.MESSAGE_AUTHENTICATOR) is not None and not self._accel
        return reply(code, request, attributes, self._config.secret, message_authenticator=signed)

    def _send(self, octets: bytes, source: Source) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(octets, source)

    def _note(self, request: Datagram | None, outcome: str, session: Session | None = None) -> None:
        disconnect = request is not None and request.code == Code.DISCONNECT_REQUEST
        self._log.write(
            "disconnect" if disconnect else "coa",
            session,
            after=None if session is None else session.profile,
            outcome=outcome,
            authenticator=b"" if request is None else request.authenticator,
        )
