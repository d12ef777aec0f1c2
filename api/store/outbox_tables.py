"""The tables of what is sent: messages, every attempt to deliver, receipts, and how to reach whom.

Overdue notices are in `notices`, letters before a listing in `listing_letters`; all else that a
person is sent is a row of `messages`. What became of any on a channel is one row of `deliveries`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from api.store.columns import instant, metadata, own_id, reference

_KIND = "kind in ('reminder', 'receipt', 'thanks', 'survey', 'other')"
_CHANNEL = "channel in ('email', 'sms', 'whatsapp')"


messages = Table(
    "messages",
    metadata,
    own_id(),
    reference("subscriber_id", "subscribers.id"),
    reference("contract_id", "contracts.id", null=True),
    Column("kind", Text, nullable=False),
    # What it is about, in the words of whoever enqueued it: the same one is never sent twice.
    Column("reference", Text, nullable=False),
    Column("language", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("plain", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("short", Text, nullable=False),
    # Null: those of the house, as the person prefers them.
    Column("channels", ARRAY(Text)),
    Column("enqueued_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    instant("wanted_at", null=False),
    # From here on it would say nothing any more.
    instant("useful_until"),
    Column("state", Text, nullable=False, server_default="queued"),
    instant("proven_at"),
    instant("failed_at"),
    # Not before this instant of the business clock: quiet hours, the cap, a receipt that may come.
    instant("wait_until"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_attempt_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("last_error", Text),
    UniqueConstraint("subscriber_id", "kind", "reference"),
    CheckConstraint(_KIND, name="kind"),
    CheckConstraint("state in ('queued', 'proven', 'failed')", name="state"),
    CheckConstraint("(state = 'proven') = (proven_at is not null)", name="proof"),
    CheckConstraint("(state = 'failed') = (failed_at is not null)", name="failed"),
    Index("ix_messages_queued", "next_attempt_wall", postgresql_where=text("state = 'queued'")),
)

# One row for each channel that was tried for what is sent, letters before a listing too: asked
# again under one id.
deliveries = Table(
    "deliveries",
    metadata,
    own_id(),
    reference("notice_id", "notices.id", null=True),
    reference("message_id", "messages.id", null=True),
    reference("letter_id", "listing_letters.id", null=True),
    reference("subscriber_id", "subscribers.id"),
    Column("kind", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    # The Message-ID, or the id under which the adapter was asked: ours, never used for another.
    Column("external_id", Text, nullable=False, unique=True),
    Column("provider_id", Text),
    # The bytes that went out; kept here where they are not a file.
    Column("content_sha256", LargeBinary, nullable=False),
    Column("text", Text),
    Column("state", Text, nullable=False, server_default="sending"),
    instant("started_at", null=False),
    # The next channel is tried if it is not confirmed by then.
    instant("deadline_at", null=False),
    instant("accepted_at"),
    instant("confirmed_at"),
    instant("ended_at"),
    Column("tries", Integer, nullable=False, server_default="1"),
    Column("reason", Text),
    UniqueConstraint("notice_id", "channel"),
    UniqueConstraint("message_id", "channel"),
    UniqueConstraint("letter_id", "channel"),
    CheckConstraint("num_nonnulls(notice_id, message_id, letter_id) = 1", name="subject"),
    CheckConstraint(_CHANNEL, name="channel"),
    CheckConstraint(
        "state in ('sending', 'accepted', 'confirmed', 'refused', 'failed', 'bounced',"
        " 'unconfirmed')",
        name="state",
    ),
    Index("ix_deliveries_subscriber_id_started_at", "subscriber_id", "started_at"),
    Index("ix_deliveries_channel_provider_id", "channel", "provider_id"),
)

# What providers told of a delivery; append only.
delivery_receipts = Table(
    "delivery_receipts",
    metadata,
    own_id(),
    reference("delivery_id", "deliveries.id"),
    Column("state", Text, nullable=False),
    # When they say that it happened.
    instant("at"),
    instant("received_at", null=False),
    Column("reason", Text),
    UniqueConstraint("delivery_id", "state"),
    CheckConstraint(
        "state in ('sent', 'delivered', 'read', 'failed', 'bounced')",
        name="state",
    ),
)

contact_preferences = Table(
    "contact_preferences",
    metadata,
    Column("subscriber_id", BigInteger, ForeignKey("subscribers.id"), primary_key=True),
    # The channels that the person prefers, first choice first.
    Column("channels", ARRAY(Text), nullable=False, server_default="{}"),
    Column("language", Text),
    # Kinds of messages that the person does not want.
    Column("opted_out", ARRAY(Text), nullable=False, server_default="{}"),
    instant("changed_at", null=False),
    Column("author", Text, nullable=False),
    CheckConstraint("language in ('pt-BR', 'en')", name="language"),
)

# Given and withdrawn; append only, the last one of a channel is in force (LGPD art. 8).
consents = Table(
    "consents",
    metadata,
    own_id(),
    reference("subscriber_id", "subscribers.id"),
    Column("channel", Text, nullable=False),
    Column("given", Boolean, nullable=False),
    instant("at", null=False),
    # Where it was said: the contract, a call, a form.
    Column("source", Text, nullable=False),
    Column("author", Text, nullable=False),
    CheckConstraint(_CHANNEL, name="channel"),
    CheckConstraint("length(source) > 0", name="source"),
    Index("ix_consents_subscriber_id", "subscriber_id", "channel", "id"),
)
