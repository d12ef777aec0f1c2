"""Guards: kill switches, what was heard of providers, cuts counted, plans of sweeps kept."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_TABLES = (
    "review_approvals",
    "review_rows",
    "review_plans",
    "payment_feeds",
    "cuts",
    "kill_switches",
)

# A join of the two is planned once, for as many rows as the first statement has: after one row, a
# nested loop, which takes four times as long for twice as many. EXCEPT is linear whatever comes.
_COLUMNS = "id, plan_id, level, generation, ended_on, quota_spent_until"
_CHANGED = """
create or replace function religa_contracts_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants('login', array({}));
    return null;
end $$;
"""
_CHANGED_BEFORE = """
        select l.id from new_rows n join old_rows o using (id) join logins l on l.contract_id = n.id
        where (n.plan_id, n.level, n.generation, n.ended_on, n.quota_spent_until)
            is distinct from (o.plan_id, o.level, o.generation, o.ended_on, o.quota_spent_until)
"""
_CHANGED_NOW = f"""
        select l.id
        from (select {_COLUMNS} from new_rows except select {_COLUMNS} from old_rows) as changed
            join logins l on l.contract_id = changed.id
"""  # noqa: S608 -- names of our own columns


def upgrade() -> None:
    op.execute(_CHANGED.format(_CHANGED_NOW))
    _feeds()
    _plans()
    _cuts_and_switches()
    op.execute(
        "create trigger append_only before update or delete or truncate on cuts"
        " for each statement execute function religa_refuse()"
    )
    op.execute(
        "create trigger not_deleted before delete or truncate on kill_switches"
        " for each statement execute function religa_refuse()"
    )


def downgrade() -> None:
    op.execute(_CHANGED.format(_CHANGED_BEFORE))
    op.drop_index("ix_contracts_barred", "contracts")
    for table in _TABLES:
        op.drop_table(table)


def _feeds() -> None:
    op.create_table(
        "payment_feeds",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "heard_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("retired_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("provider", name=op.f("pk_payment_feeds")),
    )


def _plans() -> None:
    op.create_table(
        "review_plans",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "made_wall", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("cuts", sa.Integer(), nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("cuts_max", sa.Integer(), nullable=False),
        sa.Column("flaws", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("totals", postgresql.JSONB(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint(
            "(state = 'refused') <= (expires_at is not null)",
            name=op.f("ck_review_plans_expires_at"),
        ),
        sa.CheckConstraint(
            "state in ('preview', 'running', 'refused', 'released', 'done', 'expired',"
            " 'overtaken')",
            name=op.f("ck_review_plans_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_plans")),
    )
    op.create_index(
        "ix_review_plans_live",
        "review_plans",
        ["state"],
        postgresql_where=sa.text("state in ('running', 'refused', 'released')"),
    )
    op.create_table(
        "review_rows",
        sa.Column("plan_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contract_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("nas", sa.Text(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("counted_cents", sa.BigInteger(), nullable=False),
        sa.Column("invoice_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("notice_id", sa.BigInteger()),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("review_on", sa.DateTime(timezone=True)),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.CheckConstraint(
            "before in ('full', 'reduced', 'walled', 'blocked')"
            " and after in ('full', 'reduced', 'walled', 'blocked')",
            name=op.f("ck_review_rows_levels"),
        ),
        sa.CheckConstraint(
            "state in ('shown', 'waiting', 'cut', 'left')", name=op.f("ck_review_rows_state")
        ),
        sa.PrimaryKeyConstraint("plan_id", "contract_id", name=op.f("pk_review_rows")),
    )
    op.create_index(
        "ix_review_rows_waiting",
        "review_rows",
        ["contract_id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "review_approvals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["review_plans.id"], name=op.f("fk_review_approvals_plan_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_approvals")),
        sa.UniqueConstraint("plan_id", "author", name=op.f("uq_review_approvals_plan_id_author")),
    )


def _cuts_and_switches() -> None:
    op.create_table(
        "cuts",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "at_wall",
            sa.DateTime(timezone=True),
            server_default=sa.text("clock_timestamp()"),
            nullable=False,
        ),
        sa.Column("level_before", sa.Text(), nullable=False),
        sa.Column("rungs_before", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_cuts_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", "generation", name=op.f("pk_cuts")),
    )
    op.create_index("ix_cuts_at", "cuts", ["at"])
    op.create_index("ix_cuts_at_wall", "cuts", ["at_wall"])
    op.create_table(
        "kill_switches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("nas_id", sa.BigInteger()),
        sa.Column("contract_id", sa.BigInteger()),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("put_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "put_wall", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("lifted_at", sa.DateTime(timezone=True)),
        sa.Column("lifted_by", sa.Text()),
        sa.Column("lifted_because", sa.Text()),
        sa.CheckConstraint(
            "(scope = 'nas') = (nas_id is not null)"
            " and (scope = 'contract') = (contract_id is not null)",
            name=op.f("ck_kill_switches_whose"),
        ),
        sa.CheckConstraint(
            "scope in ('global', 'nas', 'contract')", name=op.f("ck_kill_switches_scope")
        ),
        sa.CheckConstraint(
            "length(author) > 0 and length(reason) > 0", name=op.f("ck_kill_switches_reason")
        ),
        sa.CheckConstraint(
            "num_nonnulls(lifted_at, lifted_by, lifted_because) in (0, 3)",
            name=op.f("ck_kill_switches_lifted"),
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_kill_switches_contract_id")
        ),
        sa.ForeignKeyConstraint(["nas_id"], ["nases.id"], name=op.f("fk_kill_switches_nas_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kill_switches")),
    )
    op.create_index(
        "uq_kill_switches_standing",
        "kill_switches",
        ["scope", sa.literal_column("coalesce(nas_id, contract_id, 0)")],
        unique=True,
        postgresql_where=sa.text("lifted_at is null"),
    )
    op.create_index(
        "ix_contracts_barred",
        "contracts",
        ["reason"],
        postgresql_where=sa.text("reason in ('guard', 'kill_switch', 'stale_feed')"),
    )
