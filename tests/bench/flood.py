"""The load generator: a fixed number of requests in flight over some source ports, in a process.

All packets are made before the clock starts. The clock stops when the first source port has sent
its last request or the time is up, so that the whole measured time has everything in flight; what
is still open is then awaited. Only after that is every reply checked: its authenticator, its
Message-Authenticator where there is one, and that it grants (or acknowledges) what was asked.

A request without an answer is sent again after a second, as a NAS does, and lost after the fourth;
its latency counts from the first sending. The generator looks every 0.6 ms, so latencies are
exact to that; what it costs itself is told (`generator_us`).
"""

import contextlib
import gc
import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Literal

from radius.codec import Code, parse, verify_reply
from radius.errors import PeerError
from tests.bench.figure import percentile
from tests.bench.lane import Lane
from tests.bench.requests import USERS, access_requests, accounting_requests, drawn
from tests.support.product import ROOT
from tests.support.radius_worker import SECRET

RESEND_AFTER_S = 1.0
SENDS_MAX = 4
_REMIND_EVERY_S = 0.1
# It wakes up on a beat, not for every reply: its share of the processors halves (measured). A
# slower beat lets a fast server run out of requests.
_BEAT_S = 0.0006


@dataclass(frozen=True, slots=True)
class Load:
    """What to send to a port of 127.0.0.1.

    Attributes:
        requests: how many at most; they are made before and kept until after.
        seconds: how long at most.
        seed: decides the order of users and names the sessions; not used twice with one server.
        in_flight: requests that are out at any time.
        sources: source ports that these are spread over evenly.
    """

    port: int
    kind: Literal["access", "accounting"]
    requests: int
    seed: int
    seconds: float = 2.0
    users: int = USERS
    in_flight: int = 128
    sources: int = 16


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        per_s: replies per second on the clock.
        p50_ms: from the first sending of a request to its reply.
        replies: all that were checked, also those after the clock stopped.
        lost: requests never answered.
        resent: how often a request was sent again.
        wrong: replies that are forged, malformed or refuse, by reason.
        generator_us: processor time of the generator for each reply on the clock.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    replies: int
    lost: int
    resent: int
    wrong: dict[str, int]
    generator_us: float


def flood(load: Load) -> Outcome:
    """Run the generator as a process of its own.

    Raises:
        RuntimeError: it failed, a reply was wrong, or more than one request in 1,000 was lost.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.flood"],
        input=json.dumps(asdict(load)),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator failed: {done.stderr[-2000:]}")
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.wrong:
        raise RuntimeError(f"wrong replies: {outcome.wrong}")
    if outcome.lost * 1_000 > outcome.replies:
        raise RuntimeError(f"{outcome.lost} requests lost, {outcome.replies} answered")
    return outcome


def generate(load: Load) -> Outcome:
    """Send it from this process."""
    lanes = _lanes(load)
    try:
        gc.disable()
        _come_first()
        try:
            began, ended, used_s = _exchange(lanes, load.seconds)
        finally:
            gc.enable()
        return _judge(lanes, load, began, ended, used_s)
    finally:
        for lane in lanes:
            lane.close()


def _come_first() -> None:
    """A generator stands for machines elsewhere: it does not wait for the server's processors."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


def _lanes(load: Load) -> list[Lane]:
    in_flight = load.in_flight // load.sources
    each = load.requests // load.sources
    order = drawn(each * load.sources, load.users, load.seed)
    lanes = []
    for number in range(load.sources):
        if load.kind == "access":
            requests = access_requests(order[number :: load.sources])
        else:
            label = f"{load.seed} {number}"
            requests = accounting_requests(each, 2 * in_flight, label)
        lanes.append(Lane(load.port, requests, in_flight))
    return lanes


def _exchange(lanes: list[Lane], seconds: float) -> tuple[float, float, float]:
    """When the clock started and stopped, and the processor time in between."""
    clock = time.perf_counter
    poller = select.epoll()
    by_descriptor = {lane.descriptor: lane for lane in lanes}
    for lane in lanes:
        poller.register(lane.descriptor, select.EPOLLIN)
    used_s = time.process_time()
    began = now = clock()
    stop_at = began + seconds
    remind_at = began + _REMIND_EVERY_S
    for lane in lanes:
        lane.send(clock())
    ended = 0.0
    while not ended or any(lane.outstanding for lane in lanes):
        time.sleep(_BEAT_S)
        for descriptor, _ in poller.poll(_REMIND_EVERY_S):
            lane = by_descriptor[descriptor]
            now = clock()
            lane.receive(now)
            if not ended:
                lane.send(now)
        now = clock()
        if not ended and (now >= stop_at or any(lane.exhausted() for lane in lanes)):
            ended = now
            used_s = time.process_time() - used_s
        if now >= remind_at:
            remind_at = now + _REMIND_EVERY_S
            for lane in lanes:
                lane.remind(now, RESEND_AFTER_S, SENDS_MAX)
                if not ended:
                    lane.send(now)  # what was given up has made room
    poller.close()
    return began, ended, used_s


def _judge(lanes: list[Lane], load: Load, began: float, ended: float, used_s: float) -> Outcome:
    expected = Code.ACCESS_ACCEPT if load.kind == "access" else Code.ACCOUNTING_RESPONSE
    wrong: Counter[str] = Counter()
    waits_s: list[float] = []
    replies = 0
    for lane in lanes:
        for request in range(lane.sent):
            at = lane.reply_at[request]
            if not at:
                continue
            replies += 1
            if at <= ended:
                waits_s.append(at - lane.sent_at[request])
            flaw = _flaw(lane.reply(request), lane.requests[request], expected)
            if flaw is not None:
                wrong[flaw] += 1
    if not waits_s:
        raise RuntimeError("no reply at all")
    return Outcome(
        per_s=len(waits_s) / (ended - began),
        p50_ms=1_000 * percentile(waits_s, 50),
        p99_ms=1_000 * percentile(waits_s, 99),
        replies=replies,
        lost=sum(lane.given_up for lane in lanes),
        resent=sum(lane.resent for lane in lanes),
        wrong=dict(wrong),
        generator_us=1e6 * used_s / len(waits_s),
    )


def _flaw(reply: bytes, request: bytes, expected: Code) -> str | None:
    """Why this is no right answer."""
    try:
        packet = parse(reply)
        verify_reply(packet, request[4:20], SECRET)
    except PeerError as error:
        return error.counter
    return None if packet.code == expected else f"code {packet.code}"


if __name__ == "__main__":
    print(json.dumps(asdict(generate(Load(**json.loads(sys.stdin.read()))))))
