"""What must meet silence in the worker's mind, and how secrets may be compared (rule R13)."""

import ast
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from radius.counters import Counters
from radius.journal import Journal
from radius.worker import Worker
from tests.support.must_reject import ANSWERED, REJECTED, Case, access, attribute, damaged, record
from tests.support.radius_worker import SECRET, chap, client, grant, pap, publish, settings
from tests.support.signatures import ACCESS_ACCEPT, ACCESS_REJECT, authentic_reply

NAS = ("127.0.0.1", 40_000)
RADIUS = Path(__file__).parents[2] / "radius"


LOGINS = (
    (b"ana", grant(1)),
    (b"short", grant(2, "pss")),
    (b"wide", grant(3, " pw ")),
    (b"accent", grant(4, "p\u00e9ss")),
)


class Bench:
    """A worker with one NAS that must sign, or need not."""

    def __init__(self, folder: Path, require: str) -> None:
        self._configured = settings(folder)
        publish(self._configured.table_path, LOGINS, [client(require=require)])
        self.require = require
        self.worker = Worker(self._configured)

    def answers(self, case: Case) -> list[bytes]:
        if case.port == "acct":
            return [reply for reply, _ in self.worker.handle_accounting([(case.datagram, NAS)])]
        reply = self.worker.handle_access(case.datagram, NAS)
        return [] if reply is None else [reply]

    def counted(self) -> dict[str, int]:
        with Counters(self._configured.counters_path) as counters:
            return {name: count for name, count in counters.read().items() if count}


@pytest.fixture(params=["yes", "no", "auto"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, request.param)
    yield made
    made.worker.close()


@pytest.mark.parametrize("case", REJECTED.values(), ids=REJECTED)
def test_silence(bench: Bench, case: Case) -> None:
    counter = case.counter
    if bench.require == "yes" and counter == "proxy_state_without_ma":
        counter = "missing_message_authenticator"  # what comes first where signing is a must
    assert bench.answers(case) == []
    assert bench.counted() == {counter: 1}


@pytest.mark.parametrize("case", ANSWERED.values(), ids=ANSWERED)
def test_odd_and_allowed(bench: Bench, case: Case) -> None:
    [reply] = bench.answers(case)
    assert authentic_reply(reply, case.datagram, SECRET.value)
    assert bench.counted()[case.counter] == 1


@pytest.mark.parametrize(
    ("username", "password", "accepted"),
    [
        (b"short", b"pss", True),
        (b"short", b"p\xe9ss", False),  # decoded without its é it would be equal
        (b"short", "p\u00e9ss".encode(), False),
        (b"accent", b"pss", False),
        (b"accent", b"p\xe9ss", False),
        (b"accent", "p\u00e9ss".encode(), True),
        (b"wide", b" pw ", True),
        (b"wide", b"pw", False),
        (b"wide", b" pw", False),
    ],
)
@pytest.mark.parametrize("method", [pap, chap], ids=["pap", "chap"])
def test_passwords_are_compared_octet_by_octet(
    tmp_path: Path,
    method: Callable[[int, bytes, bytes], bytes],
    username: bytes,
    password: bytes,
    accepted: bool,
) -> None:
    request = method(9, username, password)
    with Bench(tmp_path, "yes").worker as worker:
        reply = worker.handle_access(request, NAS)
    assert reply is not None
    assert authentic_reply(reply, request, SECRET.value)
    assert reply[0] == (ACCESS_ACCEPT if accepted else ACCESS_REJECT)


@pytest.mark.parametrize("states", [attribute(33, b"p" * 253) * 15, attribute(33, b"") * 190])
def test_a_reply_carries_every_proxy_state(tmp_path: Path, states: bytes) -> None:
    """RFC 2865 section 5.33: all of them, unmodified and in order."""
    bench = Bench(tmp_path, "yes")
    case = Case("auth", access(attribute(1, b"nobody") + states), "")
    with bench.worker:
        [reply] = bench.answers(case)
    assert authentic_reply(reply, case.datagram, SECRET.value)
    assert reply.endswith(states)


def longest_request() -> Case:
    """So much Proxy-State that the request fits a packet and the Accept does not."""
    states = attribute(33, b"p" * 253) * 15
    room = 4096 - len(pap(9, b"ana", extra=states))
    return Case("auth", pap(9, b"ana", extra=states + attribute(33, b"q" * (room - 2))), "")


def test_a_reply_that_fits_no_packet_is_not_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "yes")
    with bench.worker:
        assert len(longest_request().datagram) == 4096
        assert bench.answers(longest_request()) == []
        assert len(bench.answers(Case("auth", pap(10, b"ana"), ""))) == 1


@pytest.mark.parametrize("seed", range(5))
def test_forgeries_in_between_change_nothing(tmp_path: Path, seed: int) -> None:
    """RFC 5080 section 2.2.2: what is not authentic must not touch the kept replies (R1, R2)."""
    chance = random.Random(seed)
    bench = Bench(tmp_path, "yes")
    requests = [
        Case("auth", access(attribute(1, b"ana"), identifier=1), ""),
        Case("auth", access(attribute(1, b"bia"), identifier=2), ""),
        Case("acct", record(attribute(1, b"ana"), identifier=3), ""),
    ]
    with bench.worker:
        replies = [bench.answers(request) for request in requests]
        for _ in range(200):
            number = chance.randrange(len(requests))
            honest = requests[number]
            # Not the code and the Identifier: the key is to be the same.
            at = chance.randrange(4, len(honest.datagram))
            forged = replace(honest, datagram=damaged(honest.datagram, at))
            assert bench.answers(forged) == []
            assert bench.answers(honest) == replies[number]
        counted = bench.counted()
    worked_on_once = counted["access_reject"] + counted["accounting_response"]
    assert worked_on_once == len(requests)
    believed = counted["access_request"] + counted["accounting_request"]
    assert believed == worked_on_once + counted["duplicate"]
    with Journal(settings(tmp_path).journal_path, 16 << 20) as journal:
        assert [entry.octets for entry in journal.read(10)] == [requests[2].datagram]


SECRETS = re.compile(r"secret|password|authenticator|digest|hmac|mac$|response|nt_hash|signature")
# The authenticators of two requests that were both believed before: neither is a secret.
PUBLIC = {"known != authenticator"}


def plainly_compared(source: str) -> set[str]:
    """Comparisons of secret octets that may end at the first difference."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            constant = any(map(is_constant, sides))
            equality = any(
                isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in node.ops
            )
            if equality and not constant and any(map(names_a_secret, sides)):
                found.add(ast.unparse(node))
    return found


def is_constant(side: ast.expr) -> bool:
    return isinstance(side, ast.Constant) or (isinstance(side, ast.Name) and side.id.isupper())


def names_a_secret(side: ast.expr) -> bool:
    if isinstance(side, ast.Call):
        side = side.func
    name = side.id if isinstance(side, ast.Name) else getattr(side, "attr", "")
    return name == name.lower() and SECRETS.search(name) is not None


def test_secrets_are_compared_in_constant_time() -> None:
    sources = [path.read_text() for path in sorted(RADIUS.glob("*.py"))]
    assert set().union(*map(plainly_compared, sources)) <= PUBLIC
    assert sum(source.count("compare_digest(") for source in sources) >= 4


@pytest.mark.parametrize(
    "line",
    [
        "x == packet.authenticator",
        "secret.hmac_md5(m) != v",
        "password in known",
        "a == hmac.digest(k, m, 'md5')",
        "hidden_response == sent",
    ],
)
def test_that_rule_sees_a_plain_comparison(line: str) -> None:
    assert plainly_compared(line)


def test_a_reply_that_fits_no_packet_is_the_peers_fault(tmp_path: Path) -> None:
    """A NAS must not be able to raise the alarm that says that we are broken."""
    bench = Bench(tmp_path, "yes")
    with bench.worker:
        bench.answers(longest_request())
    assert bench.counted() == {"access_request": 1, "malformed": 1}
