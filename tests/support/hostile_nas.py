"""What a NAS that we know may tell to do harm: attributes of Accounting-Requests, by attack."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from radius.session_class import Issuer
from tests.support.database import Added
from tests.support.must_reject import attribute

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
NOW: Final = int(time.time())
MOST: Final = b"\xff" * 4


def number(kind: int, value: int) -> bytes:
    """An attribute of four octets."""
    return attribute(kind, value.to_bytes(4, "big"))


def told(
    status: int, *more: bytes, session_id: bytes = b"h1", username: bytes = b"mallory"
) -> bytes:
    """The attributes of one Accounting-Request."""
    return number(40, status) + attribute(44, session_id) + attribute(1, username) + b"".join(more)


@dataclass(frozen=True, slots=True)
class Victim:
    """Somebody else's subscriber, on a session of somebody else's NAS."""

    added: Added
    session_id: bytes

    @property
    def username(self) -> bytes:
        return self.added.username.encode()


Attack = Callable[[Victim], list[bytes]]


def forged_classes(victim: Victim) -> list[bytes]:
    """Class values in our shape that name the victim and that we never issued."""
    made = Issuer(b"x" * 32).make(victim.added.login_id, 9, b"ab")
    return [made, made[:-12] + b"0" * 12, made.upper(), made[:-1], b"ai:" + bytes(32), b"ai:"]


NASTY: Final[Mapping[str, bytes]] = {
    "sql": b"'; drop table sessions; --",
    "nul": b"a\x00b",
    "terminal escapes": b"\x1b[2J\x1b]0;owned\x07",
    "lines": b"ok\r\n127.0.0.1 accepted",
    "right to left": "abc\u202egnp.exe\u2066".encode(),
    "no utf-8": b"\xff\xfe\xc0\x80\xed\xa0\x80\xf5",
    "markup": b"<script>alert(1)</script>{{7*7}}%s%n",
    "253 octets": b"x" * 253,
    "253 octets that are no text": b"\xff" * 253,
    "nothing": b"",
}
TEXTS: Final = (1, 11, 18, 30, 31, 32, 44, 77, 87, 88)
NUMBERS: Final = (4, 5, 8, 40, 41, 42, 43, 45, 46, 47, 48, 49, 52, 53, 55, 61, 85)

ATTACKS: Final[Mapping[str, Attack]] = {
    "200 attributes": lambda _: [told(START, attribute(25, b"") * 197)],
    "one session id for many users": lambda _: [
        told(START, username=b"user%d" % each) for each in range(40)
    ],
    "the victim's session id and name": lambda victim: [
        told(status, number(42, 5), session_id=victim.session_id, username=victim.username)
        for status in (START, INTERIM, STOP)
    ],
    "forged Class of the victim": lambda victim: [
        told(status, attribute(25, each), session_id=victim.session_id, username=victim.username)
        for each in forged_classes(victim)
        for status in (START, STOP)
    ],
    "counters that go back": lambda _: [
        told(status, number(42, octets), number(43, octets), number(46, octets))
        for status, octets in ((INTERIM, 1000), (INTERIM, 10), (STOP, 5), (INTERIM, 0), (START, 1))
    ],
    "the greatest numbers": lambda _: [
        told(INTERIM, *(attribute(kind, MOST) for kind in NUMBERS if kind not in (40, 55))),
        told(STOP, *(attribute(kind, MOST) for kind in NUMBERS if kind != 40)),
    ],
    "numbers of every size": lambda _: [
        told(INTERIM, *(attribute(kind, b"\xff" * size) for kind in NUMBERS if kind != 40))
        for size in (0, 1, 2, 3, 5, 8, 16)
    ],
    "instants beyond belief": lambda _: [
        told(status, number(55, stamp), number(41, delay), number(46, delay))
        for status in (START, STOP, ON)
        for stamp in (0, 1, NOW - 6 * 86_400, NOW + 299, 2**31, 2**32 - 1)
        for delay in (0, 2**31, 2**32 - 1)
    ],
    "prefixes of every length": lambda _: [
        told(START, attribute(kind, bytes((0, bits)) + b"\xff" * size), session_id=b"p%d" % bits)
        for kind in (97, 123, 168)
        for bits in (0, 1, 64, 128, 129, 255)
        for size in (0, 1, 16, 17, 20)
    ],
    "Accounting-On and -Off, again and again": lambda _: [
        told(status, number(55, NOW + late), session_id=b"boot")
        for late in range(-150, 150)
        for status in (ON, OFF)
    ],
    "very many Proxy-States": lambda _: [told(START, attribute(33, b"p") * 190)],
    "very long Proxy-States": lambda _: [told(START, attribute(33, b"p" * 253) * 15)],
    "noise in every attribute": lambda _: [
        told(
            chance.choice((START, STOP, INTERIM)),
            *(
                attribute(kind, chance.randbytes(chance.randrange(20)))
                for kind in chance.sample(range(2, 256), 100)
                if kind not in (40, 80)
            ),
        )
        for chance in map(random.Random, range(100))
    ],
    **{
        f"{name} in every text": lambda _, value=value: [  # type: ignore[misc]
            number(40, status)
            + b"".join(attribute(each, value) for each in TEXTS if each != 44)
            + attribute(44, value or b"s")
            for status in (START, INTERIM, STOP)
        ]
        for name, value in NASTY.items()
    },
}
