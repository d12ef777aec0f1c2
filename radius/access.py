"""Answers Access-Requests and the Status-Server of the authentication port.

Reject is only for wrong credentials, for logins that do not exist, and for one session too many.
"""

import os
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from radius import presence
from radius.accounting import CALLING_STATION_ID, CLASS, REPLY_MESSAGE, USER_NAME
from radius.clients import Nas, plain
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
from radius.presence import Ask, Presence
from radius.replay import PENDING, Key, ReplyCache
from radius.session_class import OCTETS, Issuer
from radius.table import Answer, Answers, GrantTable

_STATUS_SERVER: Final = int(Code.STATUS_SERVER)
_ACCEPT: Final = int(Code.ACCESS_ACCEPT)
_REJECT: Final = int(Code.ACCESS_REJECT)
_CLASS_HEAD: Final = attribute(CLASS, bytes(OCTETS))[:2]
_TOO_MANY: Final = attribute(REPLY_MESSAGE, b"Simultaneous use limit reached")

_RANDOM_OCTETS: Final = 4_096

# What to send where, and for how many seconds to hold it back. A plain tuple, for speed.
Reply: TypeAlias = tuple[bytes, Address, float]


class _Asking:
    """A login whose password is right, and whose place is asked for together with others'."""

    __slots__ = ("address", "ask", "attributes", "key", "nas", "packet", "username")

    def __init__(
        self,
        packet: Packet,
        nas: Nas,
        address: Address,
        key: Key,
        username: bytes,
        ask: Ask,
        attributes: bytes,
    ) -> None:
        self.packet = packet
        self.nas = nas
        self.address = address
        self.key = key
        self.username = username
        self.ask = ask
        self.attributes = attributes


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
        self._classes = Issuer(class_key)
        self._monotonic = monotonic
        self._wall = wall
        self._replies = ReplyCache()
        self._asking: list[_Asking] = []
        # Counted for each packet, and so told once for all that are answered together.
        self._requests = 0
        self._accepts = 0
        self._random = b""
        self._random_at = 0

    def answer(self, datagrams: Sequence[tuple[bytes, Address]]) -> list[Reply]:
        """The replies to these datagrams. No error of one packet goes beyond it."""
        now = self._monotonic()
        replies: list[Reply] = []
        try:
            clients, complete = self._door.clients(now), self._table.complete()
            with self._table.answers() as answers:
                for datagram, address in datagrams:
                    try:
                        nas = clients.find(address[0])
                        reply = self._answer(datagram, address, nas, answers, complete, now)
                    except Exception as error:  # noqa: BLE001 -- it must not end the others' service
                        self._door.failed(plain(address[0]), error)
                        continue
                    if reply is not None:
                        replies.append(reply)
        except LocalError as error:
            self._door.failed("grant table", error)
        if self._asking:
            replies += self._place(now)
        self._counters.bump("access_request", self._requests)
        self._counters.bump("access_accept", self._accepts)
        self._requests = self._accepts = 0
        return replies

    def _answer(
        self,
        datagram: bytes,
        address: Address,
        nas: Nas,
        answers: Answers,
        complete: bool,
        now: float,
    ) -> Reply | None:
        packet = open_datagram(datagram)
        signed = verify_access_request(packet, nas.secret, nas.require)
        if packet.code == _STATUS_SERVER:
            self._counters.bump("status_server")
            # Silence while we could not serve sends the NAS elsewhere (RFC 5997 section 4.2).
            return self._status(packet, nas, address) if complete else None
        self._requests += 1
        key = (address, packet.identifier)
        sent = self._replies.find(key, packet.authenticator, now)
        if sent is not None:
            self._counters.bump("duplicate")
            return None if sent is PENDING else (sent, address, 0.0)
        if nas.require == "auto" and nas.learn(signed=signed, eap=EAP_MESSAGE in packet.places):
            self._door.warn("learnt", plain(address[0]), f"Message-Authenticator: {nas.require}")
        username = packet.first(USER_NAME) or b""
        granted = answers.find(username, nas.dialect_octets)
        if granted is None and not complete:
            # The first publish is under way: we cannot know yet who does not exist.
            self._counters.bump("table_incomplete")
            return None
        attributes = self._decide(packet, nas, granted)
        if granted is not None and granted.sessions_max and not isinstance(attributes, Refused):
            ask = self._ask(packet, nas, address, granted, attributes)
            self._asking.append(_Asking(packet, nas, address, key, username, ask, attributes))
            self._replies.begin(key, packet.authenticator, now)
            return None
        return self._reply(packet, nas, address, key, username, attributes, now)

    def _reply(
        self,
        packet: Packet,
        nas: Nas,
        address: Address,
        key: Key,
        username: bytes,
        attributes: bytes | Refused,
        now: float,
    ) -> Reply:
        code, delay_s = _ACCEPT, 0.0
        if isinstance(attributes, Refused):
            delay_s = self._guesses.delay_s(username, now)
            code, attributes = _REJECT, attributes.attributes
        octets = encode_reply(code, packet, attributes, nas.secret, message_authenticator=True)
        if code == _ACCEPT:
            self._accepts += 1
        else:
            self._counters.bump("access_reject")
        self._replies.store(key, packet.authenticator, octets, now)
        return octets, address, delay_s

    def _nonce(self) -> bytes:
        """Two random octets, of many drawn with one system call."""
        at = self._random_at
        if at == len(self._random):
            self._random, at = os.urandom(_RANDOM_OCTETS), 0
        self._random_at = at + 2
        return self._random[at : at + 2]

    @staticmethod
    def _status(packet: Packet, nas: Nas, address: Address) -> Reply:
        octets = encode_reply(_ACCEPT, packet, b"", nas.secret, message_authenticator=True)
        return octets, address, 0.0

    def _decide(self, packet: Packet, nas: Nas, granted: Answer | None) -> bytes | Refused:
        """The attributes of the Accept, its Class first, or why it is none."""
        if granted is None:
            return Refused(b"", "no such login")
        outcome = authenticate(packet, nas.secret, granted.password)
        if isinstance(outcome, Refused):
            return outcome
        if granted.attributes is None:
            raise LocalError(f"login {granted.login_id} has no reply for {nas.dialect}")
        mark = self._classes.make(granted.login_id, granted.generation, self._nonce())
        return _CLASS_HEAD + mark + granted.attributes + outcome.attributes

    @staticmethod
    def _ask(packet: Packet, nas: Nas, address: Address, granted: Answer, attributes: bytes) -> Ask:
        mark = attributes[len(_CLASS_HEAD) : len(_CLASS_HEAD) + OCTETS]
        line = presence.station(packet.first(CALLING_STATION_ID))
        peer = nas.digest(plain(address[0]))
        return Ask(granted.login_id, presence.digest(mark), line, peer, granted.sessions_max)

    def _place(self, now: float) -> list[Reply]:
        """The replies to those who asked for a place; there is one, reserved until the Start."""
        asking, self._asking = self._asking, []
        try:
            rooms = self._presence.take([one.ask for one in asking], self._wall())
        except LocalError as unknown:
            # Who is on cannot be told: nobody is locked out for that.
            self._door.failed("presence", unknown)
            rooms = [True] * len(asking)
        replies: list[Reply] = []
        for one, room in zip(asking, rooms, strict=True):
            attributes: bytes | Refused = one.attributes
            if not room:
                self._counters.bump("simultaneous_use")
                attributes = Refused(_TOO_MANY, "too many sessions at once")
            try:
                reply = self._reply(
                    *(one.packet, one.nas, one.address, one.key, one.username),
                    *(attributes, now),
                )
            except Exception as error:  # noqa: BLE001 -- it must not end the others' service
                self._replies.forget(one.key)
                self._door.failed(plain(one.address[0]), error)
                continue
            replies.append(reply)
        return replies
