"""The days that the law gives a record of a debt: five bank days to withdraw it, five years in all.

Source: STJ Súmula 548 and Tema 735 (from the first business day after the money was there), CDC
art. 43 par. 1 and STJ Súmula 323.
"""

from datetime import date
from typing import Final

from billing.calendar import ONE_DAY, Calendar, add_bank_days, is_bank_day

WITHDRAW_BANK_DAYS: Final = 5
YEARS_MAX: Final = 5


def prescribed_on(due_on: date) -> date:
    """The first day on which no record of a debt may be kept, five years after it was due."""
    try:
        return due_on.replace(year=due_on.year + YEARS_MAX)
    except ValueError:  # 29 February
        return due_on.replace(year=due_on.year + YEARS_MAX, day=28)


def withdraw_by(changed_on: date, calendar: Calendar) -> date:
    """The last day to withdraw what was settled on a day: the fifth bank day after it."""
    return add_bank_days(calendar, changed_on, WITHDRAW_BANK_DAYS)


def alarms_from(by: date, bank_days: int, calendar: Calendar) -> date:
    """The first day on which a withdrawal not done is an alarm: so many bank days before its last.

    The last day itself is one of them at least.
    """
    day = by
    for _ in range(bank_days):
        day -= ONE_DAY
        while not is_bank_day(calendar, day):
            day -= ONE_DAY
    return day
