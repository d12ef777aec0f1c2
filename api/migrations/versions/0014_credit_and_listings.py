"""Credit inquiries and analyses, records at bureaus, collection agencies."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = (
    "agencies",
    "bureaus",
    "credit_inquiries",
    "credit_tables",
    "handover_batches",
    "agency_tokens",
    "credit_analyses",
    "handovers",
    "listing_letters",
    "listings",
)
_ROLES = "'admin', 'noc', 'finance', 'auditor'"
# What was asked and listed stays; where it stands may move.
_KEPT = ("credit_inquiries", "credit_analyses", "listing_letters", "listings", "handovers")


def upgrade() -> None:
    _change_roles(f"{_ROLES}, 'agency'")
    _agencies()
    _bureaus()
    _credit_inquiries()
    _credit_tables()
    _handover_batches()
    _agency_tokens()
    _credit_analyses()
    _handovers()
    _listing_letters()
    _listings()
    for table in _KEPT:
        op.execute(
            f"create trigger not_deleted before delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.execute("delete from tokens where role = 'agency'")
    _change_roles(_ROLES)


def _change_roles(words: str) -> None:
    op.drop_constraint(op.f("ck_tokens_role"), "tokens")
    op.create_check_constraint(op.f("ck_tokens_role"), "tokens", f"role in ({words})")


def _agencies() -> None:
    op.create_table(
        "agencies",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agencies")),
        sa.UniqueConstraint("name", name=op.f("uq_agencies_name")),
    )


def _bureaus() -> None:
    op.create_table(
        "bureaus",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("creditor_document", sa.String(length=14), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("timeout_ms", sa.Integer(), server_default="30000", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.CheckConstraint("name in ('spc', 'serasa', 'boa_vista')", name=op.f("ck_bureaus_name")),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_bureaus_price")),
        sa.CheckConstraint("timeout_ms between 100 and 120000", name=op.f("ck_bureaus_timeout")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bureaus")),
    )


def _credit_inquiries() -> None:
    op.create_table(
        "credit_inquiries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("bureau", sa.Text(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.String(length=14)),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("consent", postgresql.JSONB(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="asked", nullable=False),
        sa.Column("cost_cents", sa.BigInteger(), nullable=False),
        sa.Column("report", postgresql.JSONB()),
        sa.Column("protocol", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("sent_wall", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_error", sa.Text()),
        sa.CheckConstraint(
            "(state in ('done', 'failed')) = (answered_at is not null)",
            name=op.f("ck_credit_inquiries_answered"),
        ),
        sa.CheckConstraint(
            "state in ('asked', 'unknown', 'done', 'failed')",
            name=op.f("ck_credit_inquiries_state"),
        ),
        sa.CheckConstraint("cost_cents >= 0", name=op.f("ck_credit_inquiries_cost")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_inquiries")),
        sa.UniqueConstraint("reference", name=op.f("uq_credit_inquiries_reference")),
    )
    op.create_index(
        "ix_credit_inquiries_subject", "credit_inquiries", ["subject", "bureau", "asked_at"]
    )
    op.create_index(
        "uq_credit_inquiries_open",
        "credit_inquiries",
        ["bureau", "subject"],
        unique=True,
        postgresql_where=sa.text("state in ('asked', 'unknown')"),
    )


def _credit_tables() -> None:
    op.create_table(
        "credit_tables",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", postgresql.JSONB(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_credit_tables_version")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_credit_tables")),
    )


def _handover_batches() -> None:
    op.create_table(
        "handover_batches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("collect_cents", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agencies.id"], name=op.f("fk_handover_batches_agency_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handover_batches")),
    )
    op.create_index(op.f("ix_handover_batches_agency_id"), "handover_batches", ["agency_id"])


def _agency_tokens() -> None:
    op.create_table(
        "agency_tokens",
        sa.Column("token_id", sa.BigInteger(), nullable=False),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agencies.id"], name=op.f("fk_agency_tokens_agency_id")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["tokens.id"], name=op.f("fk_agency_tokens_token_id")
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_agency_tokens")),
    )


def _credit_analyses() -> None:
    op.create_table(
        "credit_analyses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.String(length=14)),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("customer_class", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("consent", postgresql.JSONB(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("inquiry_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("table_version", sa.Integer(), nullable=False),
        sa.Column("criteria", postgresql.JSONB()),
        sa.Column("rule", sa.SmallInteger()),
        sa.Column("decided", postgresql.JSONB()),
        sa.Column("texts", postgresql.JSONB()),
        sa.Column("overruling", postgresql.JSONB()),
        sa.Column("proposed", postgresql.JSONB()),
        sa.Column("outcome", sa.Text()),
        sa.Column("contract_id", sa.BigInteger()),
        sa.CheckConstraint(
            "(state = 'waiting') = (outcome is null)", name=op.f("ck_credit_analyses_outcome")
        ),
        sa.CheckConstraint(
            "state in ('waiting', 'decided', 'awaiting_second')",
            name=op.f("ck_credit_analyses_state"),
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_credit_analyses_contract_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_credit_analyses_plan_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_analyses")),
        sa.UniqueConstraint("contract_id", name=op.f("uq_credit_analyses_contract_id")),
    )
    op.create_index(op.f("ix_credit_analyses_subject"), "credit_analyses", ["subject"])
    op.create_index(
        "ix_credit_analyses_waiting",
        "credit_analyses",
        ["id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )


def _handovers() -> None:
    op.create_table(
        "handovers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("handed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("told_cents", sa.BigInteger(), nullable=False),
        sa.Column("withdrawal", sa.Text()),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True)),
        sa.Column("withdraw_by", sa.Date()),
        sa.Column("withdrawal_batch_id", sa.BigInteger()),
        sa.CheckConstraint(
            "num_nulls(withdrawal, withdrawn_at, withdraw_by) in (0, 3)",
            name=op.f("ck_handovers_withdrawal_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["agency_id"], ["agencies.id"], name=op.f("fk_handovers_agency_id")
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["handover_batches.id"], name=op.f("fk_handovers_batch_id")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_handovers_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["withdrawal_batch_id"],
            ["handover_batches.id"],
            name=op.f("fk_handovers_withdrawal_batch_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handovers")),
    )
    op.create_index(op.f("ix_handovers_agency_id"), "handovers", ["agency_id"])
    op.create_index(op.f("ix_handovers_contract_id"), "handovers", ["contract_id"])
    op.create_index(
        "uq_handovers_living",
        "handovers",
        ["contract_id"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at is null"),
    )


def _listing_letters() -> None:
    op.create_table(
        "listing_letters",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("bureaus", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("amounts_cents", postgresql.JSONB(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="drawn", nullable=False),
        sa.Column("channel", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("message_id", sa.Text()),
        sa.Column("content_sha256", sa.LargeBinary()),
        sa.Column("proven_at", sa.DateTime(timezone=True)),
        sa.Column("failed_at", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_error", sa.Text()),
        sa.CheckConstraint(
            (
                "(state = 'proven') = (proven_at is not null) and (proven_at is null or "
                "(channel is not null and content_sha256 is not null))"
            ),
            name=op.f("ck_listing_letters_proof"),
        ),
        sa.CheckConstraint(
            "state in ('drawn', 'proven', 'failed')", name=op.f("ck_listing_letters_state")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_listing_letters_contract_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listing_letters")),
        sa.UniqueConstraint("message_id", name=op.f("uq_listing_letters_message_id")),
    )
    op.create_index(op.f("ix_listing_letters_contract_id"), "listing_letters", ["contract_id"])
    op.create_index(
        "ix_listing_letters_drawn",
        "listing_letters",
        ["next_attempt_wall"],
        postgresql_where=sa.text("state = 'drawn'"),
    )


def _listings() -> None:
    op.create_table(
        "listings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("bureau", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("letter_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("include_reference", sa.Text(), nullable=False),
        sa.Column("exclude_reference", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), server_default="", nullable=False),
        sa.Column("listed_at", sa.DateTime(timezone=True)),
        sa.Column("removal", sa.Text()),
        sa.Column("removal_at", sa.DateTime(timezone=True)),
        sa.Column("remove_by", sa.Date()),
        sa.Column("removed_at", sa.DateTime(timezone=True)),
        sa.Column("alarmed_at", sa.DateTime(timezone=True)),
        sa.Column("sent_wall", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_error", sa.Text()),
        sa.CheckConstraint(
            (
                "removal in ('paid', 'renegotiated', 'disputed', 'prescribed', "
                "'amount_changed', 'cancelled', 'by_hand')"
            ),
            name=op.f("ck_listings_removal"),
        ),
        sa.CheckConstraint(
            (
                "state in ('pending', 'sent', 'awaiting', 'listed', 'refused', "
                "'removing', 'removal_sent', 'removal_awaiting', 'removed', 'cancelled')"
            ),
            name=op.f("ck_listings_state"),
        ),
        sa.CheckConstraint(
            (
                "state not in ('removing', 'removal_sent', 'removal_awaiting', "
                "'removed', 'cancelled') or removal is not null"
            ),
            name=op.f("ck_listings_removal_has_reason"),
        ),
        sa.CheckConstraint("cents > 0", name=op.f("ck_listings_amount")),
        sa.CheckConstraint(
            "num_nulls(removal, removal_at, remove_by) in (0, 3)",
            name=op.f("ck_listings_removal_whole"),
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_listings_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_listings_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["letter_id"], ["listing_letters.id"], name=op.f("fk_listings_letter_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_listings")),
        sa.UniqueConstraint("exclude_reference", name=op.f("uq_listings_exclude_reference")),
        sa.UniqueConstraint("include_reference", name=op.f("uq_listings_include_reference")),
    )
    op.create_index(op.f("ix_listings_contract_id"), "listings", ["contract_id"])
    op.create_index(
        "ix_listings_due",
        "listings",
        ["next_attempt_wall"],
        postgresql_where=sa.text(
            "state in ('pending', 'sent', 'awaiting', 'removing', 'removal_sent', "
            "'removal_awaiting')"
        ),
    )
    op.create_index(op.f("ix_listings_invoice_id"), "listings", ["invoice_id"])
    op.create_index(
        "uq_listings_living",
        "listings",
        ["bureau", "invoice_id"],
        unique=True,
        postgresql_where=sa.text("state not in ('removed', 'cancelled')"),
    )
