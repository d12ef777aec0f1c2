"""A record at a credit bureau: where it stands, and where it stands after each call.

A call that times out may have been carried out. So whether it was is asked by its reference before
anything is sent again, and what is sent again carries the same reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, Protocol

from billing.credit import Report
from billing.documents import CPF_LENGTH


class Removal(StrEnum):
    """Why a record goes. AMOUNT_CHANGED: it names a sum that is not owed any more."""

    PAID = "paid"
    RENEGOTIATED = "renegotiated"
    DISPUTED = "disputed"
    PRESCRIBED = "prescribed"
    AMOUNT_CHANGED = "amount_changed"
    CANCELLED = "cancelled"
    BY_HAND = "by_hand"


class ListingState(StrEnum):
    """Where a record stands at its bureau.

    PENDING waits to be sent. SENT and REMOVAL_SENT: whether the bureau did it is not known, and it
    is asked before anything is sent again. AWAITING and REMOVAL_AWAITING: it said that it will.
    REFUSED waits for a person. CANCELLED was never there.
    """

    PENDING = "pending"
    SENT = "sent"
    AWAITING = "awaiting"
    LISTED = "listed"
    REFUSED = "refused"
    REMOVING = "removing"
    REMOVAL_SENT = "removal_sent"
    REMOVAL_AWAITING = "removal_awaiting"
    REMOVED = "removed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing of it is at the bureau, or on its way there."""
        return self in (ListingState.REMOVED, ListingState.CANCELLED)


class Answer(StrEnum):
    """What became of one call. ABSENT: the bureau knows no such reference. AWAY: not done."""

    DONE = "done"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ABSENT = "absent"
    AWAY = "away"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Debtor:
    """Whom a record names: no more than a bureau asks for."""

    document: str
    name: str

    @property
    def is_company(self) -> bool:
        """Whether the document is a CNPJ."""
        return len(self.document) > CPF_LENGTH


@dataclass(frozen=True, slots=True)
class Record:
    """A debt as bureaus know it. Document, contract and due date are its key, and never change."""

    debtor: Debtor
    creditor_document: str
    contract_number: str
    bought_on: date
    due_on: date
    cents: int


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a call. `report` is an inquiry's; `detail` names no person."""

    answer: Answer
    protocol: str = ""
    detail: str = ""
    report: Report | None = None


class Bureau(Protocol):
    """A credit bureau. Nothing here raises for the bureau's own trouble: that is an answer.

    `reference` is ours, unique for what is asked, and the same when it is asked again.
    """

    @property
    def name(self) -> str:
        """The name in every table's `bureau` column."""
        ...

    async def inquire(self, reference: str, document: str, purpose: str) -> Said:
        """What it knows of a document; it costs."""
        ...

    async def include(self, reference: str, record: Record) -> Said:
        """Have a debt recorded."""
        ...

    async def exclude(self, reference: str, record: Record, why: Removal) -> Said:
        """Have a record taken out; what is not there is done."""
        ...

    async def status(self, reference: str) -> Said:
        """What became of an earlier call; an inquiry's answer brings its report again."""
        ...


def after(state: ListingState, answer: Answer, *, removing: bool) -> ListingState:
    """Where a record stands after a call.

    Args:
        state: before it: PENDING and REMOVING send, the others with a call under way ask.
        answer: what became of it.
        removing: whether its removal has been decided.
    """
    if state in (ListingState.PENDING, ListingState.SENT, ListingState.AWAITING):
        found = _INCLUDING.get(answer, state)
        if answer is Answer.UNKNOWN and state is ListingState.PENDING:
            found = ListingState.SENT
        if removing:
            return _REMOVAL_OF.get(found, found)
        return found
    if state in (
        ListingState.REMOVING,
        ListingState.REMOVAL_SENT,
        ListingState.REMOVAL_AWAITING,
    ):
        if answer is Answer.UNKNOWN and state is ListingState.REMOVING:
            return ListingState.REMOVAL_SENT
        return _EXCLUDING.get(answer, state)
    raise ValueError(f"nothing is called for a record that is {state}")


_INCLUDING: Final[Mapping[Answer, ListingState]] = {
    Answer.DONE: ListingState.LISTED,
    Answer.ACCEPTED: ListingState.AWAITING,
    Answer.REFUSED: ListingState.REFUSED,
    # Sent again under the same reference, by which the bureau knows a repetition.
    Answer.ABSENT: ListingState.PENDING,
}
_REMOVAL_OF: Final[Mapping[ListingState, ListingState]] = {
    ListingState.LISTED: ListingState.REMOVING,
    ListingState.REFUSED: ListingState.CANCELLED,
    ListingState.PENDING: ListingState.CANCELLED,
}
_EXCLUDING: Final[Mapping[Answer, ListingState]] = {
    Answer.DONE: ListingState.REMOVED,
    Answer.ACCEPTED: ListingState.REMOVAL_AWAITING,
    # A removal is never given up: it is sent again, and a person is told before its last day.
    Answer.REFUSED: ListingState.REMOVING,
    Answer.ABSENT: ListingState.REMOVING,
}


def begin_removal(state: ListingState) -> ListingState:
    """Where a record stands once its removal is decided; a call under way is awaited first."""
    return _REMOVAL_OF.get(state, state)
