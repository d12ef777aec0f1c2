"""Messages, every attempt to deliver one, receipts, preferences and consents."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_CHANNEL = "channel in ('email', 'sms', 'whatsapp')"
_KEPT = {
    "deliveries": "notice_id, message_id, subscriber_id, kind, channel, address, external_id",
    "messages": "subscriber_id, contract_id, kind, reference, subject, plain, html, short",
}
_APPEND_ONLY = ("delivery_receipts", "consents")


def upgrade() -> None:
    op.add_column("notices", sa.Column("wait_until", sa.DateTime(timezone=True)))
    _messages()
    _deliveries()
    _receipts()
    _contact()
    for table, columns in _KEPT.items():
        op.execute(
            f"create trigger proof_is_kept before update of {columns} on {table}"
            " for each statement execute function religa_refuse()"
        )
        op.execute(
            f"create trigger not_deleted before delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )
    for table in _APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )


def downgrade() -> None:
    for table in (
        *("consents", "contact_preferences", "delivery_receipts"),
        *("deliveries", "messages"),
    ):
        op.drop_table(table)
    op.drop_column("notices", "wait_until")


def _messages() -> None:
    op.create_table(
        "messages",
        _id(),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("contract_id", sa.BigInteger()),
        _text("kind"),
        _text("reference"),
        _text("language"),
        _text("subject"),
        _text("plain"),
        _text("html"),
        _text("short"),
        sa.Column("channels", postgresql.ARRAY(sa.Text())),
        _instant("enqueued_wall", now=True),
        _instant("wanted_at", null=False),
        _instant("useful_until"),
        sa.Column("state", sa.Text(), server_default="queued", nullable=False),
        _instant("proven_at"),
        _instant("failed_at"),
        _instant("wait_until"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _instant("next_attempt_wall", now=True),
        sa.Column("last_error", sa.Text()),
        *_of("messages", "subscriber", "contract"),
        sa.UniqueConstraint(
            "subscriber_id",
            "kind",
            "reference",
            name=op.f("uq_messages_subscriber_id_kind_reference"),
        ),
        _check("messages", "kind", "kind in ('reminder', 'receipt', 'thanks', 'survey', 'other')"),
        _check("messages", "state", "state in ('queued', 'proven', 'failed')"),
        _check("messages", "proof", "(state = 'proven') = (proven_at is not null)"),
        _check("messages", "failed", "(state = 'failed') = (failed_at is not null)"),
    )
    op.create_index(
        "ix_messages_queued",
        "messages",
        ["next_attempt_wall"],
        postgresql_where=sa.text("state = 'queued'"),
    )


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        _id(),
        sa.Column("notice_id", sa.BigInteger()),
        sa.Column("message_id", sa.BigInteger()),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        _text("kind"),
        _text("channel"),
        _text("address"),
        _text("external_id"),
        sa.Column("provider_id", sa.Text()),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.Text()),
        sa.Column("state", sa.Text(), server_default="sending", nullable=False),
        _instant("started_at", null=False),
        _instant("deadline_at", null=False),
        _instant("accepted_at"),
        _instant("confirmed_at"),
        _instant("ended_at"),
        sa.Column("tries", sa.Integer(), server_default="1", nullable=False),
        sa.Column("reason", sa.Text()),
        *_of("deliveries", "notice", "message", "subscriber"),
        _unique("deliveries", "external_id"),
        _unique("deliveries", "notice_id", "channel"),
        _unique("deliveries", "message_id", "channel"),
        _check("deliveries", "subject", "num_nonnulls(notice_id, message_id) = 1"),
        _check("deliveries", "channel", _CHANNEL),
        _check(
            "deliveries",
            "state",
            "state in ('sending', 'accepted', 'confirmed', 'refused', 'failed', 'bounced',"
            " 'unconfirmed')",
        ),
    )
    for name, columns in (
        ("ix_deliveries_subscriber_id_started_at", ["subscriber_id", "started_at"]),
        ("ix_deliveries_channel_provider_id", ["channel", "provider_id"]),
    ):
        op.create_index(name, "deliveries", columns)


def _receipts() -> None:
    op.create_table(
        "delivery_receipts",
        _id(),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        _text("state"),
        _instant("at"),
        _instant("received_at", null=False),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_receipts")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_delivery_receipts_delivery_id")
        ),
        _unique("delivery_receipts", "delivery_id", "state"),
        _check(
            "delivery_receipts",
            "state",
            "state in ('sent', 'delivered', 'read', 'failed', 'bounced')",
        ),
    )


def _contact() -> None:
    op.create_table(
        "contact_preferences",
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("channels", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("language", sa.Text()),
        sa.Column("opted_out", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        _instant("changed_at", null=False),
        _text("author"),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_contact_preferences")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name=op.f("fk_contact_preferences_subscriber_id"),
        ),
        _check("contact_preferences", "language", "language in ('pt-BR', 'en')"),
    )
    op.create_table(
        "consents",
        _id(),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        _text("channel"),
        sa.Column("given", sa.Boolean(), nullable=False),
        _instant("at", null=False),
        _text("source"),
        _text("author"),
        *_of("consents", "subscriber"),
        _check("consents", "channel", _CHANNEL),
        _check("consents", "source", "length(source) > 0"),
    )
    op.create_index("ix_consents_subscriber_id", "consents", ["subscriber_id", "channel", "id"])


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _instant(name: str, *, null: bool = True, now: bool = False) -> sa.Column[Any]:
    default = sa.text("now()") if now else None
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=default, nullable=null and not now
    )


def _check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _of(table: str, *owners: str) -> tuple[sa.Constraint, ...]:
    return (
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        *(
            sa.ForeignKeyConstraint(
                [f"{owner}_id"], [f"{owner}s.id"], name=op.f(f"fk_{table}_{owner}_id")
            )
            for owner in owners
        ),
    )
