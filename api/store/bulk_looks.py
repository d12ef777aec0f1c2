"""What looks say of many payers at once, as `api.store.record` would write it, in few statements.

Of nearly everybody that is another date of review, and now and then a notice. Whoever has more to
say is written fact by fact.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.access_tables import notices
from api.store.bulk_issue import write_looks
from api.store.pen import Written
from api.store.record_rows import notice_item, notice_row
from billing.events import Fact, NoticeDrawn, Reviewed

Simple = NoticeDrawn | Reviewed

_INSERT_NOTICES = insert(notices)


def simple(facts: Sequence[Fact]) -> list[Simple] | None:
    """The facts, if all of them can be written at once with those of other payers."""
    known = [fact for fact in facts if isinstance(fact, Simple)]
    return known if len(known) == len(facts) else None


async def write(
    connection: AsyncConnection, looks: Iterable[tuple[int, Sequence[Simple]]]
) -> Written:
    """Write what looks made true of payers, by their ids, whom the caller has locked."""
    written = Written()
    rows: list[dict[str, object]] = []
    reviewed: list[Reviewed] = []
    for payer_id, facts in looks:
        for fact in facts:
            if isinstance(fact, Reviewed):
                reviewed.append(fact)
                continue
            rows.append(notice_row(payer_id, fact.notice))
            written.notifications.append(("religa_notices", str(fact.notice.id)))
            written.audits.append(notice_item(payer_id, fact.notice))
    if rows:
        await connection.execute(_INSERT_NOTICES, rows)
    await write_looks(connection, reviewed)
    return written
