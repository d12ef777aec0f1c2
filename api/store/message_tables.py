"""The tables of what is said and when: templates, reminders, receipts, moments, surveys."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from api.store.columns import instant, metadata, own_id, reference

# Versions are added and never changed; before the first one the built-in text holds.
templates = Table(
    "templates",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("language", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("short", Text, nullable=False),
    Column("author", Text, nullable=False),
    instant("created_at", null=False),
    CheckConstraint("kind in ('notice', 'reminder', 'receipt', 'thanks', 'survey')", name="kind"),
    CheckConstraint("language in ('pt_BR', 'en')", name="language"),
    CheckConstraint("version > 0", name="version"),
)

# One for each invoice, due date and day relative to it: none is reminded of twice.
reminders = Table(
    "reminders",
    metadata,
    Column("invoice_id", BigInteger, ForeignKey("invoices.id"), primary_key=True),
    Column("due_on", Date, primary_key=True),
    Column("day_offset", SmallInteger, primary_key=True),
    # What settled it on the day on which it was said.
    Column("due_cents", BigInteger, nullable=False),
    instant("made_at", null=False),
    reference("message_id", "messages.id", null=True),
    Index("ix_reminders_message_id", "message_id"),
)

# One for each payment that cleared, written with it.
payment_receipts = Table(
    "payment_receipts",
    metadata,
    Column("payment_id", BigInteger, ForeignKey("payments.id"), primary_key=True),
    instant("told_at"),
    Index("ix_payment_receipts_due", "payment_id", postgresql_where=text("told_at is null")),
)

# The document that says when thanks and surveys go out; the last version is in force.
moment_policies = Table(
    "moment_policies",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", JSONB, nullable=False),
    Column("author", Text, nullable=False),
    instant("created_at", null=False),
    CheckConstraint("version > 0", name="version"),
)

# Who was thanked or asked, for what; what happened is told of once.
moments_told = Table(
    "moments_told",
    metadata,
    Column("moment", Text, primary_key=True),
    Column("event", Text, primary_key=True),
    reference("subscriber_id", "subscribers.id"),
    Column("message", Text, nullable=False),
    Column("told_on", Date, nullable=False),
    CheckConstraint("message in ('thanks', 'survey')", name="message"),
    Index("ix_moments_told_subscriber_id", "subscriber_id", "message"),
)

surveys = Table(
    "surveys",
    metadata,
    own_id(),
    reference("subscriber_id", "subscribers.id"),
    reference("contract_id", "contracts.id"),
    # The plan when it was asked: what is compared is what the person had.
    reference("plan_id", "plans.id"),
    Column("form", Text, nullable=False),
    Column("moment", Text, nullable=False),
    Column("language", Text, nullable=False),
    # The token itself is in the message alone.
    Column("token_sha256", LargeBinary, nullable=False, unique=True),
    instant("asked_at", null=False),
    instant("expires_at", null=False),
    CheckConstraint("form in ('nps', 'satisfaction')", name="form"),
    CheckConstraint("expires_at > asked_at", name="expiry"),
    Index("ix_surveys_contract_id", "contract_id"),
)

survey_answers = Table(
    "survey_answers",
    metadata,
    Column("survey_id", BigInteger, ForeignKey("surveys.id"), primary_key=True),
    # 0 to 10, of the form `nps` alone.
    Column("score", SmallInteger),
    # 1 to 5 by question, of the form `satisfaction` alone.
    Column("marks", JSONB(none_as_null=True)),
    Column("comment", Text, nullable=False, server_default=""),
    instant("answered_at", null=False),
    instant("changed_at"),
    CheckConstraint("score between 0 and 10", name="score"),
    CheckConstraint("num_nonnulls(score, marks) = 1", name="form"),
    CheckConstraint("length(comment) <= 2000", name="comment"),
    Index("ix_survey_answers_answered_at", "answered_at"),
    Index("ix_survey_answers_detractors", "survey_id", postgresql_where=text("score <= 6")),
)

# Who knocked at a door that asks for no login, for a while: real time.
door_knocks = Table(
    "door_knocks",
    metadata,
    own_id(),
    Column("door", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("at_wall", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_door_knocks_door_peer_at", "door", "peer", "at_wall"),
)
