"""What becomes of a delivery, told at once or later: proof, a bounce, a failure.

Every verb takes the person's lock first, and judges the row as it then stands: what is told comes
late, twice and out of order.
"""

from datetime import datetime, timedelta

from sqlalchemy import update

from api.store import deliveries, letters, notices, queues
from api.store.access_tables import notices as notice_rows
from api.store.deliveries import Delivery
from api.store.outbox_tables import messages
from api.store.queues import LETTERS, NOTICES, Claimed
from api.store.uow import Uow
from billing.account import prove_notice, review, unprove_notice

# Ladder rule 2: an e-mail is proven when accepted, and not bounced within these.
BOUNCES_WITHIN = timedelta(hours=24)
PAID_MEANWHILE = "it was paid while the notice was on its way"


async def confirm(
    uow: Uow, delivery: Delivery, *, via: str | None = None, provider_id: str | None = None
) -> None:
    """It was delivered: whatever still waits is proven by it, even if it was given up here.

    Args:
        uow: the transaction.
        delivery: as it was read; its row is read again under the lock.
        via: what the proof names, where it is not the channel.
        provider_id: what the other side calls it, where it said so.
    """
    await notices.addressee(uow.connection, delivery.of.subscriber_id)
    delivery = await deliveries.by_id(uow.connection, delivery.id)
    now = uow.clock.now()
    if delivery.state in ("confirmed", "bounced"):
        return
    await deliveries.change(
        uow.connection,
        delivery.id,
        state="confirmed",
        provider_id=provider_id or delivery.provider_id,
        accepted_at=now,
        confirmed_at=now,
        ended_at=None,
        reason=None,
    )
    await _prove(uow, delivery, via or delivery.channel, now)


async def _prove(uow: Uow, delivery: Delivery, via: str, at: datetime) -> None:
    if delivery.of.queue is NOTICES:
        await _prove_notice(uow, delivery, via, at)
    elif delivery.of.queue is LETTERS:
        await _prove_letter(uow, delivery, via, at)
    else:
        await uow.connection.execute(
            update(messages)
            .where(messages.c.id == delivery.of.id, messages.c.state != "proven")
            .values(state="proven", proven_at=at, failed_at=None, wait_until=None, last_error=None)
        )


async def _prove_notice(uow: Uow, delivery: Delivery, via: str, at: datetime) -> None:
    notice = delivery.of
    before = await uow.account(notice.subscriber_id)
    if not await queues.may_be_proven(uow.connection, NOTICES, notice.id):
        return
    if all(drawn.id != notice.id for drawn in before.notices):
        await give_up(uow, notice, PAID_MEANWHILE)
        return
    await notices.keep_proof(
        uow.connection,
        notice.id,
        channel=via,
        address=delivery.address,
        message_id=delivery.external_id,
        content_sha256=delivery.content_sha256,
    )
    desk = await uow.desk()
    _, facts = prove_notice(before, notice.id, at, desk)
    await uow.record(before, facts)


async def _prove_letter(uow: Uow, delivery: Delivery, via: str, at: datetime) -> None:
    letter_id = delivery.of.id
    proven = await letters.prove(
        uow.connection,
        letter_id,
        at,
        channel=via,
        address=delivery.address,
        message_id=delivery.external_id,
        content_sha256=delivery.content_sha256,
    )
    if proven:
        said = {"channel": via, "sha256": delivery.content_sha256.hex()}
        await _tell_of_letter(uow, letter_id, "proven", said)


async def _tell_of_letter(uow: Uow, letter_id: int, what: str, said: dict[str, str]) -> None:
    drawn = await letters.read(uow.connection, letter_id)
    told = {"letter_id": letter_id, **said}
    await uow.audit(f"listing.letter_{what}", f"contract:{drawn.contract_id}", told)


async def accepted(uow: Uow, delivery: Delivery, provider_id: str | None) -> None:
    """The provider took it; a receipt is awaited until the channel's time is over."""
    await notices.addressee(uow.connection, delivery.of.subscriber_id)
    delivery = await deliveries.by_id(uow.connection, delivery.id)
    if provider_id and delivery.provider_id is None:
        await deliveries.change(uow.connection, delivery.id, provider_id=provider_id)
    if delivery.state != "sending":
        return
    await deliveries.change(
        uow.connection, delivery.id, state="accepted", accepted_at=uow.clock.now(), reason=None
    )
    why = f"accepted by {delivery.channel}; its receipt is awaited"
    await queues.wait(uow.connection, delivery.of.queue, delivery.of.id, delivery.deadline_at, why)


async def failed(uow: Uow, delivery: Delivery, reason: str, state: str = "failed") -> None:
    """It will not be delivered by this channel: the next one is tried at once.

    Nothing of it, if a delivery was confirmed before: what was read was delivered.
    """
    await notices.addressee(uow.connection, delivery.of.subscriber_id)
    delivery = await deliveries.by_id(uow.connection, delivery.id)
    if not delivery.goes_on:
        return
    await deliveries.change(
        uow.connection, delivery.id, state=state, ended_at=uow.clock.now(), reason=reason
    )
    await _release(uow, delivery.of, reason)


async def bounced(uow: Uow, delivery: Delivery, reason: str) -> bool:
    """It came back. Within 24 hours of the proof it is none; True if anything was undone.

    Later than that the proof stands, and the bounce is on record for the next letter.
    """
    await notices.addressee(uow.connection, delivery.of.subscriber_id)
    delivery = await deliveries.by_id(uow.connection, delivery.id)
    now = uow.clock.now()
    if delivery.state != "confirmed":
        await failed(uow, delivery, reason, state="bounced")
        return delivery.goes_on
    if delivery.confirmed_at is not None and now - delivery.confirmed_at > BOUNCES_WITHIN:
        await uow.audit(
            f"{delivery.of.queue.name}.bounced_late",
            f"{delivery.of.queue.name}:{delivery.of.id}",
            {"channel": delivery.channel, "reason": reason},
        )
        return False
    await deliveries.change(
        uow.connection, delivery.id, state="bounced", ended_at=now, reason=reason
    )
    if delivery.of.queue is NOTICES:
        await _unprove_notice(uow, delivery, reason)
    elif delivery.of.queue is LETTERS:
        if await letters.unprove(uow.connection, delivery.of.id, delivery.external_id):
            await _tell_of_letter(uow, delivery.of.id, "unproven", {"reason": reason})
    else:
        await uow.connection.execute(
            update(messages)
            .where(messages.c.id == delivery.of.id, messages.c.state == "proven")
            .values(state="queued", proven_at=None)
        )
    await _release(uow, delivery.of, reason)
    # Another channel may have delivered it since: that proof stands, from its own day.
    for other in await deliveries.of(uow.connection, delivery.of):
        if other.state == "confirmed" and other.confirmed_at is not None:
            await _prove(uow, other, other.channel, other.confirmed_at)
    return True


async def _unprove_notice(uow: Uow, delivery: Delivery, reason: str) -> None:
    notice = delivery.of
    before = await uow.account(notice.subscriber_id)
    proof = await uow.connection.scalar(
        notice_rows.select()
        .with_only_columns(notice_rows.c.message_id)
        .where(notice_rows.c.id == notice.id, notice_rows.c.state == "proven")
    )
    # Another channel's proof stands on its own.
    if proof != delivery.external_id:
        return
    if all(item.id != notice.id for item in before.notices):
        # Paid since: nothing counts from it, and nobody is to be told any more.
        await uow.connection.execute(
            update(notice_rows)
            .where(notice_rows.c.id == notice.id)
            .values(state="drawn", proven_at=None)
        )
        await give_up(uow, notice, reason)
        return
    desk = await uow.desk()
    _, facts = unprove_notice(before, notice.id, reason, desk)
    await uow.record(before, facts)


async def give_up(uow: Uow, subject: Claimed, reason: str) -> None:
    """No channel is left, or nothing to say: on the list that people work through.

    A notice is drawn anew from the next day on, as the account then says; a letter before a listing
    after a week, by the look at the records.
    """
    if subject.queue is NOTICES:
        await uow.account(subject.subscriber_id)  # the lock, before the row
    else:
        await notices.addressee(uow.connection, subject.subscriber_id)
    if not await queues.is_open(uow.connection, subject.queue, subject.id):
        return
    await queues.fail(uow.connection, subject.queue, subject.id, reason, uow.clock.now())
    if subject.queue is LETTERS:
        await _tell_of_letter(uow, subject.id, "failed", {"reason": reason})
        return
    await uow.audit(
        f"{subject.queue.name}.failed",
        f"{subject.queue.name}:{subject.id}",
        {"subscriber_id": subject.subscriber_id, "reason": reason},
    )
    if subject.queue is NOTICES:
        account = await uow.account(subject.subscriber_id)
        _, facts = review(account, await uow.desk())
        await uow.record(account, facts)


async def _release(uow: Uow, subject: Claimed, why: str) -> None:
    """The next channel is tried at once."""
    await queues.retry(uow.connection, subject.queue, subject.id, 0, why)
    uow.notify(subject.queue.woken_on, str(subject.id))
