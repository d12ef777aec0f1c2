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
from radius.presence import Presence
from radius.replay import PENDING, ReplyCache
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
        delay_s = 0.0
        attributes = self._decide(packet, nas, address, granted)
        code = _ACCEPT
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
        mark = self._classes.make(login_id, generation, self._nonce())
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
