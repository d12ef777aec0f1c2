"""The audit chain's hash: one spelling of a row, and no field that it leaves out."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from api.store.audit import GENESIS, Row, canonical, link

ROW = Row(
    seq=1,
    at=datetime(2026, 9, 1, 12, 0, 0, 5, tzinfo=UTC),
    actor="ana",
    action="payment.posted",
    subject="payment:7",
    data={"b": [1, None], "a": "São"},
    correlation_id="c-1",
)


def test_a_row_is_spelled_as_documented() -> None:
    assert canonical(ROW).decode() == (
        '{"action":"payment.posted","actor":"ana","at":"2026-09-01T12:00:00.000005+00:00",'
        '"correlation_id":"c-1","data":{"a":"São","b":[1,null]},"seq":1,"subject":"payment:7"}'
    )


def test_the_hash_covers_version_and_previous_row() -> None:
    assert link(GENESIS, ROW) == hashlib.sha256(b"\x01" + bytes(32) + canonical(ROW)).digest()
    assert link(b"\x01" * 32, ROW) != link(GENESIS, ROW)


@pytest.mark.parametrize(
    "other",
    [
        replace(ROW, seq=2),
        replace(ROW, at=ROW.at + timedelta(microseconds=1)),
        replace(ROW, actor="bob"),
        replace(ROW, action="payment.suspended"),
        replace(ROW, subject="payment:8"),
        replace(ROW, data={"b": [1, 0], "a": "São"}),
        replace(ROW, correlation_id="c-2"),
    ],
)
def test_every_field_counts(other: Row) -> None:
    assert link(GENESIS, other) != link(GENESIS, ROW)


def test_neither_the_zone_nor_the_order_of_keys_counts() -> None:
    local = ROW.at.astimezone(timezone(timedelta(hours=-3)))
    same = replace(ROW, at=local, data={"a": "São", "b": [1, None]})
    assert link(GENESIS, same) == link(GENESIS, ROW)


@pytest.mark.parametrize("data", [{"x": 1.5}, {"x": [{"y": float("nan")}]}])
def test_floating_point_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="floating-point"):
        canonical(replace(ROW, data=data))
