"""How a person wants to be reached: channels, language, what is not wanted, and consents."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field, model_validator

from api.http import fields
from api.http.lists import unknown
from api.http.models import Body, example
from api.http.problems import responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import contacts
from api.store.contacts import Consent, Contact
from api.store.customer_tables import subscribers
from api.store.uow import Uow

router = APIRouter(tags=["contact"], responses=responses(401, 403, 422, 503))

Id = Annotated[int, Path(ge=1, le=fields.ID_MAX)]
ChannelName = Literal["email", "sms", "whatsapp"]
# A notice cannot be opted out of: the law asks for it.
Unwanted = Literal["reminder", "receipt", "thanks", "survey", "other"]
Language = Literal["pt-BR", "en"]


class NewConsent(Body):
    """A word on one channel; it is kept with the instant and with who wrote it down."""

    channel: ChannelName
    given: bool
    source: fields.Words = Field(examples=["contract, clause 7"])


class NewContact(Body):
    model_config = example(
        {
            "channels": ["whatsapp", "email"],
            "language": "pt-BR",
            "opted_out": ["survey"],
            "consents": [{"channel": "whatsapp", "given": True, "source": "contrato, cláusula 7"}],
        }
    )

    channels: list[ChannelName] = Field([], max_length=3)
    language: Language | None = None
    opted_out: list[Unwanted] = Field([], max_length=5)
    consents: list[NewConsent] = Field([], max_length=3)

    @model_validator(mode="after")
    def _each_once(self) -> "NewContact":
        told = [item.channel for item in self.consents]
        for names in (self.channels, self.opted_out, told):
            if len(set(names)) < len(names):
                raise ValueError("name each channel and each kind once")
        return self


class ConsentAnswer(BaseModel):
    channel: ChannelName
    given: bool
    at: fields.Instant
    source: str
    author: str


class ContactAnswer(BaseModel):
    """As it stands. Of consents the last word on each channel; earlier ones stay on record."""

    channels: list[ChannelName]
    language: Language | None
    opted_out: list[Unwanted]
    consents: list[ConsentAnswer]


@router.get(
    "/subscribers/{id}/contact",
    summary="How a subscriber wants to be reached",
    responses=responses(404),
)
async def read_contact(
    id: Id, caller: Annotated[Caller, Depends(require(Permission.READ_SUBSCRIBERS))]
) -> ContactAnswer:
    async with caller.uow() as uow:
        await _exists(uow, id)
        return _answer(caller, await contacts.read(uow.connection, id))


@router.put(
    "/subscribers/{id}/contact",
    summary="Write down how a subscriber wants to be reached",
    description=(
        "Replaces the preferences. A consent is added to the record where it says something new;"
        " leaving one out withdraws nothing. Overdue notices are sent all the same: the law asks"
        " for them."
    ),
    responses=responses(404),
)
async def write_contact(
    id: Id,
    body: NewContact,
    caller: Annotated[Caller, Depends(require(Permission.WRITE_SUBSCRIBERS))],
) -> ContactAnswer:
    async with caller.uow() as uow:
        await _exists(uow, id)
        author, now = caller.identity.name, uow.clock.now()
        before = {item.channel: item for item in (await contacts.read(uow.connection, id)).consents}
        await contacts.prefer(
            uow.connection,
            id,
            channels=body.channels,
            language=body.language,
            opted_out=body.opted_out,
            author=author,
            at=now,
        )
        for told in body.consents:
            last = before.get(told.channel)
            if last is None or (last.given, last.source) != (told.given, told.source):
                said = Consent(told.channel, told.given, now, told.source, author)
                await contacts.say(uow.connection, id, said)
        await uow.audit("subscriber.contact", f"subscriber:{id}", body.model_dump())
        return _answer(caller, await contacts.read(uow.connection, id))


async def _exists(uow: Uow, subscriber_id: int) -> None:
    found = await uow.connection.execute(
        subscribers.select().where(subscribers.c.id == subscriber_id).with_for_update()
    )
    if found.one_or_none() is None:
        raise unknown("subscriber", subscriber_id)


def _answer(caller: Caller, contact: Contact) -> ContactAnswer:
    zone = caller.house.settings.zone
    return ContactAnswer.model_validate(
        {
            "channels": contact.channels,
            "language": contact.language,
            "opted_out": contact.opted_out,
            "consents": [
                item._asdict() | {"at": item.at.astimezone(zone)} for item in contact.consents
            ],
        }
    )
