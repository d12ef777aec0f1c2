"""Agreements, disputes and pauses; a promise says whether it was kept."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Of each contract the last promise alone may still be running; the next look says how it ended.
_PROMISES_OF_BEFORE = """
update promises p set state = 'extended', settled_at = p.made_at
where exists (select from promises later where later.contract_id = p.contract_id
    and (later.made_at, later.id) > (p.made_at, p.id))
"""
_PROMISE_CHECKS = (
    ("author_kind", "author_kind in ('operator', 'customer')"),
    ("state", "state in ('running', 'extended', 'kept', 'broken')"),
    ("settled", "(state = 'running') = (settled_at is null)"),
)
_INVOICE_STATES = "'open', 'paid', 'void', 'renegotiated', 'written_off'"
_CORRECTIONS = "'credit_note', 'debit_note', 'void', 'write_off', 'renegotiation', 'restoration'"
_REASONS = "'access', 'surplus'"
_CHECKS = (
    ("invoices", "state", "state in ({})", _INVOICE_STATES, "'disputed'"),
    ("corrections", "kind", "kind in ({})", _CORRECTIONS, "'dispute', 'release'"),
    ("network_actions", "reason", "reason in ({})", _REASONS, "'ended'"),
)
_NOTICED = "level = 'full' or notice_id is not null"
# What was agreed stays agreed; where it stands may move.
_KEPT = {
    "agreements": "id, contract_id, author, offered_at, valid_until, proposal, simulation,"
    " old_invoice_ids",
    "disputes": "id, invoice_id, contract_id, cents, frozen_cents, frozen_id, reason, author,"
    " opened_at, paid_on",
    "pauses": "id, contract_id, asked_at, author, from_on, until_on",
}


def upgrade() -> None:
    for column in _added_to_promises():
        op.add_column("promises", column)
    op.execute(_PROMISES_OF_BEFORE)
    for name, condition in _PROMISE_CHECKS:
        op.create_check_constraint(op.f(f"ck_promises_{name}"), "promises", condition)
    op.create_index(
        "ix_promises_running",
        "promises",
        ["contract_id"],
        postgresql_where=sa.text("state = 'running'"),
    )
    for table, name, condition, words, added in _CHECKS:
        _change_check(table, name, condition.format(f"{words}, {added}"))
    _change_check(
        "access_decisions",
        "cut_has_notice",
        f"{_NOTICED} or situation ->> 'paused_until' is not null",
    )
    _agreements()
    _disputes()
    _pauses()
    for table, columns in _KEPT.items():
        op.execute(
            f"create trigger terms_are_kept before update of {columns} on {table}"
            " for each statement execute function religa_refuse()"
        )
        op.execute(
            f"create trigger not_deleted before delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )


def downgrade() -> None:
    for table in _KEPT:
        op.drop_table(table)
    _change_check("access_decisions", "cut_has_notice", _NOTICED)
    for table, name, condition, words, _ in _CHECKS:
        _change_check(table, name, condition.format(words))
    op.drop_index("ix_promises_running", "promises")
    for name, _ in _PROMISE_CHECKS:
        op.drop_constraint(op.f(f"ck_promises_{name}"), "promises")
    for column in _added_to_promises():
        op.drop_column("promises", column.name)


def _added_to_promises() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("author_kind", sa.Text(), server_default="operator", nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
    )


def _change_check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"ck_{table}_{name}"), table)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def _agreements() -> None:
    op.create_table(
        "agreements",
        _id(),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("proposal", postgresql.JSONB(), nullable=False),
        sa.Column("simulation", postgresql.JSONB(), nullable=False),
        sa.Column("approved_by", sa.Text()),
        sa.Column("accepted_by", sa.Text()),
        sa.Column("accepted_at", sa.DateTime(timezone=True)),
        sa.Column("old_invoice_ids", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column(
            "invoice_ids", postgresql.ARRAY(sa.BigInteger()), server_default="{}", nullable=False
        ),
        sa.Column("rungs", postgresql.JSONB(), server_default="[]", nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
        *_of("agreements", "contract"),
        sa.CheckConstraint(
            "state in ('awaiting_approval', 'offered', 'expired', 'running', 'kept', 'broken')",
            name=op.f("ck_agreements_state"),
        ),
        sa.CheckConstraint("approved_by <> author", name=op.f("ck_agreements_two_persons")),
        sa.CheckConstraint(
            "(state in ('running', 'kept', 'broken')) = (accepted_at is not null)",
            name=op.f("ck_agreements_accepted"),
        ),
    )
    op.create_index(op.f("ix_agreements_contract_id"), "agreements", ["contract_id"])
    op.create_index("ix_agreements_state", "agreements", ["state"])


def _disputes() -> None:
    op.create_table(
        "disputes",
        _id(),
        sa.Column("invoice_id", sa.BigInteger(), nullable=False),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("frozen_cents", sa.BigInteger(), nullable=False),
        sa.Column("frozen_id", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_on", sa.Date()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_by", sa.Text(), server_default="", nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True)),
        sa.Column("compensation_cents", sa.BigInteger(), server_default="0", nullable=False),
        *_of("disputes", "contract", "invoice"),
        sa.ForeignKeyConstraint(["frozen_id"], ["invoices.id"], name=op.f("fk_disputes_frozen_id")),
        sa.CheckConstraint(
            "state in ('open', 'accepted', 'rejected', 'unanswered')",
            name=op.f("ck_disputes_state"),
        ),
        sa.CheckConstraint(
            "(state = 'open') = (answered_at is null)", name=op.f("ck_disputes_answered")
        ),
        sa.CheckConstraint(
            "cents > 0 and frozen_cents between 0 and cents and compensation_cents >= 0",
            name=op.f("ck_disputes_cents"),
        ),
    )
    for column in ("contract_id", "invoice_id"):
        op.create_index(op.f(f"ix_disputes_{column}"), "disputes", [column])
    op.create_index(
        "uq_disputes_open",
        "disputes",
        ["invoice_id"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )


def _pauses() -> None:
    op.create_table(
        "pauses",
        _id(),
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        *_of("pauses", "contract"),
        sa.CheckConstraint("until_on > from_on", name=op.f("ck_pauses_days")),
    )
    op.create_index(op.f("ix_pauses_contract_id"), "pauses", ["contract_id"])


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


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
