"""What sessions are held to: how many at once, how much traffic, and what was used."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_QUOTA = (
    "num_nulls(quota_octets, quota_down_bps, quota_up_bps) in (0, 3) and quota_octets > 0"
    " and quota_down_bps between 1 and down_bps and quota_up_bps between 1 and up_bps"
)

_CONTRACT_COLUMNS = ("plan_id", "level", "generation", "ended_on")
_PLAN_COLUMNS = (
    *("down_bps", "up_bps", "reduced_down_bps", "reduced_up_bps"),
    *("ipv4_pool", "ipv6_pool", "simultaneous_use"),
)
_CONTRACT_COLUMNS_ADDED = ("quota_spent_until",)
_PLAN_COLUMNS_ADDED = ("simultaneous_policy", "quota_octets", "quota_down_bps", "quota_up_bps")


def _follow_contracts(columns: tuple[str, ...]) -> str:
    return f"""
create or replace function religa_contracts_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants('login', array(
        select l.id from new_rows n join old_rows o using (id) join logins l on l.contract_id = n.id
        where ({_of("n", columns)}) is distinct from ({_of("o", columns)})
    ));
    return null;
end $$;
"""  # noqa: S608 -- names of our own columns


def _follow_plans(columns: tuple[str, ...]) -> str:
    return f"""
create or replace function religa_plans_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants('login', array(
        select l.id
        from new_rows n join old_rows o using (id)
            join contracts c on c.plan_id = n.id join logins l on l.contract_id = c.id
        where ({_of("n", columns)}) is distinct from ({_of("o", columns)})
    ));
    return null;
end $$;
"""  # noqa: S608 -- names of our own columns


def _of(row: str, columns: tuple[str, ...]) -> str:
    return ", ".join(f"{row}.{column}" for column in columns)


def _usage_table(name: str, period: str, kind: sa.types.TypeEngine[Any]) -> None:
    op.create_table(
        name,
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column(period, kind, nullable=False),
        sa.Column("down_octets", sa.BigInteger(), nullable=False),
        sa.Column("up_octets", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("down_octets >= 0 and up_octets >= 0", name=op.f(f"ck_{name}_octets")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f(f"fk_{name}_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", period, name=op.f(f"pk_{name}")),
    )


def upgrade() -> None:
    op.add_column(
        "plans",
        sa.Column("simultaneous_policy", sa.Text(), server_default="reject", nullable=False),
    )
    for column in ("quota_octets", "quota_down_bps", "quota_up_bps"):
        op.add_column("plans", sa.Column(column, sa.BigInteger()))
    op.create_check_constraint(
        op.f("ck_plans_simultaneous_policy"),
        "plans",
        "simultaneous_policy in ('reject', 'drop_oldest', 'allow')",
    )
    op.create_check_constraint(op.f("ck_plans_quota"), "plans", _QUOTA)
    for column, default in (("wraps_at_4_gib", sa.false()), ("input_is_upload", sa.true())):
        op.add_column(
            "nases", sa.Column(column, sa.Boolean(), server_default=default, nullable=False)
        )
    op.add_column("contracts", sa.Column("quota_reset_day", sa.SmallInteger()))
    op.add_column("contracts", sa.Column("quota_spent_until", sa.Date()))
    op.create_check_constraint(
        op.f("ck_contracts_quota_reset_day"), "contracts", "quota_reset_day between 1 and 31"
    )
    op.create_index(
        "ix_contracts_quota_spent_until",
        "contracts",
        ["quota_spent_until"],
        postgresql_where=sa.text("quota_spent_until is not null"),
    )
    _usage_table("usage_hours", "hour", sa.DateTime(timezone=True))
    _usage_table("usage_days", "day", sa.Date())
    op.execute(_follow_contracts(_CONTRACT_COLUMNS + _CONTRACT_COLUMNS_ADDED))
    op.execute(_follow_plans(_PLAN_COLUMNS + _PLAN_COLUMNS_ADDED))


def downgrade() -> None:
    op.execute(_follow_contracts(_CONTRACT_COLUMNS))
    op.execute(_follow_plans(_PLAN_COLUMNS))
    op.drop_table("usage_days")
    op.drop_table("usage_hours")
    op.drop_index("ix_contracts_quota_spent_until", "contracts")
    for column in ("quota_spent_until", "quota_reset_day"):
        op.drop_column("contracts", column)
    for column in ("input_is_upload", "wraps_at_4_gib"):
        op.drop_column("nases", column)
    # Their constraints go with them.
    for column in ("quota_up_bps", "quota_down_bps", "quota_octets", "simultaneous_policy"):
        op.drop_column("plans", column)
