"""Hostile datagrams through everything that reads one, for a bounded time, from a seed.

`python -m tests.fuzz.decode --seconds 60 --seed 7` ends with one JSON line and exit 0; or with the
datagram in it, a traceback and exit 1, when one raised anything but PeerError, or was believed
though nobody signed it.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from radius import accounting
from radius.codec import (
    Code,
    Packet,
    Secret,
    attribute,
    encode_reply,
    encode_request,
    parse,
    vendor_attribute,
    verify_access_request,
    verify_keyed_request,
    verify_reply,
)
from radius.credentials import (
    Accepted,
    authenticate,
    chap_response,
    hide_pap,
    mschap2_response,
    mschap_response,
    nt_hash,
)
from radius.dictionary import describe
from radius.errors import PeerError
from radius.session_class import Issuer

SECRET = Secret(b"known to the honest")
STRANGE = Secret(b"known to nobody else")
PASSWORD = b"right"
VECTOR = bytes(range(16))
CLASS_KEY = b"c" * 32
INTERESTING = (0, 1, 2, 3, 17, 18, 19, 20, 26, 33, 79, 80, 127, 128, 200, 253, 254, 255)


def corpus(secret: Secret = SECRET) -> list[bytes]:
    """One honest datagram of each kind, always the same ones."""
    name = attribute(1, b"joao")
    challenge, short = b"sixteen octets..", b"8 octets"
    nt = nt_hash(PASSWORD.decode())
    credentials = [
        attribute(2, hide_pap(PASSWORD, secret, VECTOR)),
        attribute(3, chap_response(1, PASSWORD, VECTOR)),
        vendor_attribute(311, 11, short) + vendor_attribute(311, 1, mschap_response(1, nt, short)),
        vendor_attribute(311, 11, challenge)
        + vendor_attribute(311, 25, mschap2_response(1, nt, b"joao", challenge, challenge)),
        attribute(79, b"\x02\x01\x00\x09\x01joao") + attribute(33, b"proxy"),
    ]
    datagrams = [
        encode_request(
            Code.ACCESS_REQUEST,
            1,
            name + each,
            secret,
            message_authenticator=signed,
            authenticator=VECTOR,
        )
        for each in credentials
        for signed in (True, False)
    ]
    session = attribute(44, b"81d00032") + attribute(25, Issuer(CLASS_KEY).make(7, 1, b"ab"))
    counters = b"".join(attribute(kind, b"\0\0\1\0") for kind in (42, 43, 46, 52, 53, 55, 41))
    ipv6 = attribute(97, b"\0\x40" + bytes(16)) + attribute(123, b"\0\x38" + bytes(7))
    for status in (1, 2, 3, 7, 8):
        body = attribute(40, status.to_bytes(4, "big")) + name + session + counters + ipv6
        datagrams.append(
            encode_request(Code.ACCOUNTING_REQUEST, 2, body, secret, message_authenticator=False)
        )
    rate = vendor_attribute(14988, 8, b"1M/1M")
    for code in (Code.COA_REQUEST, Code.DISCONNECT_REQUEST):
        datagrams.append(encode_request(code, 3, name + rate, secret, message_authenticator=True))
    datagrams.append(encode_request(Code.STATUS_SERVER, 4, b"", secret, message_authenticator=True))
    request = parse(datagrams[0])
    for code in (Code.ACCESS_ACCEPT, Code.ACCESS_REJECT):
        datagrams.append(encode_reply(code, request, rate, secret, message_authenticator=True))
    return datagrams


def mutate(chance: random.Random, datagram: bytes, other: bytes) -> bytes:
    """One to eight small damages; half of the time Length is then made to fit again."""
    octets = bytearray(datagram)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(octets)) if octets else 0
        match chance.randrange(7):
            case 0 if octets:
                octets[at] ^= 1 << chance.randrange(8)
            case 1 if octets:
                octets[at] = chance.choice(INTERESTING)
            case 2:
                del octets[at : at + chance.randint(1, 20)]
            case 3:
                octets[at:at] = chance.randbytes(chance.randint(1, 20))
            case 4:
                octets[at:at] = octets[20:] * chance.randint(1, 3)
            case 5:
                octets[at:] = other[at:]
            case _:
                octets += attribute(chance.randint(1, 255), chance.randbytes(chance.randrange(9)))
    if chance.random() < 0.5 and len(octets) >= 4:
        octets[2:4] = min(len(octets), 65_535).to_bytes(2, "big")
    return bytes(octets)


def read_all(packet: Packet, seen: Counter[str]) -> None:
    """What a worker would do with it, and more: the readers must stand packets not verified too."""
    for text in describe(packet):
        if not all(part.isprintable() for part in text):
            raise AssertionError(f"not printable: {text!r}")
    outcome = authenticate(packet, SECRET, b"wrong")
    if isinstance(outcome, Accepted):
        raise AssertionError("a wrong password was accepted")
    authenticate(packet, SECRET, PASSWORD)
    value = packet.first(25)
    if value is not None:
        Issuer(CLASS_KEY).read(value)
    checks = (
        lambda: verify_access_request(packet, STRANGE, "yes"),
        lambda: verify_keyed_request(packet, STRANGE),
        lambda: verify_reply(packet, VECTOR, STRANGE),
    )
    for check in checks:
        try:
            check()
        except PeerError as error:
            seen[error.counter] += 1
        else:
            raise AssertionError("believed under a secret that signed nothing")
    try:
        accounting.read(packet)
        seen["accounting_read"] += 1
    except PeerError as error:
        seen[error.counter] += 1


@dataclass
class Report:
    """What the JSON line says. `last` is the datagram in hand when something breaks."""

    seed: int
    datagrams: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    last: bytes = b""
    ok: bool = False

    def line(self) -> str:
        fields: dict[str, object] = {"fuzz": "mutation", "seed": self.seed, "ok": self.ok}
        fields |= {"datagrams": self.datagrams, "seen": dict(sorted(self.seen.items()))}
        return json.dumps(fields if self.ok else fields | {"datagram": self.last.hex()})


def fuzz(seconds: float, report: Report) -> None:
    """Run until time is up; what breaks escapes, and `report.ok` stays false."""
    chance = random.Random(report.seed)
    honest = corpus()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if chance.random() < 0.1:
            report.last = chance.randbytes(chance.randrange(4200))
        else:
            report.last = mutate(chance, chance.choice(honest), chance.choice(honest))
        report.datagrams += 1
        try:
            packet = parse(report.last)
        except PeerError as error:
            report.seen[error.counter] += 1
            continue
        report.seen["parsed"] += 1
        read_all(packet, report.seen)
    # Nothing parsed would mean that only the doorstep was tested.
    report.ok = report.seen["parsed"] > 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.decode")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    report = Report(options.seed)
    try:
        fuzz(options.seconds, report)
    finally:
        print(report.line())
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
