"""Thanks and surveys go out at the moments that a document names, and answers come in.

What happened is read from its own rows (contracts, payments, decisions, disputes) once its day has
come; a row of `moments_told` says that it was followed, so it is once. A survey's token is in its
message alone: here its SHA-256 is kept.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from api.clock import wall
from api.house import House
from api.reminding import FROM
from api.store import notices, outbox, surveys, templates
from api.store.surveys import Asked, InForce
from api.store.uow import Uow
from api.wording.letters import OccasionLetter, occasion_values
from api.wording.template import Kind, fill
from billing import moments
from billing.calendar import ONE_DAY, day_start, local_instant
from billing.moments import LATE_DAYS_MAX, Event, Message, Moment, Occasion
from billing.survey import Answer, Form

KNOCK_WINDOW = timedelta(minutes=15)
STRANGERS_MAX = 20
ANSWERS_MAX = 20
_STRANGE_DOOR = "survey"


class Throttled(Exception):
    """Too many knocks at the door of surveys; `retry_after_s` says how long to wait."""

    retry_after_s = int(KNOCK_WINDOW.total_seconds())


class UnknownToken(LookupError):
    """This token opens nothing."""


class Expired(Exception):
    """The survey is open no longer."""


async def run(house: House, correlation_id: str, actor: str) -> int:
    """Follow what is due now; how many messages were enqueued. Before 09:00 local it does none."""
    async with house.uow(actor, correlation_id) as uow:
        in_force = await surveys.read_moments(uow.connection, house.settings.zone)
        now = uow.clock.now()
    if in_force is None or now.time() < FROM:
        return 0
    sent = 0
    for moment in in_force.moments.moments:
        async with house.uow(actor, correlation_id) as uow:
            for event in await _due(house, uow, moment, in_force):
                sent += await _follow(house, uow, moment, event, in_force)
    return sent


async def next_at(house: House, connection: AsyncConnection) -> datetime | None:
    """The next instant at which something that has happened is followed; None: nothing is."""
    zone, now = house.settings.zone, house.clock.now()
    in_force = await surveys.read_moments(connection, zone)
    if in_force is None:
        return None
    instants = []
    for moment in in_force.moments.moments:
        after = timedelta(days=moment.after_days)
        first = max(in_force.since, now.date() - after)
        for event in await surveys.events(connection, moment, first, now.date(), zone):
            instants.append(local_instant(event.happened_on + after, FROM, zone))
    return min((instant for instant in instants if instant > now), default=None)


async def opened(house: House, token: str, correlation_id: str, peer: str) -> Asked:
    """The survey that a token opens.

    A token that works is never held back by those who guess; they are.

    Raises:
        UnknownToken: none, or Throttled: that was the last of too many guesses.
        Expired: it is open no longer.
    """
    async with house.uow("survey", correlation_id) as uow:
        asked = await surveys.by_token(uow.connection, _sha256(token))
        now = uow.clock.now()
        if asked is None:
            knocks = await surveys.knock(uow.connection, _STRANGE_DOOR, peer, wall() - KNOCK_WINDOW)
    if asked is None:
        raise Throttled if knocks > STRANGERS_MAX else UnknownToken
    if now >= asked.expires_at:
        raise Expired
    return asked


async def keep(house: House, token: str, asked: Asked, answer: Answer, correlation_id: str) -> None:
    """Keep what a person answered; a later answer replaces an earlier one while it is open.

    Raises:
        Expired: it was closed meanwhile; Throttled: it was changed too often.
    """
    async with house.uow("survey", correlation_id) as uow:
        knocks = await surveys.knock(
            uow.connection, f"survey:{asked.id}", "", wall() - KNOCK_WINDOW
        )
    if knocks > ANSWERS_MAX:
        raise Throttled
    async with house.uow("survey", correlation_id) as uow:
        standing = await surveys.by_token(uow.connection, _sha256(token), lock=True)
        now = uow.clock.now()
        if standing is None or now >= standing.expires_at:
            raise Expired
        before = (standing.score, standing.marks, standing.comment)
        if before == (answer.score, answer.marks, answer.comment):
            return
        await surveys.keep_answer(uow.connection, asked.id, answer, now)
        told = {"score": answer.score, "marks": answer.marks, "comment": answer.comment}
        action = "survey.answered" if standing.answered_at is None else "survey.changed"
        await uow.audit(action, f"survey:{asked.id}", told)


async def _due(house: House, uow: Uow, moment: Moment, in_force: InForce) -> Sequence[Event]:
    desk = await uow.desk()
    today = desk.now.date()
    first, last = moments.window(moment, in_force.since, today)
    found = await surveys.events(uow.connection, moment, first, last, house.settings.zone)
    if moment.occasion is Occasion.PAID_IN_TIME and found:
        found = await surveys.of_good_payers(uow.connection, found, moment.invoices or 1, desk)
    told = await surveys.told_on(
        uow.connection, [event.subscriber_id for event in found], moment.message
    )
    return moments.due(moment, found, told, in_force.moments, today)


async def _follow(house: House, uow: Uow, moment: Moment, event: Event, in_force: InForce) -> int:
    now = uow.clock.now()
    if not await surveys.tell(uow.connection, moment, event, now.date()):
        return 0
    to = await notices.addressee(uow.connection, event.subscriber_id)
    language = await templates.language_of(uow.connection, event.subscriber_id)
    letter = OccasionLetter(
        provider=house.settings.provider_name,
        name=to.name,
        written_on=now.date(),
        occasion=moment.occasion.value,
    )
    kind = Kind.THANKS
    # Another day it is still true, later it is strange.
    useful_until = day_start(
        now.date() + timedelta(days=LATE_DAYS_MAX) + ONE_DAY, house.settings.zone
    )
    if moment.message is Message.SURVEY:
        kind = Kind.SURVEY
        token = secrets.token_urlsafe(32)
        last_day = now.date() + timedelta(days=in_force.moments.expires_days)
        expires_at = day_start(last_day + ONE_DAY, house.settings.zone)
        await surveys.ask(
            uow.connection,
            event=event,
            form=moment.form or Form.NPS,
            moment=moment.name,
            language=language,
            token_sha256=_sha256(token),
            asked_at=now,
            expires_at=expires_at,
        )
        link = f"{house.settings.public_base}/surveys/{token}"
        letter = replace(letter, link=link, expires_on=last_day)
    template = await templates.template_of(uow.connection, kind, language)
    message_id = await outbox.enqueue(
        uow.connection,
        subscriber_id=event.subscriber_id,
        kind=kind.value,
        reference=f"{moment.name}:{event.key}",
        language=language.replace("_", "-"),
        wording=fill(template, occasion_values(letter, language)),
        wanted_at=now,
        contract_id=event.contract_id,
        useful_until=useful_until,
    )
    return int(message_id is not None)


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
