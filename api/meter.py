"""The meter of one session: counters as a NAS told them, in any order, into octets per quarter.

A record tells counters at an instant. Between two instants traffic is taken to flow evenly, so what
a session used is a curve through its readings, and usage is the rise of that curve in each quarter
of an hour (no time zone's midnight falls inside of one). The latest readings are kept, and a record
that comes late among them takes its place on the curve: the order of arrival leaves no trace. What
is older is settled; a record from before that can still raise the total, never move it in time.

Pure. Instants are microseconds since 1970; counters are octets, input and output as the NAS
means them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Self

# With interims every five minutes: forty minutes within which the order of arrival is undone.
READINGS_KEPT: Final = 8
QUARTER_US: Final = 900_000_000
# A NAS that tells of one session once a week is believed; who claims years fills no table.
SPREAD_MAX_US: Final = 7 * 86_400_000_000
_WORD: Final = 2**32


class Reading(NamedTuple):
    """The counters at an instant. `wraps`: they are 32 bits wide and start over silently."""

    at_us: int
    input_octets: int
    output_octets: int
    wraps: bool


class Point(NamedTuple):
    """A point of the curve: the octets since the session began."""

    at_us: int
    input_octets: int
    output_octets: int


# Octets of input and of output by quarter (microseconds since 1970 over `QUARTER_US`).
Usage = dict[int, list[int]]


@dataclass(frozen=True, slots=True)
class Meter:
    """What is remembered of a session's counters.

    Attributes:
        settled: the point before which nothing is moved any more; None: nothing is settled.
        recent: the readings since, in order of time, one an instant, at most `READINGS_KEPT`.
    """

    settled: Point | None = None
    recent: tuple[Reading, ...] = ()

    @classmethod
    def unpack(cls, numbers: Sequence[int]) -> Self:
        """The meter that `pack` wrote."""
        at_us, input_octets, output_octets = numbers[:3]
        columns = (numbers[3::4], numbers[4::4], numbers[5::4], map(bool, numbers[6::4]))
        return cls(
            None if at_us < 0 else Point(at_us, input_octets, output_octets),
            tuple(map(Reading, *columns)),
        )

    def pack(self) -> list[int]:
        """As whole numbers: the settled point (at -1: none), then four for each reading."""
        packed = list(self.settled or (-1, 0, 0))
        for at_us, input_octets, output_octets, wraps in self.recent:
            packed += (at_us, input_octets, output_octets, int(wraps))
        return packed

    def curve(self, began_us: int) -> list[Point]:
        """From nothing at the session's beginning (or from what is settled) to its latest."""
        if not self.recent:
            return [] if self.settled is None else [self.settled]
        points = [self.settled or Point(began_us, 0, 0)]
        _, input_octets, output_octets = points[0]
        # A counter never falls: a NAS that starts over counts on from where it was, others lied.
        for at_us, told_input, told_output, wraps in self.recent:
            if wraps:
                input_octets += (told_input - input_octets) % _WORD
                output_octets += (told_output - output_octets) % _WORD
            else:
                input_octets = max(input_octets, told_input)
                output_octets = max(output_octets, told_output)
            points.append(Point(at_us, input_octets, output_octets))
        return points

    def _with(self, readings: Iterable[Reading]) -> "Meter":
        by_instant = {reading.at_us: reading for reading in self.recent}
        for reading in readings:
            placed = self._place(reading)
            if placed is not None:
                other = by_instant.get(placed.at_us, placed)
                by_instant[placed.at_us] = Reading(
                    placed.at_us,
                    max(placed.input_octets, other.input_octets),
                    max(placed.output_octets, other.output_octets),
                    placed.wraps or other.wraps,
                )
        return Meter(self.settled, tuple(sorted(by_instant.values())))

    def _place(self, reading: Reading) -> Reading | None:
        """Where it belongs on the curve; None: it says nothing that is not settled."""
        settled = self.settled
        if settled is None or reading.at_us > settled.at_us:
            return reading
        if reading.wraps or (
            reading.input_octets <= settled.input_octets
            and reading.output_octets <= settled.output_octets
        ):
            return None
        return reading._replace(at_us=settled.at_us)


@dataclass(frozen=True, slots=True)
class Advance:
    """A meter after new readings.

    Attributes:
        input_octets: of the whole session.
        output_octets: of the whole session.
        usage: what to add to what earlier readings of the session added; where a late one moves
            octets in time, one quarter loses what another gains.
    """

    meter: Meter
    input_octets: int
    output_octets: int
    usage: Usage


def advance(meter: Meter, began_us: int, readings: Iterable[Reading], now_began_us: int) -> Advance:
    """Take in readings of a session, in any order, those that are known already included.

    Args:
        meter: what is remembered.
        began_us: the session's beginning as it was known so far.
        readings: what is told.
        now_began_us: the beginning as it is known now.
    """
    longer = meter._with(readings)
    after = longer.curve(now_began_us)
    # Up to the first new reading both curves are one; mostly that is the whole of the old one.
    same = _shared(meter.recent, longer.recent)
    if meter.settled is None and began_us != now_began_us:
        same = 0
    usage: Usage = {}
    _spread(after[same:], 1, usage)
    if same < len(meter.recent):
        _spread(meter.curve(began_us)[same:], -1, usage)
    _, input_octets, output_octets = after[-1] if after else (0, 0, 0)
    surplus = len(longer.recent) - READINGS_KEPT
    if surplus > 0:
        longer = Meter(after[surplus], longer.recent[surplus:])
    changed = {quarter: octets for quarter, octets in usage.items() if octets != [0, 0]}
    return Advance(longer, input_octets, output_octets, changed)


def _shared(before: Sequence[Reading], after: Sequence[Reading]) -> int:
    """How many readings both begin with."""
    if after[: len(before)] == before:
        return len(before)
    pairs = enumerate(zip(before, after, strict=False))
    return next(place for place, (one, other) in pairs if one != other)


def _spread(points: Sequence[Point], sign: int, usage: Usage) -> None:
    """Add the rise between each two points to the quarters it took, to the last octet.

    Rounding down at each boundary what had passed until then leaves no remainder: the parts are
    differences of one rising series that ends in the whole.
    """
    for (began_us, *low), (ended_us, *high) in pairwise(points):
        rise_input, rise_output = high[0] - low[0], high[1] - low[1]
        if not rise_input and not rise_output:
            continue
        start_us = max(began_us, ended_us - SPREAD_MAX_US)
        span_us = ended_us - start_us
        last = (ended_us - 1) // QUARTER_US if span_us else ended_us // QUARTER_US
        passed_input = passed_output = 0
        for quarter in range(min(start_us // QUARTER_US, last), last + 1):
            if quarter == last:
                until_input, until_output = rise_input, rise_output
            else:
                elapsed_us = (quarter + 1) * QUARTER_US - start_us
                until_input = rise_input * elapsed_us // span_us
                until_output = rise_output * elapsed_us // span_us
            cell = usage.setdefault(quarter, [0, 0])
            cell[0] += sign * (until_input - passed_input)
            cell[1] += sign * (until_output - passed_output)
            passed_input, passed_output = until_input, until_output
