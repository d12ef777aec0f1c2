"""Answers Accounting-Requests, once they are safe, and the Status-Server of the accounting port.

When a record cannot be kept there is no reply (RFC 2866 section 2), and the NAS keeps it and asks
again. When not all can be kept, the ones that a later one makes up for go first: interims, then
starts; a Stop is told once.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from radius import presence
from radius.accounting import (
    ACCT_DELAY_TIME,
    ACCT_SESSION_ID,
    ACCT_STATUS_TYPE,
    CALLING_STATION_ID,
    CLASS,
    USER_NAME,
    Status,
)
from radius.clients import Clients, Nas, plain
from radius.codec import (
    HEADER_OCTETS,
    Code,
    Packet,
    encode_reply,
    verify_access_request,
    verify_keyed_request,
)
from radius.counters import Counters
from radius.door import Address, Door, open_datagram
from radius.errors import JournalFull, LocalError, PeerError
from radius.journal import Journal
from radius.presence import Heard, Presence
from radius.replay import PENDING, Key, ReplyCache
from radius.session_class import Issuer
from radius.table import GrantTable

_ACCOUNTING_REQUEST: Final = int(Code.ACCOUNTING_REQUEST)
_ACCOUNTING_RESPONSE: Final = int(Code.ACCOUNTING_RESPONSE)
_STATUS_SERVER: Final = int(Code.STATUS_SERVER)
_START, _STOP, _INTERIM, _ON, _OFF = [
    int(status).to_bytes(4, "big")
    for status in (Status.START, Status.STOP, Status.INTERIM, Status.ON, Status.OFF)
]
_ABOUT_SESSIONS: Final = frozenset((_START, _STOP, _INTERIM))

# From these shares of the journal or of its disk on, the kind is not recorded any more.
_SHED_FROM: Final = {_INTERIM: 0.95, _START: 0.975}
_FULLNESS_CHECK_S: Final = 0.2


class _Fresh(NamedTuple):
    """An Accounting-Request to be recorded, then answered."""

    packet: Packet
    nas: Nas
    source: str
    key: Key
    address: Address


class Recorder:
    """What NASes tell of sessions: kept, then acknowledged, then known to all workers."""

    def __init__(
        self,
        table: GrantTable,
        journal: Journal,
        presence_: Presence,
        counters: Counters,
        door: Door,
        class_key: bytes,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._table = table
        self._journal = journal
        self._presence = presence_
        self._counters = counters
        self._door = door
        self._classes = Issuer(class_key)
        self._monotonic = monotonic
        self._wall = wall
        self._replies = ReplyCache()
        self._fullness = 0.0
        self._fullness_check_at = monotonic()

    def answer(
        self, datagrams: Sequence[tuple[bytes, Address]], *, behind: bool = False
    ) -> list[tuple[bytes, Address]]:
        """The replies to these datagrams, once all that is fresh is recorded together.

        Args:
            datagrams: as received.
            behind: more arrive than are answered: interims are not even opened.
        """
        now = self._monotonic()
        try:
            clients = self._door.clients(now)
        except LocalError as error:
            self._door.failed("grant table", error)
            return []
        replies: list[tuple[bytes, Address]] = []
        fresh: list[_Fresh] = []
        shed = 0
        for datagram, address in datagrams:
            if behind and _status(datagram) == _INTERIM:
                shed += 1
                continue
            try:
                found = self._open(datagram, address, clients, now)
            except Exception as fault:  # noqa: BLE001 -- one packet must not cost the others
                self._door.failed(plain(address[0]), fault)
                continue
            if isinstance(found, _Fresh):
                fresh.append(found)
            elif found is not None:
                replies.append((found, address))
        if shed:
            self._shed(shed, "more arrives than can be recorded")
        if fresh:
            replies += self._record(fresh)
        return replies

    def _open(
        self, datagram: bytes, address: Address, clients: Clients, now: float
    ) -> bytes | _Fresh | None:
        nas = clients.find(address[0])
        packet = open_datagram(datagram)
        if packet.code == _STATUS_SERVER:
            verify_access_request(packet, nas.secret, "yes")
            self._counters.bump("status_server")
            # Silence while we could not serve sends the NAS elsewhere (RFC 5997 section 4.2).
            able = self._journal.has_room() and self._journal.fullness() < _SHED_FROM[_START]
            return self._reply(packet, nas, signed=True) if able else None
        if packet.code != _ACCOUNTING_REQUEST:
            raise PeerError(f"code {packet.code} on the accounting port", "unexpected_code")
        verify_keyed_request(packet, nas.secret)
        self._counters.bump("accounting_request")
        key = (address, packet.identifier)
        sent = self._replies.find(key, packet.authenticator, now)
        if sent is not None:
            self._counters.bump("duplicate")
            return None if sent is PENDING else sent
        self._replies.begin(key, packet.authenticator, now)
        return _Fresh(packet, nas, plain(address[0]), key, address)

    def _record(self, fresh: list[_Fresh]) -> list[tuple[bytes, Address]]:
        kept = self._keep_what_fits(fresh)
        if not kept:
            return []
        received_at = self._wall()
        rows = [(received_at, one.nas.nas_id, one.source, one.packet.octets) for one in kept]
        try:
            self._journal.append(rows)
        except Exception as error:  # noqa: BLE001 -- not acknowledged, and the next batch is tried
            if not isinstance(error, JournalFull):
                self._door.failed("journal", error)
            self._forget(kept, str(error))
            return []
        self._tell_presence(kept, received_at)
        now = self._monotonic()
        replies = []
        for one in kept:
            reply = self._reply(one.packet, one.nas, signed=False)
            self._replies.store(one.key, one.packet.authenticator, reply, now)
            replies.append((reply, one.address))
        self._counters.bump("accounting_response", len(replies))
        return replies

    def _keep_what_fits(self, fresh: list[_Fresh]) -> list[_Fresh]:
        now = self._monotonic()
        if now >= self._fullness_check_at:
            self._fullness_check_at = now + _FULLNESS_CHECK_S
            try:
                self._fullness = self._journal.fullness()
            except LocalError as error:
                self._door.failed("journal", error)
        refused = {kind for kind, share in _SHED_FROM.items() if self._fullness >= share}
        if not refused:
            return fresh
        left_out = [one for one in fresh if one.packet.first(ACCT_STATUS_TYPE) in refused]
        if left_out:
            self._forget(left_out, f"the journal or its disk is {self._fullness:.0%} full")
        return [one for one in fresh if one.packet.first(ACCT_STATUS_TYPE) not in refused]

    def _forget(self, unrecorded: list[_Fresh], why: str) -> None:
        for one in unrecorded:
            self._replies.forget(one.key)
        self._shed(len(unrecorded), why)

    def _shed(self, records: int, why: str) -> None:
        self._counters.bump("accounting_shed", records)
        self._door.warn("full", "journal", f"accounting is not acknowledged: {why}")

    def _tell_presence(self, kept: list[_Fresh], received_at: float) -> None:
        told: list[Heard] = []
        restarts: list[tuple[bytes, float]] = []
        try:
            for one in kept:
                status = one.packet.first(ACCT_STATUS_TYPE)
                if status in _ABOUT_SESSIONS:
                    heard = self._heard(one, received_at, stopped=status == _STOP)
                    if heard is not None:
                        told.append(heard)
                elif status in (_ON, _OFF):
                    restarts.append((one.nas.digest(one.source), _happened(one, received_at)))
            if told or restarts:
                self._presence.hear(told, restarts)
        except Exception as error:  # noqa: BLE001 -- recorded it is; presence only forgets
            self._door.failed("presence", error)

    def _heard(self, one: _Fresh, received_at: float, *, stopped: bool) -> Heard | None:
        """What presence has to know; None where nobody counts this login's sessions."""
        packet, nas = one.packet, one.nas.digest(one.source)
        named = self._table.places_of(packet.first(USER_NAME) or b"")
        for mark in packet.all(CLASS):
            granted = self._classes.read(mark)
            if granted is not None:
                login_id = granted[0]
                key = presence.digest(mark)
                break
        else:
            if named is None:
                return None
            login_id = named[0]
            key = presence.digest(nas, packet.first(ACCT_SESSION_ID) or b"")
        if named == (login_id, 0):
            return None
        line = presence.station(packet.first(CALLING_STATION_ID))
        return Heard(login_id, key, line, nas, _happened(one, received_at), stopped)

    @staticmethod
    def _reply(packet: Packet, nas: Nas, *, signed: bool) -> bytes:
        return encode_reply(
            _ACCOUNTING_RESPONSE, packet, b"", nas.secret, message_authenticator=signed
        )


def _happened(one: _Fresh, received_at: float) -> float:
    """By our clock: receipt less what the NAS says it was late (RFC 2866 section 5.2)."""
    late = one.packet.first(ACCT_DELAY_TIME)
    return received_at - (int.from_bytes(late, "big") if late and len(late) == 4 else 0)


def _status(datagram: bytes) -> bytes | None:
    """The value of Acct-Status-Type in what nobody has looked at yet; None if there is none."""
    at, size = HEADER_OCTETS, len(datagram)
    while at + 2 <= size:
        if datagram[at] == ACCT_STATUS_TYPE:
            return datagram[at + 2 : at + datagram[at + 1]]
        if datagram[at + 1] < 2:
            return None
        at += datagram[at + 1]
    return None
