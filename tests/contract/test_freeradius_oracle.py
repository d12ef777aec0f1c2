"""FreeRADIUS as an oracle: the same datagrams to both servers, with the same users and secret.

Both must be silent or answer alike. Where we differ on purpose, `DIFFERENCES` says how and why:
FreeRADIUS 3.2.1, which Debian ships, predates the answer to CVE-2024-3596 (BlastRADIUS).
"""

import os
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from radius.codec import (
    Code,
    Secret,
    attribute,
    encode_request,
    parse,
    vendor_attribute,
    verify_reply,
)
from radius.credentials import (
    MICROSOFT,
    MS_CHAP2_SUCCESS,
    chap_response,
    hide_pap,
    mschap2_response,
    mschap_response,
    nt_hash,
)
from tests.support.freeradius import freeradius_with_files
from tests.support.radius_process import radius_process
from tests.support.radius_worker import SECRET, accounting, pap, status_server, udp

PASSWORDS = {
    "ana": "correct horse",
    "joão": "senha-é-ção",
    "02:00:00:00:00:01": "x",
    "longa": "p" * 100,
    "e": " spaces at both ends ",
}
SEED = 3
CASES = 1_000
FENCE = 255  # an Identifier that no case uses

ACCEPT, REJECT, RESPONSE, SILENCE = "accept", "reject", "response", "silence"
_VERDICTS = {
    int(Code.ACCESS_ACCEPT): ACCEPT,
    int(Code.ACCESS_REJECT): REJECT,
    int(Code.ACCOUNTING_RESPONSE): RESPONSE,
}

DIFFERENCES = {
    "PAP and CHAP at once": (REJECT, ACCEPT, "which credential counts would be a guess"),
    "Proxy-State without Message-Authenticator": (
        SILENCE,
        ACCEPT,
        "may be the forgery of CVE-2024-3596",
    ),
    "user with a NUL behind": (REJECT, ACCEPT, "a name is its octets, also those behind a NUL"),
}
"""Name -> ours, FreeRADIUS's, reason."""


@dataclass(frozen=True, slots=True)
class Server:
    auth_port: int
    acct_port: int


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Ours and FreeRADIUS, each answering in the order of asking."""
    with ExitStack() as stack:
        ours = stack.enter_context(
            radius_process(tmp_path_factory.mktemp("ours"), PASSWORDS, require="no")
        )
        theirs = stack.enter_context(
            freeradius_with_files(
                tmp_path_factory.mktemp("theirs"), PASSWORDS.items(), threads=1, reject_delay_s=0
            )
        )
        yield (
            Server(ours.auth_port, ours.acct_port),
            Server(theirs.auth_port, theirs.acct_port),
        )


def signed(identifier: int, attributes: bytes, vector: bytes | None = None) -> bytes:
    """An Access-Request with a Message-Authenticator."""
    return encode_request(
        Code.ACCESS_REQUEST,
        identifier,
        attributes,
        SECRET,
        message_authenticator=True,
        authenticator=vector,
    )


def unsigned(identifier: int, attributes: bytes) -> bytes:
    """An Access-Request of any attributes, without a Message-Authenticator."""
    size = (20 + len(attributes)).to_bytes(2, "big")
    return bytes((1, identifier)) + size + os.urandom(16) + attributes


def hidden(vector: bytes, password: str = "correct horse") -> bytes:
    return attribute(2, hide_pap(password.encode(), SECRET, vector))


ANA = attribute(1, b"ana")
V = bytes(range(16))
CHAP = attribute(3, chap_response(9, b"correct horse", V))


def twice_signed(identifier: int) -> bytes:
    """A right Message-Authenticator, computed with a second one of zeros behind it."""
    return signed(identifier, ANA + hidden(V) + attribute(80, bytes(16)), V)


AUTH_CASES: dict[str, Callable[[int], bytes]] = {
    "PAP": lambda n: pap(n, b"ana"),
    "PAP, wrong": lambda n: pap(n, b"ana", b"wrong horse"),
    "PAP, one octet more": lambda n: pap(n, b"ana", b"correct horses"),
    "PAP, one octet less": lambda n: pap(n, b"ana", b"correct hors"),
    "PAP, empty password": lambda n: pap(n, b"ana", b""),
    "PAP, unsigned": lambda n: pap(n, b"ana", signed=False),
    "PAP, unsigned under another secret": lambda n: pap(
        n, b"ana", signed=False, secret=Secret(b"another")
    ),
    "PAP, signed under another secret": lambda n: pap(n, b"ana", secret=Secret(b"another")),
    "PAP of 15 octets": lambda n: signed(n, ANA + attribute(2, bytes(15)), V),
    "PAP of 144 octets": lambda n: signed(n, ANA + attribute(2, bytes(144)), V),
    "another's password": lambda n: pap(n, "joão".encode()),
    "unknown user": lambda n: pap(n, b"nobody"),
    "user in capitals": lambda n: pap(n, b"ANA"),
    "user with a space behind": lambda n: pap(n, b"ana "),
    "user with a NUL behind": lambda n: pap(n, b"ana\0"),
    "user with a domain before": lambda n: pap(n, b"ISP\\ana"),
    "user with a realm behind": lambda n: pap(n, b"ana@isp.example"),
    "no user": lambda n: signed(n, hidden(V), V),
    "empty user": lambda n: signed(n, attribute(1, b"") + hidden(V), V),
    "no credential": lambda n: signed(n, ANA),
    "CHAP over the authenticator": lambda n: signed(n, ANA + CHAP, V),
    "CHAP, challenge beside it": lambda n: signed(n, ANA + CHAP + attribute(60, V)),
    "CHAP, another challenge": lambda n: signed(n, ANA + CHAP + attribute(60, V[::-1])),
    "CHAP of 16 octets": lambda n: signed(n, ANA + attribute(3, bytes(16)), V),
    "CHAP of 18 octets": lambda n: signed(n, ANA + attribute(3, bytes(18)), V),
    "PAP and CHAP at once": lambda n: signed(n, ANA + hidden(V) + CHAP, V),
    "MS-CHAPv2 without its challenge": lambda n: signed(
        n, ANA + vendor_attribute(MICROSOFT, 25, bytes(50))
    ),
    "MS-CHAPv2 of 49 octets": lambda n: signed(
        n,
        ANA + vendor_attribute(MICROSOFT, 11, V) + vendor_attribute(MICROSOFT, 25, bytes(49)),
    ),
    "padded": lambda n: pap(n, b"ana") + bytes(9),
    "truncated by one octet": lambda n: pap(n, b"ana")[:-1],
    "truncated to its header": lambda n: pap(n, b"ana")[:20],
    "less than a header": lambda n: pap(n, b"ana")[:19],
    "one octet": lambda n: b"\1",
    "no octet": lambda n: b"",
    "Length 19": lambda n: bytes((1, n, 0, 19)) + V,
    "Length 4096": lambda n: unsigned(
        n, attribute(24, bytes(253)) * 15 + attribute(24, bytes(249))
    ),
    "Length 4097": lambda n: unsigned(
        n, attribute(24, bytes(253)) * 15 + attribute(24, bytes(250))
    ),
    "attribute beyond the end": lambda n: unsigned(n, ANA + hidden(V) + b"\x04\x07\1\2\3\4"),
    "attribute of length 0": lambda n: unsigned(n, ANA + hidden(V) + b"\x04\0"),
    "attribute of length 1": lambda n: unsigned(n, ANA + hidden(V) + b"\x04\1"),
    "attribute without a length": lambda n: unsigned(n, ANA + hidden(V) + b"\x04"),
    "attribute of type 0": lambda n: unsigned(n, ANA + hidden(V) + b"\0\x03x"),
    "200 attributes": lambda n: unsigned(n, ANA * 200),
    "201 attributes": lambda n: unsigned(n, ANA * 201),
    "vendor attribute beyond the end": lambda n: pap(
        n, b"ana", extra=attribute(26, b"\0\0\x3a\x8c\x08\x20ab")
    ),
    "vendor attribute of two octets": lambda n: pap(n, b"ana", extra=attribute(26, b"\0\0")),
    "Message-Authenticator wrong": lambda n: unsigned(
        n, attribute(80, bytes(16)) + ANA + hidden(V)
    ),
    "Message-Authenticator of 15 octets": lambda n: unsigned(
        n, attribute(80, bytes(15)) + ANA + hidden(V)
    ),
    "two Message-Authenticators": twice_signed,
    "Proxy-State, signed": lambda n: pap(n, b"ana", extra=attribute(33, b"a proxy")),
    "Proxy-State without Message-Authenticator": lambda n: pap(
        n, b"ana", signed=False, extra=attribute(33, b"a proxy")
    ),
    "EAP-Message without Message-Authenticator": lambda n: pap(
        n, b"ana", signed=False, extra=attribute(79, b"\2\1\0\x05\1")
    ),
    "Status-Server": status_server,
    "Status-Server, unsigned": lambda n: status_server(n, signed=False),
    "Accounting-Request": lambda n: accounting(n, b"s"),
    "an Access-Accept": lambda n: b"\2" + pap(n, b"ana")[1:],
    "a Disconnect-Request": lambda n: encode_request(
        Code.DISCONNECT_REQUEST, n, ANA, SECRET, message_authenticator=False
    ),
    "code 0": lambda n: b"\0" + pap(n, b"ana")[1:],
    "code 255": lambda n: b"\xff" + pap(n, b"ana")[1:],
}


NAS = attribute(4, bytes((127, 0, 0, 1)))

ACCT_CASES: dict[str, Callable[[int], bytes]] = {
    "Start": lambda n: accounting(n, b"s", extra=NAS),
    "Interim-Update": lambda n: accounting(n, b"s", status=3, extra=NAS),
    "Stop": lambda n: accounting(n, b"s", status=2, extra=NAS),
    "Accounting-On": lambda n: accounting(n, b"s", status=7, extra=NAS),
    "Accounting-Off": lambda n: accounting(n, b"s", status=8, extra=NAS),
    "status 15": lambda n: accounting(n, b"s", status=15, extra=NAS),
    "under another secret": lambda n: accounting(n, b"s", secret=Secret(b"another")),
    "authenticator of zeros": lambda n: (whole := accounting(n, b"s"))[:4] + bytes(16) + whole[20:],
    "one octet changed": lambda n: accounting(n, b"s")[:-1] + b"S",
    "padded": lambda n: accounting(n, b"s") + bytes(9),
    "truncated by one octet": lambda n: accounting(n, b"s")[:-1],
    "signed": lambda n: encode_request(
        Code.ACCOUNTING_REQUEST,
        n,
        ANA + NAS + attribute(40, b"\0\0\0\1") + attribute(44, b"s"),
        SECRET,
        message_authenticator=True,
    ),
    "Message-Authenticator wrong": lambda n: encode_request(
        Code.ACCOUNTING_REQUEST,
        n,
        ANA + NAS + attribute(40, b"\0\0\0\1") + attribute(44, b"s") + attribute(80, bytes(16)),
        SECRET,
        message_authenticator=False,
    ),
    "Proxy-State": lambda n: accounting(n, b"s", extra=NAS + attribute(33, b"a proxy")),
    "Access-Request": lambda n: pap(n, b"ana"),
    "Status-Server": status_server,
    "Status-Server, unsigned": lambda n: status_server(n, signed=False),
}


def honest_login(identifier: int) -> bytes:
    return pap(identifier, b"ana")


def honest_record(identifier: int) -> bytes:
    """Each is another session's: a repeated one would be answered from memory, out of turn."""
    return accounting(identifier, os.urandom(8).hex().encode(), extra=NAS)


def verdicts(
    port: int, datagrams: Sequence[bytes], fence: Callable[[int], bytes]
) -> list[tuple[str, bytes | None]]:
    """What a server made of each, and the proof of MS-CHAPv2 that it gave.

    After each datagram comes an honest request: when that is answered, the server has been silent.
    """
    found = []
    with udp() as sock:
        sock.connect(("127.0.0.1", port))
        for datagram in datagrams:
            sock.send(datagram)
            sock.send(fence(FENCE))
            found.append(_verdict(sock, datagram))
    return found


def _verdict(sock: socket.socket, datagram: bytes) -> tuple[str, bytes | None]:
    verdict: tuple[str, bytes | None] = (SILENCE, None)
    while True:
        reply = sock.recv(4096)
        packet = parse(reply)
        if packet.identifier == FENCE:
            return verdict
        assert packet.identifier == datagram[1]
        verify_reply(packet, datagram[4:20], SECRET)
        verdict = _VERDICTS[packet.code], packet.vendor(MICROSOFT, MS_CHAP2_SUCCESS)


def asked(
    both: tuple[Server, Server], cases: dict[str, Callable[[int], bytes]], *, access: bool
) -> dict[str, tuple[str, str]]:
    """Name -> ours, FreeRADIUS's."""
    datagrams = [make(number) for number, make in enumerate(cases.values())]
    ours, theirs = (
        verdicts(
            server.auth_port if access else server.acct_port,
            datagrams,
            honest_login if access else honest_record,
        )
        for server in both
    )
    return {name: (a[0], b[0]) for name, a, b in zip(cases, ours, theirs, strict=True)}


def test_on_the_authentication_port_both_answer_alike_but_for_the_listed_cases(
    both: tuple[Server, Server],
) -> None:
    seen = asked(both, AUTH_CASES, access=True)
    assert {name: pair for name, pair in seen.items() if pair[0] != pair[1]} == {
        name: (ours, theirs) for name, (ours, theirs, _) in DIFFERENCES.items()
    }
    assert seen["PAP"] == seen["padded"] == (ACCEPT, ACCEPT)
    assert seen["PAP, wrong"] == (REJECT, REJECT)
    assert seen["Message-Authenticator wrong"] == (SILENCE, SILENCE)


def test_on_the_accounting_port_both_answer_alike(both: tuple[Server, Server]) -> None:
    seen = asked(both, ACCT_CASES, access=False)
    assert {name: pair for name, pair in seen.items() if pair[0] != pair[1]} == {}
    assert seen["Start"] == (RESPONSE, RESPONSE)
    assert seen["one octet changed"] == (SILENCE, SILENCE)


def request_by_chance(chance: random.Random, identifier: int) -> bytes:
    """Somebody's login by any method, right or wrong; now and then an octet is changed."""
    name = chance.choice([*PASSWORDS, "nobody"])
    password = PASSWORDS.get(name, "any")
    if chance.random() < 0.4:
        password = chance.choice([*PASSWORDS.values(), password[:-1], password + "!", "x" * 128])
    vector, challenge = chance.randbytes(16), chance.randbytes(16)
    attributes = attribute(1, name.encode())
    match chance.choice(["PAP", "CHAP", "CHAP beside", "MS-CHAP", "MS-CHAPv2"]):
        case "PAP":
            attributes += attribute(2, hide_pap(password.encode(), SECRET, vector))
        case "CHAP":
            attributes += attribute(3, chap_response(identifier, password.encode(), vector))
        case "CHAP beside":
            attributes += attribute(3, chap_response(identifier, password.encode(), challenge))
            attributes += attribute(60, challenge)
        case "MS-CHAP":
            short = challenge[:8]
            response = mschap_response(identifier, nt_hash(password), short)
            attributes += vendor_attribute(MICROSOFT, 11, short)
            attributes += vendor_attribute(MICROSOFT, 1, response)
        case _:
            response = mschap2_response(
                identifier, nt_hash(password), name.encode(), challenge, chance.randbytes(16)
            )
            attributes += vendor_attribute(MICROSOFT, 11, challenge)
            attributes += vendor_attribute(MICROSOFT, 25, response)
    if chance.random() < 0.3:
        attributes += attribute(33, chance.randbytes(chance.randrange(1, 30)))
    whole = signed(identifier, attributes, vector)
    if chance.random() < 0.25:
        # Octet 20 says that it is signed at all: unsigned with Proxy-State is among `DIFFERENCES`.
        at = chance.choice([*range(20), *range(21, len(whole))])
        changed = whole[at] ^ chance.randrange(1, 256)
        return whole[:at] + bytes((changed,)) + whole[at + 1 :]
    return whole


def test_requests_by_chance_are_judged_alike_and_mschap2_is_proven_alike(
    both: tuple[Server, Server],
) -> None:
    chance = random.Random(SEED)
    datagrams = [request_by_chance(chance, number % FENCE) for number in range(CASES)]
    ours, theirs = (verdicts(server.auth_port, datagrams, honest_login) for server in both)
    apart = [
        (number, datagram.hex(), a, b)
        for number, (datagram, a, b) in enumerate(zip(datagrams, ours, theirs, strict=True))
        if a != b
    ]
    assert apart == []
    assert {verdict for verdict, _ in ours} == {ACCEPT, REJECT, SILENCE}
    assert sum(proof is not None for _, proof in ours) > 10
