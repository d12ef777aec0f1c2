"""What many looks have in common, worked out once: verdicts by due dates, ids by the block."""

from datetime import date

from api.renegotiating import Draw
from api.store.access_tables import notices
from api.store.bulk import draw_ids
from api.store.review_rows import Due
from api.store.uow import Uow
from billing.payer import Desk
from billing.quiet import Quiet, quiet

NUMBERS = 50


class Known:
    """What looks say of quiet contracts, judged once for all with the same dates."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._said: dict[tuple[str, tuple[date, ...]], Quiet | None] = {}

    def said_of(self, due: Due) -> Quiet | None:
        """What a look says of the contract; None: its account must be seen."""
        policy = self._desk.policies.get(due.policy)
        if not due.quiet or policy is None:
            return None
        key = (due.policy, tuple(due.due_on or ()))
        if key not in self._said:
            self._said[key] = quiet(key[1], policy, self._desk.calendar, self._desk.now)
        return self._said[key]


class Numbers:
    """Ids for notices, drawn by the block."""

    def __init__(self) -> None:
        self._left: list[int] = []

    def draw(self, uow: Uow) -> Draw:
        """The next id of a table, drawn in this transaction if there is none left."""

        async def drawn(table: str) -> int:
            if table != notices.name:
                return await uow.draw(table)
            if not self._left:
                self._left = (await draw_ids(uow.connection, notices, NUMBERS))[::-1]
            return self._left.pop()

        return drawn
