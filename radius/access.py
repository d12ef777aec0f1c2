"""Answers Access-Requests and the Status-Server of the authentication port.

Reject is only for wrong credentials, for logins that do not exist, and for one session too many.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

from radius import presence, session_class
from radius.accounting import CALLING_STATION_ID, CLASS, REPLY_MESSAGE, USER_NAME
from radius.clients import Clients, Nas, plain
from radius.codec import (
    EAP_MESSAGE,
    Code,
    Packet,
    attribute,
    encode_reply,
    verify_access_request,
)
from radius.counters import Counters
from radius.credentials import Refused, authenticate
from radius.door import Address, Door, open_datagram
from radius.errors import LocalError
from radius.guesses import Guesses
from radius.presence import Presence
from radius.replay import PENDING, ReplyCache
from radius.table import Answer, GrantTable

_STATUS_SERVER: Final = int(Code.STATUS_SERVER)
_ACCEPT: Final = int(Code.ACCESS_ACCEPT)
_REJECT: Final = int(Code.ACCESS_REJECT)
_CLASS_HEAD: Final = attribute(CLASS, bytes(session_class.OCTETS))[:2]
_TOO_MANY: Final = attribute(REPLY_MESSAGE, b"Simultaneous use limit reached")

_Find = Callable[[bytes, bytes], Answer | None]


# What to send where, and for how many seconds to hold it back. A plain tuple, for speed.
Reply: TypeAlias = tuple[bytes, Address, float]


class _Turn(NamedTuple):
    """What holds for all datagrams that are answered together."""

    now: float
    clients: Clients
    complete: bool


def _pairs() -> Iterator[bytes]:
    """Two random octets at a time, of many drawn with one system call."""
    while True:
        octets = os.urandom(4_096)
        yield from (octets[at : at + 2] for at in range(0, len(octets), 2))


class Access:
    """Who may log in, and with what. `wall` is the time by which sessions are held to be stale."""

    def __init__(
        self,
        table: GrantTable,
        presence_: Presence,
        counters: Counters,
        door: Door,
        guesses: Guesses,
        class_key: bytes,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._table = table
        self._presence = presence_
        self._counters = counters
        self._door = door
        self._guesses = guesses
        self._class_key = class_key
        self._monotonic = monotonic
        self._wall = wall
        self._replies = ReplyCache()
        self._nonces = _pairs().__next__

    def answer(self, datagrams: Sequence[tuple[bytes, Address]]) -> list[Reply]:
        """The replies to these datagrams. No error of one packet goes beyond it."""
        now = self._monotonic()
        replies: list[Reply] = []
        try:
            turn = _Turn(now, self._door.clients(now), self._table.complete())
            with self._table.answers() as find:
                for datagram, address in datagrams:
                    try:
                        reply = self._answer(datagram, address, find, turn)
                    except Exception as error:  # noqa: BLE001 -- it must not end the others' service
                        self._door.failed(plain(address[0]), error)
                        continue
                    if reply is not None:
                        replies.append(reply)
        except LocalError as error:
            self._door.failed("grant table", error)
        return replies

    def _answer(self, datagram: bytes, address: Address, find: _Find, turn: _Turn) -> Reply | None:
        now, clients, complete = turn
        bump = self._counters.bump
        nas = clients.find(address[0])
        packet = open_datagram(datagram)
        signed = verify_access_request(packet, nas.secret, nas.require)
        if packet.code == _STATUS_SERVER:
            bump("status_server")
            # Silence while we could not serve sends the NAS elsewhere (RFC 5997 section 4.2).
            return self._status(packet, nas, address) if complete else None
        bump("access_request")
        key = (address[0], address[1], packet.identifier)
        sent = self._replies.find(key, packet.authenticator, now)
        if sent is not None:
            bump("duplicate")
            return None if sent is PENDING else (sent, address, 0.0)
        if nas.require == "auto" and nas.learn(signed=signed, eap=EAP_MESSAGE in packet.firsts):
            self._door.warn("learnt", plain(address[0]), f"Message-Authenticator: {nas.require}")
        username = packet.firsts.get(USER_NAME, b"")
        granted = find(username, nas.dialect_octets)
        if granted is None and not complete:
            # The first publish is under way: we cannot know yet who does not exist.
            bump("table_incomplete")
            return None
        delay_s = 0.0
        attributes = self._decide(packet, nas, address, granted)
        code, verdict = _ACCEPT, "access_accept"
        if isinstance(attributes, Refused):
            delay_s = self._guesses.delay_s(username, now)
            code, verdict, attributes = _REJECT, "access_reject", attributes.attributes
        octets = encode_reply(code, packet, attributes, nas.secret, message_authenticator=True)
        bump(verdict)
        self._replies.store(key, packet.authenticator, octets, now)
        return octets, address, delay_s

    @staticmethod
    def _status(packet: Packet, nas: Nas, address: Address) -> Reply:
        octets = encode_reply(_ACCEPT, packet, b"", nas.secret, message_authenticator=True)
        return octets, address, 0.0

    def _decide(
        self, packet: Packet, nas: Nas, address: Address, granted: Answer | None
    ) -> bytes | Refused:
        """The attributes of the Accept, or why it is none."""
        if granted is None:
            return Refused(b"", "no such login")
        outcome = authenticate(packet, nas.secret, granted.password)
        if isinstance(outcome, Refused):
            return outcome
        if granted.attributes is None:
            raise LocalError(f"login {granted.login_id} has no reply for {nas.dialect}")
        login_id, generation = granted.login_id, granted.generation
        mark = session_class.make(self._class_key, login_id, generation, self._nonces())
        if granted.sessions_max and not self._place(packet, nas, address, granted, mark):
            self._counters.bump("simultaneous_use")
            return Refused(_TOO_MANY, "too many sessions at once")
        return granted.attributes + _CLASS_HEAD + mark + outcome.attributes

    def _place(
        self, packet: Packet, nas: Nas, address: Address, granted: Answer, mark: bytes
    ) -> bool:
        """Whether there is room for one more session; if so it is reserved until the Start."""
        line = presence.station(packet.first(CALLING_STATION_ID))
        key, peer = presence.digest(mark), nas.digest(plain(address[0]))
        places, now = granted.sessions_max, self._wall()
        try:
            return self._presence.take(granted.login_id, key, line, peer, places, now)
        except LocalError as error:
            # Who is on cannot be told: nobody is locked out for that.
            self._door.failed("presence", error)
            return True
