"""The load generator believes nothing: servers that cheat are found out, losses are told."""

import threading
from collections.abc import Callable, Iterator

import pytest

from radius.codec import Code, attribute, encode_reply, parse
from tests.bench import flood
from tests.bench.figure import Figure
from tests.bench.flood import Load, Outcome, generate
from tests.support.radius_worker import SECRET, udp

REQUESTS = 1_024


def accept(request: bytes) -> list[bytes]:
    """The right answer."""
    return [
        encode_reply(Code.ACCESS_ACCEPT, parse(request), b"", SECRET, message_authenticator=True)
    ]


def reject(request: bytes) -> list[bytes]:
    return [
        encode_reply(Code.ACCESS_REJECT, parse(request), b"", SECRET, message_authenticator=True)
    ]


def forged(request: bytes) -> list[bytes]:
    """What a server that only echoes would send."""
    return [bytes((2,)) + request[1:]]


def badly_signed(request: bytes) -> list[bytes]:
    """The authenticator is right, the Message-Authenticator in it is not."""
    prefix, signature = bytes((2, request[1], 0, 38)), attribute(80, bytes(16))
    return [prefix + SECRET.md5_after(prefix + request[4:20] + signature) + signature]


def twice(request: bytes) -> list[bytes]:
    """And only once where the Identifier is odd."""
    return accept(request) * (2 - request[1] % 2)


def forgetful(request: bytes) -> list[bytes]:
    """Requests with one Identifier vanish."""
    return [] if request[1] == 7 else accept(request)


@pytest.fixture
def asked() -> Iterator[Callable[[Callable[[bytes], list[bytes]], int], Outcome]]:
    """Flood a server that answers by a function, over so many source ports."""
    with udp() as sock:
        sock.settimeout(0.1)
        port = sock.getsockname()[1]
        over = threading.Event()

        def serve(answer: Callable[[bytes], list[bytes]]) -> None:
            while not over.is_set():
                try:
                    request, address = sock.recvfrom(4096)
                except TimeoutError:
                    continue
                for reply in answer(request):
                    sock.sendto(reply, address)

        threads: list[threading.Thread] = []

        def ask(answer: Callable[[bytes], list[bytes]], sources: int) -> Outcome:
            threads.append(threading.Thread(target=serve, args=(answer,)))
            threads[-1].start()
            return generate(Load(port, "access", REQUESTS, seed=1, seconds=60, sources=sources))

        try:
            yield ask
        finally:
            over.set()
            for thread in threads:
                thread.join()


Ask = Callable[[Callable[[bytes], list[bytes]], int], Outcome]


@pytest.mark.parametrize("sources", [1, 16])
def test_an_honest_server_is_believed_and_every_reply_counted_once(
    asked: Ask, sources: int
) -> None:
    outcome = asked(twice, sources)
    assert (outcome.lost, outcome.wrong) == (0, {})
    # The clock stops when one source port has sent its last.
    assert REQUESTS // sources <= outcome.replies <= REQUESTS


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        (reject, "code 3"),
        (forged, "bad_authenticator"),
        (badly_signed, "bad_message_authenticator"),
    ],
)
def test_a_wrong_reply_is_found_out(
    asked: Ask, answer: Callable[[bytes], list[bytes]], flaw: str
) -> None:
    outcome = asked(answer, 16)
    assert outcome.wrong == {flaw: outcome.replies}


def test_what_is_never_answered_is_sent_again_and_then_lost(
    asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flood, "RESEND_AFTER_S", 0.2)
    outcome = asked(forgetful, 1)
    # Four of 1,024 have the Identifier 7; each is sent four times.
    assert (outcome.replies, outcome.lost, outcome.resent) == (1_020, 4, 12)


@pytest.mark.parametrize(
    ("figure", "ratio", "ok"),
    [
        (Figure("smaller", 5.0, "s", 5.0), None, True),
        (Figure("smaller", 5.1, "s", 5.0), None, False),
        (Figure("larger", 0.85, "", 0.85, better="larger"), None, True),
        (Figure("larger", 0.84, "", 0.85, better="larger"), None, False),
        (Figure("ratio", 30.0, "/s", 1.5, peer=20.0, better="larger"), 1.5, True),
        (Figure("ratio", 29.0, "/s", 1.5, peer=20.0, better="larger"), 1.45, False),
    ],
)
def test_a_figure_with_a_peer_is_held_to_its_ratio(
    figure: Figure, ratio: float | None, ok: bool
) -> None:
    assert (figure.ratio, figure.ok) == (ratio, ok)
