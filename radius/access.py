"""Answers Access-Requests and the Status-Server of the authentication port.

Reject is only for wrong credentials, for logins that do not exist, and for one session too many.
"""

import os
from collections.abc import Callable
from typing import Final

from radius import presence, session_class
from radius.accounting import CALLING_STATION_ID, CLASS, REPLY_MESSAGE, USER_NAME
from radius.clients import Nas, plain
from radius.codec import (
    EAP_MESSAGE,
    Code,
    Packet,
    attribute,
    encode_reply,
    parse,
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


class Access:
    """Who may log in, and with what. `wall` is the time by which sessions are held to be stale."""

    def __init__(
        self,
        table: GrantTable,
        presence: Presence,
        counters: Counters,
        door: Door,
        guesses: Guesses,
        class_key: bytes,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._table = table
        self._presence = presence
        self._counters = counters
        self._door = door
        self._guesses = guesses
        self._class_key = class_key
        self._monotonic = monotonic
        self._wall = wall
        self._replies = ReplyCache()

    def answer(self, datagram: bytes, address: Address) -> bytes | None:
        """The reply, or None for silence. No error of any kind goes beyond this."""
        source = plain(address[0])
        try:
            return self._answer(datagram, source, address[1])
        except Exception as error:  # noqa: BLE001 -- one packet must not end the service of all
            self._door.failed(source, error)
            return None

    def reject_delay_s(self, datagram: bytes) -> float:
        """How long the Reject of this request is held back. To be asked once for each."""
        name = parse(datagram).first(USER_NAME) or b""
        return self._guesses.delay_s(name, self._monotonic())

    def _answer(self, datagram: bytes, source: str, port: int) -> bytes | None:
        now = self._monotonic()
        nas = self._door.client(source, now)
        packet = open_datagram(datagram)
        signed = verify_access_request(packet, nas.secret, nas.require)
        if packet.code == _STATUS_SERVER:
            self._counters.bump("status_server")
            # Silence while we could not serve sends the NAS elsewhere (RFC 5997 section 4.2).
            return self._reply(_ACCEPT, packet, nas, b"") if self._table.complete() else None
        self._counters.bump("access_request")
        key = (source, port, packet.identifier)
        sent = self._replies.find(key, packet.authenticator, now)
        if sent is not None:
            self._counters.bump("duplicate")
            return None if sent is PENDING else sent
        if nas.require == "auto" and nas.learn(
            signed=signed, eap=packet.first(EAP_MESSAGE) is not None
        ):
            self._door.warn("learnt", source, f"Message-Authenticator: {nas.require}")
        reply = self._decide(packet, nas, source)
        if reply is not None:
            self._replies.store(key, packet.authenticator, reply, now)
        return reply

    def _decide(self, packet: Packet, nas: Nas, source: str) -> bytes | None:
        granted = self._table.answer(packet.first(USER_NAME) or b"", nas.dialect_octets)
        if granted is None:
            if not self._table.complete():
                # The first publish is under way: we cannot know yet who does not exist.
                self._counters.bump("table_incomplete")
                return None
            return self._reject(packet, nas, b"")
        outcome = authenticate(packet, nas.secret, granted.password)
        if isinstance(outcome, Refused):
            return self._reject(packet, nas, outcome.attributes)
        if granted.attributes is None:
            raise LocalError(f"login {granted.login_id} has no reply for {nas.dialect}")
        nonce = os.urandom(2)
        mark = session_class.make(self._class_key, granted.login_id, granted.generation, nonce)
        if granted.sessions_max and not self._place(packet, nas, source, granted, mark):
            self._counters.bump("simultaneous_use")
            return self._reject(packet, nas, _TOO_MANY)
        self._counters.bump("access_accept")
        attributes = granted.attributes + _CLASS_HEAD + mark + outcome.attributes
        return self._reply(_ACCEPT, packet, nas, attributes)

    def _place(self, packet: Packet, nas: Nas, source: str, granted: Answer, mark: bytes) -> bool:
        """Whether there is room for one more session; if so it is reserved until the Start."""
        line = presence.station(packet.first(CALLING_STATION_ID))
        key, peer = presence.digest(mark), nas.digest(source)
        try:
            return self._presence.take(
                granted.login_id, key, line, peer, granted.sessions_max, self._wall()
            )
        except LocalError as error:
            # Who is on cannot be told: nobody is locked out for that.
            self._door.failed("presence", error)
            return True

    def _reject(self, packet: Packet, nas: Nas, attributes: bytes) -> bytes:
        self._counters.bump("access_reject")
        return self._reply(_REJECT, packet, nas, attributes)

    @staticmethod
    def _reply(code: int, packet: Packet, nas: Nas, attributes: bytes) -> bytes:
        return encode_reply(code, packet, attributes, nas.secret, message_authenticator=True)
