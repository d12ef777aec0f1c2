"""Lines by kind, conditional discounts, bills, reversals, corrections, and a chain of entries."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_LINE_CHECKS = (
    ("kind", "kind in ('scm', 'sva', 'one_off', 'penalty', 'instalment', 'other')"),
    ("conditional", "not conditional or amount_cents < 0"),
    ("span", "until_on > from_on"),
)
_INVOICE_CHECKS = (
    ("state", "state in ('open', 'paid', 'void', 'renegotiated', 'written_off')"),
    (
        "paid",
        "paid_cents >= 0 and discount_cents >= 0 and paid_cents + discount_cents <= amount_cents",
    ),
    ("paid_means_paid", "(state = 'paid') <= (paid_cents + discount_cents = amount_cents)"),
)
_INVOICE_CHECKS_BEFORE = (
    ("state", "state in ('open', 'paid', 'void')"),
    ("paid", "0 <= paid_cents and paid_cents <= amount_cents"),
    ("paid_means_paid", "(state = 'paid') <= (paid_cents = amount_cents)"),
)
_ALLOCATION_CHECK = "(interest_cents, fine_cents, principal_cents, discount_cents) <> (0, 0, 0, 0)"
_ALLOCATION_CHECK_BEFORE = (
    "interest_cents >= 0 and fine_cents >= 0 and principal_cents >= 0"
    " and interest_cents + fine_cents + principal_cents > 0"
)
_APPEND_ONLY = ("invoice_lines", "reversals", "corrections", "ledger_seals", "bills")
# What was issued stays issued; how it stands may move.
_KEPT = "id, contract_id, issued_at, bill_id"


# What entries of before had written, as it stands when they are sealed.
_DOCUMENTS = (
    """
    update ledger_entries e set document = jsonb_build_object(
        'invoices', jsonb_build_array(to_jsonb(i)), 'invoice_lines', (
            select jsonb_agg(to_jsonb(l) order by l.position)
            from invoice_lines l where l.invoice_id = i.id
        )
    ) from invoices i where e.kind = 'invoice' and e.reference = concat('invoice:', i.id)
    """,
    """
    update ledger_entries e set document = jsonb_build_object(
        'payments', jsonb_build_array(to_jsonb(p)), 'allocations', (
            select coalesce(jsonb_agg(to_jsonb(a) - 'id'), '[]')
            from allocations a where a.payment_id = p.id
        )
    ) from payments p where p.entry_id = e.id
    """,
    """
    update ledger_entries e set document = jsonb_build_object('allocations', (
        select jsonb_agg(to_jsonb(a) - 'id') from allocations a
        where a.payment_id is null and e.reference = concat('invoice:', a.invoice_id)
    )) where e.kind = 'credit'
    """,
)


def upgrade() -> None:
    # In parts of a cent: interest is rounded when it is paid or shown, and not before.
    op.alter_column("invoices", "interest_accrued_cents", new_column_name="interest_accrued_parts")
    op.execute("update invoices set interest_accrued_parts = interest_accrued_parts * 300000")
    for column in _line_columns():
        op.add_column("invoice_lines", column)
    for name, condition in _LINE_CHECKS:
        op.create_check_constraint(op.f(f"ck_invoice_lines_{name}"), "invoice_lines", condition)
    _bills()
    for column in _invoice_columns():
        op.add_column("invoices", column)
    op.create_foreign_key(op.f("fk_invoices_bill_id"), "invoices", "bills", ["bill_id"], ["id"])
    op.create_index(op.f("ix_invoices_bill_id"), "invoices", ["bill_id"])
    _change_checks("invoices", _INVOICE_CHECKS)
    op.add_column("charges", sa.Column("bill_id", sa.BigInteger()))
    op.alter_column("charges", "invoice_id", nullable=True)
    op.create_foreign_key(op.f("fk_charges_bill_id"), "charges", "bills", ["bill_id"], ["id"])
    op.create_index(op.f("ix_charges_bill_id"), "charges", ["bill_id"])
    op.create_check_constraint(
        op.f("ck_charges_subject"), "charges", "num_nonnulls(invoice_id, bill_id) = 1"
    )
    op.add_column("payments", sa.Column("bill_id", sa.BigInteger()))
    op.create_foreign_key(op.f("fk_payments_bill_id"), "payments", "bills", ["bill_id"], ["id"])
    _reversals()
    _corrections()
    for column in _allocation_columns():
        op.add_column("allocations", column)
    for name in ("reversal", "correction"):
        op.create_foreign_key(
            op.f(f"fk_allocations_{name}_id"), "allocations", f"{name}s", [f"{name}_id"], ["id"]
        )
    _change_checks("allocations", [("amounts", _ALLOCATION_CHECK)])
    op.create_check_constraint(
        op.f("ck_allocations_taken_back"),
        "allocations",
        "num_nonnulls(reversal_id, correction_id) <= 1",
    )
    op.add_column("ledger_entries", sa.Column("document", postgresql.JSONB()))
    _seals()
    for table in _APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )
    op.execute(
        f"create trigger issued_is_kept before update of {_KEPT} on invoices"
        " for each statement execute function religa_refuse()"
    )
    op.execute(
        "create trigger not_deleted before delete or truncate on invoices"
        " for each statement execute function religa_refuse()"
    )


def downgrade() -> None:
    op.execute("drop trigger not_deleted on invoices")
    op.execute("drop trigger issued_is_kept on invoices")
    op.execute("update invoices set interest_accrued_parts = interest_accrued_parts / 300000")
    op.alter_column("invoices", "interest_accrued_parts", new_column_name="interest_accrued_cents")
    op.execute("drop trigger append_only on invoice_lines")
    op.drop_table("ledger_seals")
    op.drop_column("ledger_entries", "document")
    op.drop_constraint(op.f("ck_allocations_taken_back"), "allocations")
    op.drop_constraint(op.f("ck_allocations_amounts"), "allocations")
    for column in _allocation_columns():
        op.drop_column("allocations", column.name)
    op.create_check_constraint(
        op.f("ck_allocations_amounts"), "allocations", _ALLOCATION_CHECK_BEFORE
    )
    op.drop_table("corrections")
    op.drop_table("reversals")
    op.drop_column("payments", "bill_id")
    op.drop_constraint(op.f("ck_charges_subject"), "charges")
    op.drop_column("charges", "bill_id")
    op.alter_column("charges", "invoice_id", nullable=False)
    for name, _ in _INVOICE_CHECKS:
        op.drop_constraint(op.f(f"ck_invoices_{name}"), "invoices")
    for column in _invoice_columns():
        op.drop_column("invoices", column.name)
    for name, condition in _INVOICE_CHECKS_BEFORE:
        op.create_check_constraint(op.f(f"ck_invoices_{name}"), "invoices", condition)
    op.drop_table("bills")
    for name, _ in _LINE_CHECKS:
        op.drop_constraint(op.f(f"ck_invoice_lines_{name}"), "invoice_lines")
    for column in _line_columns():
        op.drop_column("invoice_lines", column.name)


def _change_checks(table: str, checks: Sequence[tuple[str, str]]) -> None:
    for name, condition in checks:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _bills() -> None:
    op.create_table(
        "bills",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"], ["subscribers.id"], name=op.f("fk_bills_subscriber_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bills")),
        sa.UniqueConstraint("subscriber_id", "due_on", name=op.f("uq_bills_subscriber_id_due_on")),
    )


def _reversals() -> None:
    op.create_table(
        "reversals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("credit_cents", sa.BigInteger(), server_default="0", nullable=False),
        *_why("reversals"),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["payments.id"], name=op.f("fk_reversals_payment_id")
        ),
        sa.UniqueConstraint(
            "provider", "external_id", "kind", name=op.f("uq_reversals_provider_external_id_kind")
        ),
        sa.CheckConstraint(
            "kind in ('refund', 'chargeback', 'returned')", name=op.f("ck_reversals_kind")
        ),
        sa.CheckConstraint(
            "amount_cents > 0 and credit_cents between 0 and amount_cents",
            name=op.f("ck_reversals_amount"),
        ),
    )
    op.create_index(op.f("ix_reversals_payment_id"), "reversals", ["payment_id"])


def _corrections() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("credit_cents", sa.BigInteger(), server_default="0", nullable=False),
        *_why("corrections"),
        sa.ForeignKeyConstraint(
            ["invoice_id"], ["invoices.id"], name=op.f("fk_corrections_invoice_id")
        ),
        sa.CheckConstraint(
            "kind in ('credit_note', 'debit_note', 'void', 'write_off', 'renegotiation',"
            " 'restoration')",
            name=op.f("ck_corrections_kind"),
        ),
        sa.CheckConstraint(
            "amount_cents >= 0 and credit_cents >= 0", name=op.f("ck_corrections_amount")
        ),
        sa.CheckConstraint(
            "length(author) > 0 and length(reason) > 0", name=op.f("ck_corrections_reason")
        ),
    )
    op.create_index(op.f("ix_corrections_invoice_id"), "corrections", ["invoice_id"])


def _why(table: str) -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entries.id"], name=op.f(f"fk_{table}_entry_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _seals() -> None:
    op.create_table(
        "ledger_seals",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["ledger_entries.id"], name=op.f("fk_ledger_seals_entry_id")
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ledger_seals")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_ledger_seals_entry_id")),
        sa.UniqueConstraint("hash", name=op.f("uq_ledger_seals_hash")),
    )
    _seal_what_is_there()


def _seal_what_is_there() -> None:
    """Entries of before are sealed as they are found, by the first version of the hash."""
    connection = op.get_bind()
    op.execute("alter table ledger_entries disable trigger append_only")
    for statement in _DOCUMENTS:
        op.execute(statement)
    op.execute("alter table ledger_entries enable trigger append_only")
    found = connection.execute(
        sa.text(
            "select e.id, e.kind, e.at, e.reference, e.correlation_id, e.recorded_wall,"
            " e.document,"
            " jsonb_agg(jsonb_build_array(p.account, p.cents) order by p.position) as postings"
            " from ledger_entries e join ledger_postings p on p.entry_id = e.id"
            " group by e.id order by e.id"
        )
    )
    previous, rows = bytes(32), []
    for seq, row in enumerate(found, start=1):
        entry = {
            "seq": seq,
            "id": row.id,
            "kind": row.kind,
            "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "reference": row.reference,
            "correlation_id": row.correlation_id,
            "recorded_wall": row.recorded_wall.astimezone(UTC).isoformat(timespec="microseconds"),
            "postings": row.postings,
            "document": row.document,
        }
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        sealed = hashlib.sha256(bytes([1]) + previous + text.encode()).digest()
        rows.append(
            {"seq": seq, "entry_id": row.id, "version": 1, "previous": previous, "hash": sealed}
        )
        previous = sealed
    if rows:
        seals = sa.table("ledger_seals", *(sa.column(name) for name in rows[0]))
        connection.execute(sa.insert(seals), rows)


def _line_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("kind", sa.Text(), server_default="other", nullable=False),
        sa.Column("service", sa.Text(), server_default="", nullable=False),
        sa.Column("from_on", sa.Date()),
        sa.Column("until_on", sa.Date()),
        sa.Column("conditional", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def _invoice_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("bill_id", sa.BigInteger()),
        sa.Column("discount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("paid_in_time_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True)),
    )


def _allocation_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("discount_cents", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("reversal_id", sa.BigInteger()),
        sa.Column("correction_id", sa.BigInteger()),
    )
