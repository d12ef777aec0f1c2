"""The Brazilian bank calendar by arithmetic: Easter's feasts and the fixed days.

National holidays, Carnival's Monday and Tuesday and Corpus Christi (brazil.md section 6.5). 24 and
31 December are bank days.
"""

from datetime import date, timedelta

_FIXED = [(1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (12, 25)]
_BLACK_AWARENESS_SINCE = 2024  # Lei 14.759/2023 made 20 November national


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar: the anonymous algorithm of 1876."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (b - (b + 8) // 25 + 1) // 3
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)


def holidays(year: int) -> set[date]:
    """The days of a year, weekends apart, on which no bank is open."""
    sunday = easter(year)
    days = {date(year, month, day) for month, day in _FIXED}
    days |= {sunday + timedelta(days=away) for away in (-48, -47, -2, 60)}
    if year >= _BLACK_AWARENESS_SINCE:
        days.add(date(year, 11, 20))
    return days


def is_bank_day(day: date) -> bool:
    return day.weekday() < 5 and day not in holidays(day.year)


def payable_until(due_on: date) -> date:
    """The last day on which a payment is in time: the due date, else the next bank day."""
    while not is_bank_day(due_on):
        due_on += timedelta(days=1)
    return due_on
