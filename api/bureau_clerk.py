"""Calls to the bureaus are made: inquiries that were left open, inclusions and removals.

A row is moved to `sent` and committed before the call, so whatever dies after that is asked about
(`status`) before anything is sent again; and what is sent again carries the same reference. A
bureau that knows no such reference is believed only when the call can no longer be on its way.
"""

import asyncio
import logging
from uuid import uuid4

from api import credit, listings
from api.house import House
from api.puller import Puller
from api.store import bureaus
from api.store import credit as inquiries
from api.store import listings as rows
from api.store.credit import Inquiry
from api.store.listings import Call
from api.store.payments import in_seconds
from api.store.uow import Uow
from billing.bureau import Answer, Bureau, ListingState, Record, Removal, Said, after

AT_ONCE = 4
WAITS_S = (10, 60, 300, 900, 3600)
_ASKS_INCLUSION = (ListingState.SENT, ListingState.AWAITING)
_ASKS_REMOVAL = (ListingState.REMOVAL_SENT, ListingState.REMOVAL_AWAITING)

log = logging.getLogger(__name__)


class BureauClerk:
    """Works through inquiries and records, as it is told and by looking every second."""

    def __init__(self, house: House, *, settled_s: float = credit.SETTLED_S) -> None:
        """Prepare; nothing is called yet.

        Args:
            house: whose rows.
            settled_s: so long after a call was sent it cannot be on its way any more.
        """
        self._house = house
        self._settled_s = settled_s
        self._inquiries = Puller[Inquiry](
            store=house.store,
            channel="religa_inquiries",
            at_once=AT_ONCE,
            claim=self._claim_inquiries,
            work=self._inquire,
            in_work=self._inquiries_in_work,
        )
        self._records = Puller[Call](
            store=house.store,
            channel=listings.CHANNEL,
            at_once=AT_ONCE,
            claim=self._claim_records,
            work=self._carry_out,
            in_work=self._records_in_work,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Call until told to stop."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._inquiries.run(stop))
            group.create_task(self._records.run(stop))

    async def drain(self) -> int:
        """Make every call that is due now, and wait for those of others."""
        return await self._inquiries.drain() + await self._records.drain()

    async def _inquire(self, inquiry: Inquiry) -> None:
        correlation_id = uuid4().hex
        async with bureaus.adapter(self._house, inquiry.bureau) as bureau:
            said = await self._asked(bureau, inquiry.reference, inquiry.sent_s)
            if said.answer is Answer.ABSENT:
                async with self._uow(correlation_id) as uow:
                    await inquiries.sending_again(uow.connection, inquiry.id)
                said = await bureau.inquire(inquiry.reference, inquiry.document, inquiry.purpose)
        async with self._uow(correlation_id) as uow:
            await credit.keep_answer(self._house, uow, inquiry.id, said, inquiry.attempts)

    async def _carry_out(self, call: Call) -> None:
        correlation_id = uuid4().hex
        if call.state in (ListingState.PENDING, ListingState.REMOVING):
            if call.state is ListingState.PENDING:
                # Looked at once more: what was paid since it was decided is not listed.
                await listings.look(self._house, correlation_id, "bureau clerk", [call.contract_id])
            sending = await self._mark_sent(call, correlation_id)
            if sending is None:
                return
            record = sending
        async with bureaus.adapter(self._house, call.bureau) as bureau:
            if call.state is ListingState.PENDING:
                said = await bureau.include(call.include_reference, record)
            elif call.state is ListingState.REMOVING:
                why = call.removal or Removal.BY_HAND
                said = await bureau.exclude(call.exclude_reference, record, why)
            elif call.state in _ASKS_INCLUSION:
                said = await self._asked(bureau, call.include_reference, call.sent_s)
            else:
                said = await self._asked(bureau, call.exclude_reference, call.sent_s)
        async with self._uow(correlation_id) as uow:
            await self._keep(uow, call, said)

    async def _asked(self, bureau: Bureau, reference: str, sent_s: float | None) -> Said:
        """What became of an earlier call; ABSENT only if it is not on its way."""
        if sent_s is None:
            return Said(Answer.ABSENT, detail="it never reached the bureau")
        said = await bureau.status(reference)
        if said.answer is Answer.ABSENT and float(sent_s) < self._settled_s:
            return Said(Answer.UNKNOWN, detail="the bureau does not know of it yet")
        return said

    async def _mark_sent(self, call: Call, correlation_id: str) -> Record | None:
        """The record to send; None: it is decided otherwise meanwhile."""
        async with self._uow(correlation_id) as uow:
            row = await rows.locked(uow.connection, call.id)
            if row is None or row.state != call.state.value:
                return None
            sent = await rows.sending(uow.connection, call.id, _SENT[call.state])
            debtor, made_at = await rows.debtor(uow.connection, call.contract_id)
            creditor = await bureaus.creditor_document(uow.connection, call.bureau)
        if not sent:
            return None
        return Record(
            debtor=debtor,
            creditor_document=creditor,
            contract_number=str(call.contract_id),
            bought_on=made_at.astimezone(self._house.settings.zone).date(),
            due_on=call.due_on,
            cents=call.cents,
        )

    async def _keep(self, uow: Uow, call: Call, said: Said) -> None:
        """Where the record stands after a call, whatever was decided of it meanwhile."""
        row = await rows.locked(uow.connection, call.id)
        if row is None or ListingState(row.state) not in (call.state, _SENT.get(call.state)):
            return
        state = after(call.state, said.answer, removing=row.removal is not None)
        now = uow.clock.now()
        values: dict[str, object] = {"protocol": said.protocol or row.protocol}
        if state is ListingState.LISTED or (state is ListingState.REMOVING and _listed(call, said)):
            values["listed_at"] = now
        if state.over:
            values["removed_at"] = now
        if state in _CALLED_LATER or state is call.state:
            wait = WAITS_S[min(call.attempts, len(WAITS_S)) - 1]
            values |= {"next_attempt_wall": in_seconds(wait), "last_error": said.detail}
            if said.answer is Answer.AWAY:
                values["sent_wall"] = None
        else:
            values |= {"last_error": said.detail or None, "sent_wall": None}
            if said.answer is not Answer.ABSENT:
                values["attempts"] = 0
        if state is ListingState.REMOVING and said.answer is Answer.REFUSED:
            # It was surely not done, and a bureau may answer the old reference from memory.
            values["exclude_reference"] = f"exclude-{uuid4().hex}"
        await rows.move(uow.connection, call.id, state, **values)
        word = "listed" if _listed(call, said) else state.value
        if word not in _TOLD:
            log.warning("listing %s waits: %s", call.id, said.detail)
            return
        told = {
            "listing_id": call.id,
            "bureau": call.bureau,
            "invoice_id": row.invoice_id,
            "amount_cents": call.cents,
            "protocol": said.protocol,
            "detail": said.detail,
        }
        await uow.audit(f"listing.{word}", f"contract:{call.contract_id}", told)

    async def _claim_inquiries(self, limit: int) -> list[Inquiry]:
        async with self._uow("claim") as uow:
            return await inquiries.claim(uow.connection, limit)

    async def _inquiries_in_work(self) -> bool:
        async with self._uow("drain") as uow:
            return await inquiries.in_work(uow.connection)

    async def _claim_records(self, limit: int) -> list[Call]:
        async with self._uow("claim") as uow:
            return await rows.claim(uow.connection, limit)

    async def _records_in_work(self) -> bool:
        async with self._uow("drain") as uow:
            return await rows.in_work(uow.connection)

    def _uow(self, correlation_id: str) -> Uow:
        return self._house.uow("bureau clerk", correlation_id)


_SENT = {
    ListingState.PENDING: ListingState.SENT,
    ListingState.REMOVING: ListingState.REMOVAL_SENT,
}
_TOLD = ("listed", "refused", "removed", "cancelled")
_CALLED_LATER = (*_ASKS_INCLUSION, *_ASKS_REMOVAL)


def _listed(call: Call, said: Said) -> bool:
    """Whether this call told that the record is there."""
    including = call.state in (ListingState.PENDING, *_ASKS_INCLUSION)
    return including and said.answer is Answer.DONE
