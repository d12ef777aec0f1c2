"""Debts at credit bureaus: what may be included, what must be withdrawn, and by which day.

A debt is included only after the contract was rescinded (RGC 2023, ladder rule 14) and the
customer was told of it with days to pay or object (CDC art. 43 par. 2, STJ Súmula 359). It goes
within five business days of the payment (STJ Súmula 548; counted from the first business day after
the money was there, STJ Tema 735), and five years after it was due (CDC art. 43 par. 1, Súmula
323). Choices that these leave open are in ADR 0032.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from billing.bureau import ListingState, Removal
from billing.calendar import ONE_DAY, Calendar, next_bank_day
from billing.invoice import InvoiceState
from billing.ladder import Bar
from billing.record_days import prescribed_on, withdraw_by
from billing.stage import Stage

# A record whose fifth year ends is taken out before that day, not on it.
PRESCRIPTION_LEAD: Final = timedelta(days=7)
NOTICE_DAYS_MIN: Final = 10
# After a letter that reached nobody, the next one.
LETTER_AGAIN: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Debt:
    """One invoice of a contract. `unpaid_cents` is principal still owed and not in dispute.

    `changed_on` is the local day of the last payment, correction, agreement or dispute of it.
    """

    invoice_id: int
    due_on: date
    unpaid_cents: int
    state: InvoiceState = InvoiceState.OPEN
    changed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Communication:
    """A letter that tells the customer of an inclusion to come; days are local dates.

    `amounts_cents` are the principals that it names, by invoice.
    """

    id: int
    bureaus: frozenset[str]
    amounts_cents: Mapping[int, int]
    drawn_on: date
    proven_on: date | None = None
    failed_on: date | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One debt at one bureau. `removal_on` is the day on which its removal was decided."""

    id: int
    bureau: str
    invoice_id: int
    due_on: date
    cents: int
    state: ListingState
    removal: Removal | None = None
    removal_on: date | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """A contract as the listings see it. `ended_on` is its first day without service.

    What stands against cuts stands against this too: until the end of `held_until`, the last day of
    a hold, an exemption or a promise, and while there are `bars`, or an agreement waits for its
    first payment (`agreed`), nothing new is told, listed or handed over. What is there may go.

    `stages` are those beyond the line that the ladder has entered and not left, of a contract that
    it rescinded; None: somebody ended it by hand.
    """

    contract_id: int
    ended_on: date | None
    for_debt: bool
    debts: tuple[Debt, ...] = ()
    communications: tuple[Communication, ...] = ()
    listings: tuple[Listing, ...] = ()
    held_until: date | None = None
    bars: tuple[Bar, ...] = ()
    agreed: bool = False
    stages: frozenset[Stage] | None = None

    def reached(self, stage: Stage, after_days: int, today: date) -> bool:
        """Whether its debt may go there: by the ladder's own step, else so long after the end."""
        if self.stages is not None:
            return stage in self.stages
        return self.ended_on is not None and today >= self.ended_on + timedelta(days=after_days)

    def held(self, today: date) -> bool:
        """Whether anything stands against it (ladder rules 6, 9, 10 and 12)."""
        dated = self.held_until is not None and today <= self.held_until
        return dated or self.agreed or bool(self.bars)


@dataclass(frozen=True, slots=True)
class ListingRules:
    """What the provider lists. No bureaus: nothing.

    Attributes:
        bureaus: where.
        after_days: not before so many days after the end, of a contract that was ended by hand;
            where the ladder ended it, its own steps `bureau` and `agency` say when.
        notice_days: so many days from the proven letter to the inclusion.
        min_cents: a smaller debt is not listed; Serasa takes none below 10.00.
        alarm_bank_days: a removal not done so long before its last day is an alarm.
        agency_after_days: to a collection agency so many days after such an end.
        agency_min_cents: not for less.
    """

    bureaus: tuple[str, ...] = ()
    after_days: int = 0
    notice_days: int = NOTICE_DAYS_MIN
    min_cents: int = 1000
    alarm_bank_days: int = 2
    agency_after_days: int = 30
    agency_min_cents: int = 1000


@dataclass(frozen=True, slots=True)
class Include:
    """This debt is to be included at this bureau, on the strength of this letter."""

    bureau: str
    debt: Debt
    letter_id: int


@dataclass(frozen=True, slots=True)
class Withdraw:
    """This record must be gone by the end of a day."""

    listing: Listing
    removal: Removal
    by: date


@dataclass(frozen=True, slots=True)
class Work:
    """What is due. `tell` are the debts of a letter to be written."""

    tell: tuple[Debt, ...] = ()
    include: tuple[Include, ...] = ()
    withdraw: tuple[Withdraw, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.tell or self.include or self.withdraw)


def due_listings(
    situation: Situation, rules: ListingRules, calendar: Calendar, today: date
) -> Work:
    """What has to be done about a contract's records today; doing it leaves nothing due."""
    tell: dict[int, Debt] = {}
    include: list[Include] = []
    for debt in _listable(situation, rules, calendar, today):
        for bureau in rules.bureaus:
            if _stands(situation, bureau, debt) or _removed_on(situation, bureau, debt) == today:
                continue
            letters = _letters(situation, bureau, debt)
            proven = [letter for letter in letters if letter.proven_on is not None]
            ripe = [letter for letter in proven if _ripe(letter, rules, today)]
            if ripe:
                include.append(Include(bureau, debt, ripe[0].id))
            elif not proven and not any(_pending(letter, today) for letter in letters):
                tell[debt.invoice_id] = debt
    return Work(
        tell=tuple(tell.values()),
        include=tuple(include),
        withdraw=_withdrawals(situation, calendar, today),
    )


def next_look(
    situation: Situation, rules: ListingRules, calendar: Calendar, today: date
) -> date | None:
    """The first later day on which something could be due with no new fact; None: never."""
    days: list[date] = []
    if situation.ended_on is not None and situation.for_debt and rules.bureaus:
        days.append(situation.ended_on + timedelta(days=rules.after_days))
        days += (_overdue_from(debt, calendar) for debt in situation.debts)
        for letter in situation.communications:
            if letter.proven_on is not None:
                days.append(letter.proven_on + timedelta(days=rules.notice_days))
            if letter.failed_on is not None:
                days.append(letter.failed_on + LETTER_AGAIN)
        removed = (item.removal_on for item in situation.listings)
        days += (day + ONE_DAY for day in removed if day is not None)
        days += [situation.held_until + ONE_DAY] if situation.held_until is not None else []
    days += (
        prescribed_on(listing.due_on) - PRESCRIPTION_LEAD
        for listing in situation.listings
        if not listing.state.over and listing.removal is None
    )
    return min((day for day in days if day > today), default=None)


def collectable(
    situation: Situation, min_cents: int, calendar: Calendar, today: date
) -> tuple[Debt, ...]:
    """The overdue, undisputed debts of a rescinded contract that are not prescribed, oldest first.

    Empty if they are together less than `min_cents`.
    """
    if not situation.for_debt or situation.ended_on is None or today < situation.ended_on:
        return ()
    debts = sorted(
        (
            debt
            for debt in situation.debts
            if debt.state is InvoiceState.OPEN
            and debt.unpaid_cents > 0
            and _overdue_from(debt, calendar) <= today < prescribed_on(debt.due_on)
        ),
        key=lambda debt: (debt.due_on, debt.invoice_id),
    )
    return tuple(debts) if sum(debt.unpaid_cents for debt in debts) >= min_cents else ()


def _listable(
    situation: Situation, rules: ListingRules, calendar: Calendar, today: date
) -> tuple[Debt, ...]:
    if situation.held(today) or not situation.reached(Stage.BUREAU, rules.after_days, today):
        return ()
    debts = collectable(situation, 1, calendar, today)
    return tuple(
        debt
        for debt in debts
        if debt.unpaid_cents >= rules.min_cents
        and today < prescribed_on(debt.due_on) - PRESCRIPTION_LEAD
    )


def _overdue_from(debt: Debt, calendar: Calendar) -> date:
    return next_bank_day(calendar, debt.due_on) + ONE_DAY


def _stands(situation: Situation, bureau: str, debt: Debt) -> bool:
    """Whether a record of it is there or on its way, or a person took it out for good.

    What the bureau refused waits for a person.
    """
    return any(
        listing.bureau == bureau
        and listing.invoice_id == debt.invoice_id
        and (not listing.state.over or listing.removal is Removal.BY_HAND)
        for listing in situation.listings
    )


def _letters(situation: Situation, bureau: str, debt: Debt) -> list[Communication]:
    """The letters that cover an inclusion: of no less than is owed, of after the rescission.

    What was withdrawn comes back only with a letter of later than that.
    """
    floor = _removed_on(situation, bureau, debt)
    ended_on = situation.ended_on or date.max
    return [
        letter
        for letter in situation.communications
        if bureau in letter.bureaus
        and letter.amounts_cents.get(debt.invoice_id, 0) >= debt.unpaid_cents
        and letter.drawn_on >= ended_on
        and (floor is None or letter.drawn_on > floor)
    ]


def _removed_on(situation: Situation, bureau: str, debt: Debt) -> date | None:
    """The day on which its last removal there was decided; the next letter is of a later day."""
    removals = (
        listing.removal_on
        for listing in situation.listings
        if listing.bureau == bureau and listing.invoice_id == debt.invoice_id
    )
    return max((day for day in removals if day is not None), default=None)


def _ripe(letter: Communication, rules: ListingRules, today: date) -> bool:
    days = timedelta(days=rules.notice_days)
    return letter.proven_on is not None and letter.proven_on + days <= today


def _pending(letter: Communication, today: date) -> bool:
    """Whether a letter that is not proven still holds the next one back."""
    return letter.failed_on is None or today < letter.failed_on + LETTER_AGAIN


def _withdrawals(situation: Situation, calendar: Calendar, today: date) -> tuple[Withdraw, ...]:
    by_id = {debt.invoice_id: debt for debt in situation.debts}
    found: list[Withdraw] = []
    for listing in situation.listings:
        if listing.state.over or listing.removal is not None:
            continue
        debt = by_id.get(listing.invoice_id)
        removal = _removal(listing, debt)
        last = prescribed_on(listing.due_on)
        if removal is not None:
            changed_on = debt.changed_on if debt is not None else None
            by = withdraw_by(changed_on or today, calendar)
            found.append(Withdraw(listing, removal, min(by, last)))
        elif today >= last - PRESCRIPTION_LEAD:
            found.append(Withdraw(listing, Removal.PRESCRIBED, last))
    return tuple(found)


def _removal(listing: Listing, debt: Debt | None) -> Removal | None:
    if debt is None:
        return Removal.CANCELLED
    if debt.state is not InvoiceState.OPEN:
        return _REMOVALS.get(debt.state, Removal.CANCELLED)
    if debt.unpaid_cents == 0:
        return Removal.PAID
    return Removal.AMOUNT_CHANGED if debt.unpaid_cents != listing.cents else None


_REMOVALS: Final = {
    InvoiceState.PAID: Removal.PAID,
    InvoiceState.RENEGOTIATED: Removal.RENEGOTIATED,
    InvoiceState.DISPUTED: Removal.DISPUTED,
}
