"""The first schema."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_log")),
        sa.UniqueConstraint("hash", name=op.f("uq_audit_log_hash")),
    )
    op.create_index("ix_audit_log_subject_seq", "audit_log", ["subject", "seq"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "grant_changes",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("xid", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("subject in ('login', 'nas')", name=op.f("ck_grant_changes_subject")),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_grant_changes")),
    )
    op.create_index(op.f("ix_grant_changes_xid"), "grant_changes", ["xid"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("answer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "at_wall", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("actor", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column(
            "recorded_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("kind", "reference", name=op.f("uq_ledger_entries_kind_reference")),
    )
    op.create_table(
        "login_failures",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column(
            "at_wall", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_failures")),
    )
    op.create_index(
        "ix_login_failures_name_peer_at",
        "login_failures",
        ["name", "peer", "at_wall"],
        unique=False,
    )
    op.create_table(
        "nases",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", postgresql.CIDR(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=False),
        sa.Column("coa_port", sa.Integer(), server_default="3799", nullable=False),
        sa.Column("require_message_authenticator", sa.Text(), server_default="yes", nullable=False),
        sa.CheckConstraint(
            "require_message_authenticator in ('yes', 'no', 'auto')",
            name=op.f("ck_nases_require_ma"),
        ),
        sa.CheckConstraint("coa_port between 1 and 65535", name=op.f("ck_nases_coa_port")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nases")),
        sa.UniqueConstraint("address", name=op.f("uq_nases_address")),
        sa.UniqueConstraint("name", name=op.f("uq_nases_name")),
    )
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_wall", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_nodes")),
    )
    op.create_table(
        "operators",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role in ('admin', 'noc', 'finance', 'auditor')", name=op.f("ck_operators_role")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
        sa.UniqueConstraint("name", name=op.f("uq_operators_name")),
    )
    op.create_table(
        "payment_notices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="received", nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "received_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state in ('received', 'settled', 'refused')", name=op.f("ck_payment_notices_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_notices")),
        sa.UniqueConstraint(
            "provider",
            "external_id",
            "kind",
            name=op.f("uq_payment_notices_provider_external_id_kind"),
        ),
    )
    op.create_index(
        "ix_payment_notices_open",
        "payment_notices",
        ["next_attempt_wall"],
        unique=False,
        postgresql_where=sa.text("state = 'received'"),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("down_bps", sa.BigInteger(), nullable=False),
        sa.Column("up_bps", sa.BigInteger(), nullable=False),
        sa.Column("reduced_down_bps", sa.BigInteger(), nullable=False),
        sa.Column("reduced_up_bps", sa.BigInteger(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("ipv4_pool", sa.Text(), nullable=True),
        sa.Column("ipv6_pool", sa.Text(), nullable=True),
        sa.Column("simultaneous_use", sa.Integer(), server_default="1", nullable=False),
        sa.CheckConstraint(
            "0 < reduced_down_bps and reduced_down_bps <= down_bps and 0 < reduced_up_bps"
            " and reduced_up_bps <= up_bps",
            name=op.f("ck_plans_rates"),
        ),
        sa.CheckConstraint("price_cents >= 0", name=op.f("ck_plans_price")),
        sa.CheckConstraint("simultaneous_use > 0", name=op.f("ck_plans_simultaneous_use")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint("name", name=op.f("uq_plans_name")),
    )
    op.create_table(
        "policies",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_policies_version")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_policies")),
    )
    op.create_table(
        "subscribers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", sa.String(length=14), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscribers")),
        sa.UniqueConstraint("document", name=op.f("uq_subscribers_document")),
    )
    op.create_table(
        "contracts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("due_day", sa.SmallInteger(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_on", sa.Date(), nullable=True),
        sa.Column("level", sa.Text(), server_default="full", nullable=False),
        sa.Column("generation", sa.Integer(), server_default="1", nullable=False),
        sa.Column("reason", sa.Text(), server_default="no_debt", nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "rungs", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column("review_on", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "level in ('full', 'reduced', 'walled', 'blocked')", name=op.f("ck_contracts_level")
        ),
        sa.CheckConstraint("due_day between 1 and 31", name=op.f("ck_contracts_due_day")),
        sa.CheckConstraint("generation > 0", name=op.f("ck_contracts_generation")),
        sa.ForeignKeyConstraint(["plan_id"], ["plans.id"], name=op.f("fk_contracts_plan_id")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_contracts_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contracts")),
    )
    op.create_index("ix_contracts_level", "contracts", ["level"], unique=False)
    op.create_index(
        "ix_contracts_review_on",
        "contracts",
        ["review_on"],
        unique=False,
        postgresql_where=sa.text("review_on is not null"),
    )
    op.create_index(
        op.f("ix_contracts_subscriber_id"), "contracts", ["subscriber_id"], unique=False
    )
    op.create_table(
        "ledger_postings",
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("cents <> 0", name=op.f("ck_ledger_postings_nonzero")),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entries.id"], name=op.f("fk_ledger_postings_entry_id")
        ),
        sa.PrimaryKeyConstraint("entry_id", "position", name=op.f("pk_ledger_postings")),
    )
    op.create_index(
        op.f("ix_ledger_postings_account"), "ledger_postings", ["account"], unique=False
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amounts_cents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), server_default="drawn", nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "next_attempt_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'proven') = (proven_at is not null)"
            " and (proven_at is null or (channel is not null and content_sha256 is not null))",
            name=op.f("ck_notices_proof"),
        ),
        sa.CheckConstraint("state in ('drawn', 'proven', 'failed')", name=op.f("ck_notices_state")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_notices_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sa.UniqueConstraint("message_id", name=op.f("uq_notices_message_id")),
    )
    op.create_index(
        "ix_notices_drawn",
        "notices",
        ["next_attempt_wall"],
        unique=False,
        postgresql_where=sa.text("state = 'drawn'"),
    )
    op.create_index(op.f("ix_notices_subscriber_id"), "notices", ["subscriber_id"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("operator_id", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role in ('admin', 'noc', 'finance', 'auditor')", name=op.f("ck_tokens_role")
        ),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_tokens_operator_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_tokens_sha256")),
    )
    op.create_table(
        "access_decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("rate_down_bps", sa.BigInteger(), nullable=False),
        sa.Column("rate_up_bps", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("invoice_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("counted_cents", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.BigInteger(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("rungs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("situation", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("review_on", sa.DateTime(timezone=True), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column(
            "decided_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "level = 'full' or notice_id is not null",
            name=op.f("ck_access_decisions_cut_has_notice"),
        ),
        sa.CheckConstraint(
            "level in ('full', 'reduced', 'walled', 'blocked')",
            name=op.f("ck_access_decisions_level"),
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_access_decisions_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notices.id"], name=op.f("fk_access_decisions_notice_id")
        ),
        sa.ForeignKeyConstraint(
            ["policy", "policy_version"],
            ["policies.name", "policies.version"],
            name=op.f("fk_access_decisions_policy"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_decisions")),
        sa.UniqueConstraint(
            "contract_id", "generation", name=op.f("uq_access_decisions_contract_id_generation")
        ),
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("expires_at > placed_at", name=op.f("ck_holds_expiry")),
        sa.CheckConstraint("length(reason) > 0", name=op.f("ck_holds_reason")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_holds_contract_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_contract_id"), "holds", ["contract_id"], unique=False)
    op.create_table(
        "invoices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("paid_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fine_paid_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("interest_paid_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fine_base_cents", sa.BigInteger(), nullable=True),
        sa.Column("interest_accrued_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("interest_since", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "(state = 'paid') <= (paid_cents = amount_cents)",
            name=op.f("ck_invoices_paid_means_paid"),
        ),
        sa.CheckConstraint("state in ('open', 'paid', 'void')", name=op.f("ck_invoices_state")),
        sa.CheckConstraint(
            "0 <= paid_cents and paid_cents <= amount_cents", name=op.f("ck_invoices_paid")
        ),
        sa.CheckConstraint(
            "fine_paid_cents >= 0 and interest_paid_cents >= 0", name=op.f("ck_invoices_charges")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_invoices_contract_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoices")),
    )
    op.create_index(op.f("ix_invoices_contract_id"), "invoices", ["contract_id"], unique=False)
    op.create_index("ix_invoices_state_due_on", "invoices", ["state", "due_on"], unique=False)
    op.create_table(
        "logins",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.Text(), nullable=True),
        sa.Column("circuit_id", sa.Text(), nullable=True),
        sa.Column("remote_id", sa.Text(), nullable=True),
        sa.Column("static_ipv4", postgresql.INET(), nullable=True),
        sa.Column("delegated_ipv6", postgresql.CIDR(), nullable=True),
        sa.CheckConstraint("username ~ '^[A-Za-z0-9._@-]{1,64}$'", name=op.f("ck_logins_username")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_logins_contract_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_logins")),
        sa.UniqueConstraint("contract_id", name=op.f("uq_logins_contract_id")),
        sa.UniqueConstraint("delegated_ipv6", name=op.f("uq_logins_delegated_ipv6")),
        sa.UniqueConstraint("static_ipv4", name=op.f("uq_logins_static_ipv4")),
        sa.UniqueConstraint("username", name=op.f("uq_logins_username")),
    )
    op.create_table(
        "promises",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("debt_invoice_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_promises_contract_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promises")),
    )
    op.create_index(op.f("ix_promises_contract_id"), "promises", ["contract_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("unique_id", sa.LargeBinary(), nullable=False),
        sa.Column("acct_session_id", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=True),
        sa.Column("nas_id", sa.BigInteger(), nullable=False),
        sa.Column("nas_address", postgresql.INET(), nullable=False),
        sa.Column("nas_port_id", sa.Text(), nullable=True),
        sa.Column("ipv4", postgresql.INET(), nullable=True),
        sa.Column("ipv6", postgresql.CIDR(), nullable=True),
        sa.Column("delegated_ipv6", postgresql.CIDR(), nullable=True),
        sa.Column("mac", sa.Text(), nullable=True),
        sa.Column("class", sa.LargeBinary(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("session_seconds", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("input_octets", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("output_octets", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("terminate_cause", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("applied_level", sa.Text(), nullable=True),
        sa.Column("applied_wall", sa.DateTime(timezone=True), nullable=True),
        sa.Column("observed_generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("observed_wall", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_wall", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until_wall", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_outcome", sa.Text(), nullable=True),
        sa.Column("failed_generation", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "input_octets >= 0 and output_octets >= 0", name=op.f("ck_sessions_octets")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_sessions_contract_id")
        ),
        sa.ForeignKeyConstraint(["nas_id"], ["nases.id"], name=op.f("fk_sessions_nas_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("unique_id", name=op.f("uq_sessions_unique_id")),
    )
    op.create_index(op.f("ix_sessions_contract_id"), "sessions", ["contract_id"], unique=False)
    op.create_index(
        "ix_sessions_open_contract",
        "sessions",
        ["contract_id"],
        unique=False,
        postgresql_where=sa.text("stopped_at is null"),
    )
    op.create_index(
        "ix_sessions_open_nas",
        "sessions",
        ["nas_id"],
        unique=False,
        postgresql_where=sa.text("stopped_at is null"),
    )
    op.create_index("ix_sessions_started_at", "sessions", ["started_at"], unique=False)
    op.create_table(
        "charges",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("txid", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("copy_and_paste", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_charges_amount")),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_charges_invoice_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sa.UniqueConstraint("provider", "txid", name=op.f("uq_charges_provider_txid")),
    )
    op.create_index(op.f("ix_charges_invoice_id"), "charges", ["invoice_id"], unique=False)
    op.create_table(
        "invoice_lines",
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_invoice_lines_invoice_id")
        ),
        sa.PrimaryKeyConstraint("invoice_id", "position", name=op.f("pk_invoice_lines")),
    )
    op.create_table(
        "network_actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("nas_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_cause", sa.Integer(), nullable=True),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("sent_wall", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_wall", sa.DateTime(timezone=True), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.CheckConstraint("kind in ('coa', 'disconnect')", name=op.f("ck_network_actions_kind")),
        sa.CheckConstraint(
            "outcome in ('ack', 'nak', 'silence', 'superseded')",
            name=op.f("ck_network_actions_outcome"),
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_network_actions_contract_id")
        ),
        sa.ForeignKeyConstraint(["nas_id"], ["nases.id"], name=op.f("fk_network_actions_nas_id")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_network_actions_session_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_actions")),
    )
    op.create_index(
        op.f("ix_network_actions_contract_id"), "network_actions", ["contract_id"], unique=False
    )
    op.create_index(
        op.f("ix_network_actions_session_id"), "network_actions", ["session_id"], unique=False
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=True),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("credit_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="posted", nullable=False),
        sa.Column("suspense_reason", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(state = 'suspense') = (subscriber_id is null)", name=op.f("ck_payments_suspense")
        ),
        sa.CheckConstraint("state in ('posted', 'suspense')", name=op.f("ck_payments_state")),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_payments_amount")),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entries.id"], name=op.f("fk_payments_entry_id")
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_payments_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_payments_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint(
            "provider", "external_id", name=op.f("uq_payments_provider_external_id")
        ),
    )
    op.create_index(op.f("ix_payments_invoice_id"), "payments", ["invoice_id"], unique=False)
    op.create_index(op.f("ix_payments_subscriber_id"), "payments", ["subscriber_id"], unique=False)
    op.create_table(
        "allocations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=True),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("interest_cents", sa.BigInteger(), nullable=False),
        sa.Column("fine_cents", sa.BigInteger(), nullable=False),
        sa.Column("principal_cents", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "interest_cents >= 0 and fine_cents >= 0 and principal_cents >= 0"
            " and interest_cents + fine_cents + principal_cents > 0",
            name=op.f("ck_allocations_amounts"),
        ),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_allocations_invoice_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_allocations_payment_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_allocations")),
    )
    op.create_index(op.f("ix_allocations_invoice_id"), "allocations", ["invoice_id"], unique=False)
    op.create_index(op.f("ix_allocations_payment_id"), "allocations", ["payment_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_allocations_payment_id"), table_name="allocations")
    op.drop_index(op.f("ix_allocations_invoice_id"), table_name="allocations")
    op.drop_table("allocations")
    op.drop_index(op.f("ix_payments_subscriber_id"), table_name="payments")
    op.drop_index(op.f("ix_payments_invoice_id"), table_name="payments")
    op.drop_table("payments")
    op.drop_index(op.f("ix_network_actions_session_id"), table_name="network_actions")
    op.drop_index(op.f("ix_network_actions_contract_id"), table_name="network_actions")
    op.drop_table("network_actions")
    op.drop_table("invoice_lines")
    op.drop_index(op.f("ix_charges_invoice_id"), table_name="charges")
    op.drop_table("charges")
    op.drop_index("ix_sessions_started_at", table_name="sessions")
    op.drop_index(
        "ix_sessions_open_nas",
        table_name="sessions",
        postgresql_where=sa.text("stopped_at is null"),
    )
    op.drop_index(
        "ix_sessions_open_contract",
        table_name="sessions",
        postgresql_where=sa.text("stopped_at is null"),
    )
    op.drop_index(op.f("ix_sessions_contract_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_promises_contract_id"), table_name="promises")
    op.drop_table("promises")
    op.drop_table("logins")
    op.drop_index("ix_invoices_state_due_on", table_name="invoices")
    op.drop_index(op.f("ix_invoices_contract_id"), table_name="invoices")
    op.drop_table("invoices")
    op.drop_index(op.f("ix_holds_contract_id"), table_name="holds")
    op.drop_table("holds")
    op.drop_table("access_decisions")
    op.drop_table("tokens")
    op.drop_index(op.f("ix_notices_subscriber_id"), table_name="notices")
    op.drop_index(
        "ix_notices_drawn", table_name="notices", postgresql_where=sa.text("state = 'drawn'")
    )
    op.drop_table("notices")
    op.drop_index(op.f("ix_ledger_postings_account"), table_name="ledger_postings")
    op.drop_table("ledger_postings")
    op.drop_index(op.f("ix_contracts_subscriber_id"), table_name="contracts")
    op.drop_index(
        "ix_contracts_review_on",
        table_name="contracts",
        postgresql_where=sa.text("review_on is not null"),
    )
    op.drop_index("ix_contracts_level", table_name="contracts")
    op.drop_table("contracts")
    op.drop_table("subscribers")
    op.drop_table("policies")
    op.drop_table("plans")
    op.drop_index(
        "ix_payment_notices_open",
        table_name="payment_notices",
        postgresql_where=sa.text("state = 'received'"),
    )
    op.drop_table("payment_notices")
    op.drop_table("operators")
    op.drop_table("nodes")
    op.drop_table("nases")
    op.drop_index("ix_login_failures_name_peer_at", table_name="login_failures")
    op.drop_table("login_failures")
    op.drop_table("ledger_entries")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_grant_changes_xid"), table_name="grant_changes")
    op.drop_table("grant_changes")
    op.drop_table("facts")
    op.drop_index("ix_audit_log_subject_seq", table_name="audit_log")
    op.drop_table("audit_log")
