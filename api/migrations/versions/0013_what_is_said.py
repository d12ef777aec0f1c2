"""Templates, reminders, receipts, moments and surveys."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_APPEND_ONLY = ("templates", "moment_policies")


def upgrade() -> None:
    op.create_table(
        "door_knocks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column(
            "at_wall", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_door_knocks")),
    )
    op.create_index("ix_door_knocks_door_peer_at", "door_knocks", ["door", "peer", "at_wall"])
    op.create_table(
        "moment_policies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_moment_policies_version")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_moment_policies")),
    )
    op.create_table(
        "templates",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("short", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('notice', 'reminder', 'receipt', 'thanks', 'survey')",
            name=op.f("ck_templates_kind"),
        ),
        sa.CheckConstraint("language in ('pt_BR', 'en')", name=op.f("ck_templates_language")),
        sa.CheckConstraint("version > 0", name=op.f("ck_templates_version")),
        sa.PrimaryKeyConstraint("kind", "language", "version", name=op.f("pk_templates")),
    )
    op.create_table(
        "moments_told",
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("told_on", sa.Date(), nullable=False),
        sa.CheckConstraint("message in ('thanks', 'survey')", name=op.f("ck_moments_told_message")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_moments_told_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("moment", "event", name=op.f("pk_moments_told")),
    )
    op.create_index("ix_moments_told_subscriber_id", "moments_told", ["subscriber_id", "message"])
    op.create_table(
        "surveys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("form in ('nps', 'satisfaction')", name=op.f("ck_surveys_form")),
        sa.CheckConstraint("expires_at > asked_at", name=op.f("ck_surveys_expiry")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_surveys_contract_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_surveys_plan_id")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_surveys_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_surveys_token_sha256")),
    )
    op.create_index("ix_surveys_contract_id", "surveys", ["contract_id"])
    op.create_table(
        "reminders",
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("day_offset", sa.SmallInteger(), nullable=False),
        sa.Column("due_cents", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_reminders_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_reminders_message_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", "due_on", "day_offset", name=op.f("pk_reminders")),
    )
    op.create_index("ix_reminders_message_id", "reminders", ["message_id"])
    op.create_table(
        "survey_answers",
        sa.Column("survey_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("marks", postgresql.JSONB(), nullable=True),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("length(comment) <= 2000", name=op.f("ck_survey_answers_comment")),
        sa.CheckConstraint("num_nonnulls(score, marks) = 1", name=op.f("ck_survey_answers_form")),
        sa.CheckConstraint("score between 0 and 10", name=op.f("ck_survey_answers_score")),
        sa.ForeignKeyConstraint(
            ["survey_id"], ["surveys.id"], name=op.f("fk_survey_answers_survey_id")
        ),
        sa.PrimaryKeyConstraint("survey_id", name=op.f("pk_survey_answers")),
    )
    op.create_index("ix_survey_answers_answered_at", "survey_answers", ["answered_at"])
    op.create_index(
        "ix_survey_answers_detractors",
        "survey_answers",
        ["survey_id"],
        postgresql_where=sa.text("score <= 6"),
    )
    op.create_table(
        "payment_receipts",
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_payment_receipts_payment_id")
        ),
        sa.PrimaryKeyConstraint("payment_id", name=op.f("pk_payment_receipts")),
    )
    op.create_index(
        "ix_payment_receipts_due",
        "payment_receipts",
        ["payment_id"],
        postgresql_where=sa.text("told_at is null"),
    )
    op.add_column(
        "contract_billing",
        sa.Column(
            "automatic_payment", sa.Boolean(), server_default=sa.text("false"), nullable=False
        ),
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )


def downgrade() -> None:
    op.drop_column("contract_billing", "automatic_payment")
    for table in (
        *("payment_receipts", "survey_answers", "reminders", "surveys"),
        *("moments_told", "templates", "moment_policies", "door_knocks"),
    ):
        op.drop_table(table)
