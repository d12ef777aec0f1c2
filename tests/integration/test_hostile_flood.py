"""A flood of what nobody signed: silence, no exception, no growth. `make fuzz` sends millions."""

import logging
from pathlib import Path

import pytest

from radius.counters import Counters
from radius.worker import Worker
from tests.fuzz.flood import Flood, footprint
from tests.support.radius_worker import accounting, believed, client, pap, publish, settings

SOURCES = 50_000


@pytest.mark.parametrize("seed", [1, 2])
def test_random_and_damaged_datagrams_meet_silence_and_cost_nothing(
    tmp_path: Path, seed: int
) -> None:
    flood = Flood(tmp_path, seed)
    flood.run(random_count=60_000, damaged_count=30_000).check()


@pytest.mark.parametrize(
    ("network", "counter"),
    [("192.0.2.1/32", "unknown_client"), ("10.0.0.0/8", "bad_authenticator")],
    ids=["sources that nobody knows", "sources within a known network"],
)
def test_fifty_thousand_spoofed_sources_cost_no_memory_and_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, network: str, counter: str
) -> None:
    configured = settings(tmp_path)
    publish(configured.table_path, clients=[client(network), client("127.0.0.1/32", nas_id=8)])
    forged = accounting(1, b"s")[:-1] + b"?"
    with caplog.at_level(logging.WARNING), Worker(configured, monotonic=lambda: 1.0) as worker:
        honest = pap(1, b"ana"), ("127.0.0.1", 40_000)
        marks = []
        for number in range(SOURCES + 1_000):
            if number in (1_000, 21_000):
                marks.append(footprint())
            address = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 40_000)
            assert worker.handle_access(forged, address) is None
            assert worker.handle_accounting([(forged, address)]) == []
        first, filled, after = *marks, footprint()
        assert after[0] - first[0] < 10 << 20
        assert after[0] - filled[0] < 2 << 20, "what is remembered of sources has no bound"
        assert after[1] - first[1] < 1_000
        believed(worker.handle_access(*honest), honest[0])
    assert 0 < len(caplog.records) < 200
    with Counters(configured.counters_path) as counters:
        counted = counters.read()
    assert counted[counter] >= SOURCES
    assert counted["internal_error"] == 0


def test_a_nas_that_sends_from_every_port_fills_no_memory(tmp_path: Path) -> None:
    """Each port has replies of its own to be kept (RFC 5080), so what is kept must be bounded."""
    configured = settings(tmp_path)
    publish(configured.table_path, clients=[client()])
    request = pap(1, b"nobody")
    before = None
    with Worker(configured, monotonic=lambda: 1.0) as worker:
        for port in range(1, 60_001):
            if port == 25_000:
                before = footprint()
            assert worker.handle_access(request, ("127.0.0.1", port)) is not None
        after = footprint()
    assert before is not None
    assert after[0] - before[0] < 4 << 20
    assert after[1] - before[1] < 2_000
