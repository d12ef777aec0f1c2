"""Octets per quarter of an hour out of readings: case by case."""

import pytest

from api.meter import QUARTER_US, READINGS_KEPT, SPREAD_MAX_US, Meter, Reading, advance

GIB_4 = 2**32
MINUTE_US = 60_000_000


def _at(minute: float, octets: int, *, wraps: bool = False) -> Reading:
    return Reading(round(minute * MINUTE_US), octets, octets, wraps)


def _usage(*readings: Reading, began: float = 0) -> dict[int, int]:
    """Input octets by quarter, told one record after the other."""
    meter, total = Meter(), dict[int, int]()
    began_us = round(began * MINUTE_US)
    for reading in readings:
        advanced = advance(meter, began_us, [reading], began_us)
        meter = advanced.meter
        for quarter, (octets, output_octets) in advanced.usage.items():
            total[quarter] = total.get(quarter, 0) + octets
            assert output_octets == octets, "each direction is split alike"
    return {quarter: octets for quarter, octets in total.items() if octets}


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        # Within one quarter; the end of a quarter still belongs to it.
        ([_at(5, 100)], {0: 100}),
        ([_at(15, 100)], {0: 100}),
        # Over two quarters: half and half, the odd octet to the later one.
        ([_at(30, 101)], {0: 50, 1: 51}),
        ([_at(10, 10), _at(20, 20)], {0: 15, 1: 5}),
        # A counter that goes back takes nothing away, and counts on from where it was.
        ([_at(5, 100), _at(10, 40), _at(14, 120)], {0: 120}),
        # Counters that start over: 4 GiB more, once for each time.
        (
            [_at(5, GIB_4 - 10, wraps=True), _at(20, 10, wraps=True), _at(25, 5, wraps=True)],
            {0: GIB_4 - 10 + 13, 1: GIB_4 + 2},
        ),
        # The same, the record from before the wrap last.
        ([_at(20, 10, wraps=True), _at(5, GIB_4 - 10, wraps=True)], {0: GIB_4 + 3, 1: 7}),
        # A late record moves octets to when they flowed.
        ([_at(30, 100), _at(15, 100)], {0: 100}),
        # A repeat adds nothing.
        ([_at(5, 100), _at(5, 100)], {0: 100}),
    ],
)
def test_usage(readings: list[Reading], expected: dict[int, int]) -> None:
    assert _usage(*readings) == expected


def test_a_rise_in_no_time_belongs_to_the_quarter_that_begins() -> None:
    assert _usage(_at(15, 70), began=15) == {1: 70}


def test_a_beginning_that_is_learnt_late_moves_what_flowed_since() -> None:
    meter = advance(Meter(), 15 * MINUTE_US, [_at(30, 900)], 15 * MINUTE_US).meter
    later = advance(meter, 15 * MINUTE_US, [_at(31, 900)], 0)
    assert later.usage == {0: [450, 450], 1: [-450, -450]}


def test_who_claims_years_fills_a_week_of_quarters_and_loses_no_octet() -> None:
    usage = _usage(_at(60 * 24 * 365 * 40, 10**9))
    assert len(usage) == SPREAD_MAX_US // QUARTER_US
    assert sum(usage.values()) == 10**9


def test_what_is_settled_is_not_moved_but_may_be_raised() -> None:
    told = [_at(minute, 10 * minute) for minute in range(1, READINGS_KEPT + 3)]
    meter = advance(Meter(), 0, told, 0).meter
    assert (meter.settled, len(meter.recent)) == ((2 * MINUTE_US, 20, 20), READINGS_KEPT)
    again = advance(meter, 0, told, 0)
    assert (again.meter, again.usage) == (meter, {})
    late = advance(meter, 0, [_at(0.5, 10**6)], 0)
    assert late.input_octets == 10**6
    assert sum(octets for octets, _ in late.usage.values()) == 10**6 - told[-1].input_octets


def test_a_late_record_of_a_wrapping_nas_from_before_what_is_settled_is_no_wrap() -> None:
    told = [_at(minute, 10 * minute, wraps=True) for minute in range(1, READINGS_KEPT + 3)]
    meter = advance(Meter(), 0, told, 0).meter
    assert advance(meter, 0, [told[0]], 0).input_octets == told[-1].input_octets


def test_it_is_stored_and_read_back() -> None:
    meter = Meter()
    for minute in range(READINGS_KEPT + 3):
        assert Meter.unpack(meter.pack()) == meter
        meter = advance(meter, 0, [_at(minute, minute, wraps=minute % 2 == 0)], 0).meter
