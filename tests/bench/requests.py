"""The requests that the load consists of, as many NASes would send them, made before any clock.

Request `number` of a socket carries the Identifier `number` mod 256, so that what is on the wire
is fixed in advance and a socket uses an Identifier again only in turn.
"""

import hashlib
import os
import random
from collections.abc import Sequence
from typing import Final

from radius.codec import Code, attribute, encode_request
from radius.credentials import chap_response, hide_pap
from tests.support.radius_worker import SECRET

USERS: Final = 50_000


def name_of(user: int) -> str:
    return f"user{user}"


def password_of(user: int) -> str:
    return f"pw-{user}"


def access_requests(users: Sequence[int]) -> list[bytes]:
    """One for each user, in turn by PAP and by CHAP, each with a Message-Authenticator."""
    return [_access(number, user) for number, user in enumerate(users)]


def drawn(count: int, users: int, seed: int) -> list[int]:
    """`count` of so many users in an order of chance; none twice before each was drawn."""
    chance = random.Random(seed)
    full, rest = divmod(count, users)
    order: list[int] = []
    for size in [users] * full + [rest]:
        order += chance.sample(range(users), size)
    return order


def accounting_requests(count: int, together: int, label: str) -> list[bytes]:
    """Start, Interim-Update and Stop of sessions that only `label` has.

    `together` sessions start, then report, then stop. When that is more than a socket has in
    flight, a session's records follow each other as a NAS sends them.
    """
    made = []
    for number in range(count):
        turn, place = divmod(number, together)
        block, phase = divmod(turn, 3)
        made.append(_accounting(number, block * together + place, phase, label))
    return made


def start_record(identifier: int, user: int, session_id: bytes, class_value: bytes) -> bytes:
    """The Start of a session that was just accepted with this Class."""
    return encode_request(
        Code.ACCOUNTING_REQUEST,
        identifier,
        _session(user, session_id, 1) + attribute(25, class_value),
        SECRET,
        message_authenticator=False,
    )


def access_request(identifier: int, user: int, *, by_chap: bool) -> bytes:
    """What a BNG asks about one subscriber."""
    vector = os.urandom(16)
    password = password_of(user).encode()
    if by_chap:
        challenge = os.urandom(16)
        credential = attribute(3, chap_response(identifier, password, challenge))
        credential += attribute(60, challenge)
    else:
        credential = attribute(2, hide_pap(password, SECRET, vector))
    return encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        attribute(1, name_of(user).encode()) + credential + _port(user),
        SECRET,
        message_authenticator=True,
        authenticator=vector,
    )


def _access(number: int, user: int) -> bytes:
    return access_request(number % 256, user, by_chap=number % 2 == 1)


def _accounting(number: int, session: int, phase: int, label: str) -> bytes:
    session_id = hashlib.sha256(f"{label} {session}".encode()).hexdigest()[:16].encode()
    attributes = _session(session % USERS, session_id, (1, 3, 2)[phase])
    if phase:
        for kind, value in ((42, 1_000_000 * phase), (43, 9_000_000 * phase), (46, 300 * phase)):
            attributes += attribute(kind, value.to_bytes(4, "big"))
    if phase == 2:
        attributes += attribute(49, (1).to_bytes(4, "big"))
    return encode_request(
        Code.ACCOUNTING_REQUEST, number % 256, attributes, SECRET, message_authenticator=False
    )


def _session(user: int, session_id: bytes, status: int) -> bytes:
    return (
        attribute(1, name_of(user).encode())
        + attribute(40, status.to_bytes(4, "big"))
        + attribute(44, session_id)
        + attribute(8, (0x64400000 + user).to_bytes(4, "big"))
        + _port(user)
    )


def _port(user: int) -> bytes:
    """Where the subscriber is connected: NAS-IP-Address to NAS-Port-Type."""
    return (
        attribute(4, bytes((127, 0, 0, 1)))
        + attribute(5, user.to_bytes(4, "big"))
        + attribute(6, (2).to_bytes(4, "big"))
        + attribute(7, (1).to_bytes(4, "big"))
        + attribute(31, b"02:00:" + user.to_bytes(4, "big").hex(":").encode())
        + attribute(32, b"bng1")
        + attribute(61, (15).to_bytes(4, "big"))
    )
