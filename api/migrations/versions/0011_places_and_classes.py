"""Addresses, local holidays, customer classes and who follows which policy; open outages."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_HOLD_CHECKS = (
    ("kind", "kind in ('hold', 'exemption')"),
    ("ended", "ended_at is null or (length(ended_by) > 0 and length(end_reason) > 0)"),
)
_TABLES = (
    "policy_moves",
    "policy_assignments",
    "subscriber_classes",
    "customer_classes",
    "holiday_sheets",
    "addresses",
)


def upgrade() -> None:
    op.add_column(
        "contracts",
        sa.Column("policy_own", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    # Whoever follows another policy than the one that all are given was put there by hand.
    op.execute("update contracts set policy_own = true where policy <> 'anatel-765'")
    _holds()
    op.alter_column("outages", "ended_at", nullable=True)
    op.create_index(
        "ix_outages_running", "outages", ["id"], postgresql_where=sa.text("ended_at is null")
    )
    _addresses()
    _holiday_sheets()
    _classes()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
    op.drop_index("ix_outages_running", "outages")
    # Before, an outage was known only when it had ended.
    op.execute(
        "delete from outage_contracts o using outages u"
        " where u.id = o.outage_id and u.ended_at is null"
    )
    op.execute("delete from outages where ended_at is null")
    op.alter_column("outages", "ended_at", nullable=False)
    op.execute("drop trigger terms_are_kept on holds")
    op.execute("drop trigger not_deleted on holds")
    for name, _ in _HOLD_CHECKS:
        op.drop_constraint(op.f(f"ck_holds_{name}"), "holds")
    for column in ("end_reason", "ended_by", "ended_at", "kind"):
        op.drop_column("holds", column)
    op.drop_column("contracts", "policy_own")


def _holds() -> None:
    for column in (
        sa.Column("kind", sa.Text(), server_default="hold", nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("ended_by", sa.Text(), server_default="", nullable=False),
        sa.Column("end_reason", sa.Text(), server_default="", nullable=False),
    ):
        op.add_column("holds", column)
    for name, condition in _HOLD_CHECKS:
        op.create_check_constraint(op.f(f"ck_holds_{name}"), "holds", condition)
    op.execute(
        "create trigger terms_are_kept before update of id, contract_id, author, reason, placed_at,"
        " expires_at, kind on holds for each statement execute function religa_refuse()"
    )
    op.execute(
        "create trigger not_deleted before delete or truncate on holds"
        " for each statement execute function religa_refuse()"
    )


def _addresses() -> None:
    op.create_table(
        "addresses",
        _id(),
        sa.Column("subscriber_id", sa.BigInteger()),
        sa.Column("contract_id", sa.BigInteger()),
        sa.Column("cep", sa.String(8)),
        *(
            sa.Column(name, sa.Text())
            for name in ("street", "number", "complement", "district", "city")
        ),
        sa.Column("city_code", sa.String(7)),
        sa.Column("state", sa.String(2)),
        sa.Column("region", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_addresses")),
        *(
            sa.ForeignKeyConstraint(
                [f"{owner}_id"], [f"{owner}s.id"], name=op.f(f"fk_addresses_{owner}_id")
            )
            for owner in ("subscriber", "contract")
        ),
        sa.UniqueConstraint("subscriber_id", name=op.f("uq_addresses_subscriber_id")),
        sa.UniqueConstraint("contract_id", name=op.f("uq_addresses_contract_id")),
        sa.CheckConstraint(
            "num_nonnulls(subscriber_id, contract_id) = 1", name=op.f("ck_addresses_whose")
        ),
        sa.CheckConstraint("cep ~ '^[0-9]{8}$'", name=op.f("ck_addresses_cep")),
        sa.CheckConstraint(
            "city_code is null or (city_code ~ '^[0-9]{7}$' and state is not null)",
            name=op.f("ck_addresses_city_code"),
        ),
        sa.CheckConstraint("state ~ '^[A-Z]{2}$'", name=op.f("ck_addresses_state")),
    )
    op.create_index("ix_addresses_city", "addresses", ["state", "city_code"])
    op.create_index(
        "ix_addresses_region",
        "addresses",
        ["region"],
        postgresql_where=sa.text("region is not null"),
    )


def _holiday_sheets() -> None:
    op.create_table(
        "holiday_sheets",
        _id(),
        sa.Column("state", sa.String(2), nullable=False),
        sa.Column("city_code", sa.String(7), nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=False),
        sa.Column("days", postgresql.JSONB(), nullable=False),
        *_written(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holiday_sheets")),
        sa.CheckConstraint("city_code = '' or state <> ''", name=op.f("ck_holiday_sheets_place")),
    )
    _append_only("holiday_sheets")


def _classes() -> None:
    op.create_table(
        "customer_classes",
        _id(),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("never_block", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        *_written(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_classes")),
        sa.UniqueConstraint("name", name=op.f("uq_customer_classes_name")),
    )
    op.create_table(
        "subscriber_classes",
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("class_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *_written(),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_subscriber_classes")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_subscriber_classes_subscriber_id")
        ),
        sa.ForeignKeyConstraint(
            ["class_id"], ["customer_classes.id"], name=op.f("fk_subscriber_classes_class_id")
        ),
        sa.CheckConstraint("length(reason) > 0", name=op.f("ck_subscriber_classes_reason")),
    )
    op.create_index(op.f("ix_subscriber_classes_class_id"), "subscriber_classes", ["class_id"])
    op.create_table(
        "policy_assignments",
        _id(),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        *_written(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_assignments")),
        sa.UniqueConstraint("scope", "key", name=op.f("uq_policy_assignments_scope_key")),
        sa.CheckConstraint(
            "scope in ('class', 'region', 'plan')", name=op.f("ck_policy_assignments_scope")
        ),
    )

    op.create_table(
        "policy_moves",
        _id(),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        *_written(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_moves")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_policy_moves_contract_id")
        ),
    )
    op.create_index(op.f("ix_policy_moves_contract_id"), "policy_moves", ["contract_id"])
    _append_only("policy_moves")


def _append_only(table: str) -> None:
    op.execute(
        f"create trigger append_only before update or delete or truncate on {table}"
        " for each statement execute function religa_refuse()"
    )


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def _written() -> tuple[sa.Column[str], sa.Column[object]]:
    return (
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
    )
