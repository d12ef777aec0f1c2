"""Letters before a listing are delivered as notices are; ended contracts have an index."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_KEPT = "notice_id, message_id, {}subscriber_id, kind, channel, address, external_id"


def upgrade() -> None:
    op.add_column("listing_letters", sa.Column("subscriber_id", sa.BigInteger()))
    op.add_column("listing_letters", sa.Column("wait_until", sa.DateTime(timezone=True)))
    op.execute(
        "update listing_letters l set subscriber_id = c.subscriber_id"
        " from contracts c where c.id = l.contract_id"
    )
    op.alter_column("listing_letters", "subscriber_id", nullable=False)
    op.create_foreign_key(
        op.f("fk_listing_letters_subscriber_id"),
        "listing_letters",
        "subscribers",
        ["subscriber_id"],
        ["id"],
    )
    op.add_column("deliveries", sa.Column("letter_id", sa.BigInteger()))
    op.create_foreign_key(
        op.f("fk_deliveries_letter_id"), "deliveries", "listing_letters", ["letter_id"], ["id"]
    )
    op.create_unique_constraint(
        op.f("uq_deliveries_letter_id_channel"), "deliveries", ["letter_id", "channel"]
    )
    op.create_index(
        "ix_contracts_ended",
        "contracts",
        ["id"],
        postgresql_where=sa.text("ended_on is not null"),
    )
    _delivered("notice_id", "message_id", "letter_id")
    op.execute("drop trigger proof_is_kept on deliveries")
    op.execute(_trigger("letter_id, "))


def downgrade() -> None:
    op.drop_index("ix_contracts_ended", "contracts")
    op.execute("drop trigger proof_is_kept on deliveries")
    op.execute("drop trigger not_deleted on deliveries")
    op.execute("delete from deliveries where letter_id is not null")
    op.execute(
        "create trigger not_deleted before delete or truncate on deliveries"
        " for each statement execute function religa_refuse()"
    )
    _delivered("notice_id", "message_id")
    op.drop_column("deliveries", "letter_id")
    op.execute(_trigger(""))
    for column in ("wait_until", "subscriber_id"):
        op.drop_column("listing_letters", column)


def _delivered(*columns: str) -> None:
    op.drop_constraint(op.f("ck_deliveries_subject"), "deliveries")
    op.create_check_constraint(
        op.f("ck_deliveries_subject"), "deliveries", f"num_nonnulls({', '.join(columns)}) = 1"
    )


def _trigger(also: str) -> str:
    return (
        f"create trigger proof_is_kept before update of {_KEPT.format(also)} on deliveries"
        " for each statement execute function religa_refuse()"
    )
