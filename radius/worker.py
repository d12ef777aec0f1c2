"""What a RADIUS server answers: datagrams in, replies out. No sockets, no SQL.

The order is always: known client, sound packet, authentic packet, seen before?, and only then the
decision. Whatever fails before is answered with silence and a counter; what fails on our side is
answered with silence too, so that the NAS asks another server. Reject is only for wrong
credentials and for logins that do not exist.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeVar, assert_never

from radius import session_class
from radius.accounting import CLASS, USER_NAME
from radius.clients import Clients, Nas, plain
from radius.codec import (
    EAP_MESSAGE,
    PACKET_OCTETS_MAX,
    Code,
    Packet,
    attribute,
    encode_reply,
    parse,
    verify_access_request,
    verify_keyed_request,
)
from radius.counters import NAMES, Counters
from radius.credentials import Accepted, Refused, authenticate
from radius.errors import JournalFull, LocalError, PeerError
from radius.journal import Journal
from radius.replay import PENDING, Key, ReplyCache
from radius.sparse_log import SparseLog
from radius.table import GrantTable

# As a socket gives it: host, port, and for IPv6 flow and scope.
Address = tuple[str, int] | tuple[str, int, int, int]

_CLIENTS_CHECK_S: Final = 0.05

_ACCOUNTING_REQUEST: Final = int(Code.ACCOUNTING_REQUEST)
_STATUS_SERVER: Final = int(Code.STATUS_SERVER)
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where a worker finds its files, each its own but the table, and the keys to them."""

    table_path: Path
    journal_path: Path
    counters_path: Path
    table_key: bytes = field(repr=False)
    class_key: bytes = field(repr=False)
    journal_max_bytes: int


class _Fresh(NamedTuple):
    """An Accounting-Request to be recorded, then answered."""

    packet: Packet
    nas: Nas
    source: str
    key: Key
    address: Address


class Worker:
    """One worker's mind. `monotonic` times caches, `wall` dates what is recorded.

    Raises:
        LocalError: table, journal or counters cannot be opened.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._class_key = settings.class_key
        self._monotonic = monotonic
        self._wall = wall
        self._table = GrantTable(settings.table_path, settings.table_key, readonly=True)
        self._journal = Journal(settings.journal_path, settings.journal_max_bytes)
        self._counters = Counters(settings.counters_path)
        self._access_replies = ReplyCache()
        self._accounting_replies = ReplyCache()
        self._clients = Clients(())
        self._clients_version = -1
        self._clients_check_at = monotonic()
        self._sparse = SparseLog(logging.getLogger(__name__))

    def handle_access(self, datagram: bytes, address: Address) -> bytes | None:
        """The reply to what came to the authentication port, or None for silence."""
        source = plain(address[0])
        return self._contained(source, self._access, datagram, source, address[1])

    def handle_accounting(
        self, datagrams: Sequence[tuple[bytes, Address]]
    ) -> list[tuple[bytes, Address]]:
        """The replies to what came to the accounting port, once all of it is recorded together.

        When it cannot be recorded there is no reply (RFC 2866 section 2), and the NAS asks again.
        """
        replies: list[tuple[bytes, Address]] = []
        fresh: list[_Fresh] = []
        for datagram, address in datagrams:
            source = plain(address[0])
            match self._contained(source, self._accounting, datagram, source, address):
                case None:
                    pass
                case bytes(reply):
                    replies.append((reply, address))
                case _Fresh() as one:
                    fresh.append(one)
                case never:
                    assert_never(never)
        if fresh:
            replies += self._record(fresh)
        return replies

    def count_send_failure(self) -> None:
        """A reply could not be sent."""
        self._counters.bump("send_failed")

    def close(self) -> None:
        """Let go of table, journal and counters."""
        self._table.close()
        self._journal.close()
        self._counters.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _access(self, datagram: bytes, source: str, port: int) -> bytes | None:
        now = self._monotonic()
        nas = self._client(source, now)
        packet = _parse(datagram)
        signed = verify_access_request(packet, nas.secret, nas.require)
        if packet.code == _STATUS_SERVER:
            return self._status(packet, nas, Code.ACCESS_ACCEPT, able=self._table.complete())
        self._counters.bump("access_request")
        key = (source, port, packet.identifier)
        sent = self._access_replies.find(key, packet.authenticator, now)
        if sent is not None:
            self._counters.bump("duplicate")
            return None if sent is PENDING else sent
        if nas.require == "auto" and nas.learn(
            signed=signed, eap=packet.first(EAP_MESSAGE) is not None
        ):
            self._sparse.warn("learnt", source, f"Message-Authenticator: {nas.require}", now)
        reply = self._decide(packet, nas)
        if reply is not None:
            self._access_replies.store(key, packet.authenticator, reply, now)
        return reply

    def _decide(self, packet: Packet, nas: Nas) -> bytes | None:
        grant = self._table.find(packet.first(USER_NAME) or b"")
        if grant is None:
            if not self._table.complete():
                # The first publish is under way: we cannot know yet who does not exist.
                self._counters.bump("table_incomplete")
                return None
            return self._reject(packet, nas, b"")
        match authenticate(packet, nas.secret, grant.password):
            case Refused(attributes=attributes):
                return self._reject(packet, nas, attributes)
            case Accepted(attributes=attributes):
                granted = grant.replies.get(nas.dialect)
                if granted is None:
                    raise LocalError(f"login {grant.login_id} has no reply for {nas.dialect}")
                mark = session_class.make(
                    self._class_key, grant.login_id, grant.generation, os.urandom(2)
                )
                reply = encode_reply(
                    Code.ACCESS_ACCEPT,
                    packet,
                    granted + attribute(CLASS, mark) + attributes,
                    nas.secret,
                    message_authenticator=True,
                )
                self._counters.bump("access_accept")
                return reply
            case never:
                assert_never(never)

    def _reject(self, packet: Packet, nas: Nas, attributes: bytes) -> bytes:
        reply = encode_reply(
            Code.ACCESS_REJECT, packet, attributes, nas.secret, message_authenticator=True
        )
        self._counters.bump("access_reject")
        return reply

    def _accounting(self, datagram: bytes, source: str, address: Address) -> bytes | _Fresh | None:
        now = self._monotonic()
        nas = self._client(source, now)
        packet = _parse(datagram)
        if packet.code == _STATUS_SERVER:
            verify_access_request(packet, nas.secret, "yes")
            able = self._journal.has_room()
            return self._status(packet, nas, Code.ACCOUNTING_RESPONSE, able=able)
        if packet.code != _ACCOUNTING_REQUEST:
            raise PeerError(f"code {packet.code} on the accounting port", "unexpected_code")
        verify_keyed_request(packet, nas.secret)
        self._counters.bump("accounting_request")
        key = (source, address[1], packet.identifier)
        sent = self._accounting_replies.find(key, packet.authenticator, now)
        if sent is not None:
            self._counters.bump("duplicate")
            return None if sent is PENDING else sent
        self._accounting_replies.begin(key, packet.authenticator, now)
        return _Fresh(packet, nas, source, key, address)

    def _record(self, fresh: Sequence[_Fresh]) -> list[tuple[bytes, Address]]:
        if not self._contained("journal", self._append, fresh):
            self._counters.bump("accounting_shed", len(fresh))
            for one in fresh:
                self._accounting_replies.forget(one.key)
            return []
        replies: list[tuple[bytes, Address]] = []
        for one in fresh:
            reply = self._contained(one.source, self._acknowledge, one)
            if reply is not None:
                replies.append((reply, one.address))
        return replies

    def _append(self, fresh: Sequence[_Fresh]) -> bool:
        received_at = self._wall()
        try:
            self._journal.append(
                [(received_at, one.nas.nas_id, one.source, one.packet.octets) for one in fresh]
            )
        except JournalFull as error:
            text = f"accounting is not acknowledged: {error}"
            self._sparse.warn("full", "journal", text, self._monotonic())
            return False
        return True

    def _acknowledge(self, one: _Fresh) -> bytes:
        reply = encode_reply(
            Code.ACCOUNTING_RESPONSE, one.packet, b"", one.nas.secret, message_authenticator=False
        )
        self._accounting_replies.store(one.key, one.packet.authenticator, reply, self._monotonic())
        self._counters.bump("accounting_response")
        return reply

    def _status(self, packet: Packet, nas: Nas, code: Code, *, able: bool) -> bytes | None:
        """Status-Server (RFC 5997): silence while we could not serve sends the NAS elsewhere."""
        self._counters.bump("status_server")
        if not able:
            return None
        return encode_reply(code, packet, b"", nas.secret, message_authenticator=True)

    def _client(self, source: str, now: float) -> Nas:
        if now >= self._clients_check_at:
            self._clients_check_at = now + _CLIENTS_CHECK_S
            version = self._table.clients_version()
            if version != self._clients_version:
                self._clients = Clients(self._table.clients(), self._clients)
                self._clients_version = version
        nas = self._clients.find(source)
        if nas is None:
            raise PeerError("no such client; add it as a NAS", "unknown_client")
        return nas

    def _contained(
        self, source: str, answer: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T | None:
        """What `answer` says; no error of any kind goes beyond it. None if there was one."""
        try:
            return answer(*args, **kwargs)
        except PeerError as error:
            counter = error.counter if error.counter in NAMES else "malformed"
            self._counters.bump(counter)
            self._sparse.warn(counter, source, str(error), self._monotonic())
        except LocalError as error:
            self._counters.bump("internal_error")
            self._sparse.warn("local", source, str(error), self._monotonic())
        except Exception as error:  # noqa: BLE001 -- one packet must not end the service of all
            self._counters.bump("internal_error")
            self._sparse.warn("unexpected", source, "unexpected", self._monotonic(), error)
        return None


def _parse(datagram: bytes) -> Packet:
    if len(datagram) > PACKET_OCTETS_MAX:
        raise PeerError(f"more than {PACKET_OCTETS_MAX} octets")
    return parse(datagram)
