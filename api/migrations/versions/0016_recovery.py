"""Sums of what fell due and of when it was paid, and an index of what is owed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# When each allocation counts as paid: with its payment; as it went back; credit, which was there
# before, as the invoice was issued.
_VIEW = """
create view invoice_recoveries as
select a.id, a.invoice_id, i.due_on,
       coalesce(r.at, c.at, p.paid_at, i.issued_at) as paid_at, a.principal_cents as cents
from allocations a
    join invoices i on i.id = a.invoice_id
    left join payments p on p.id = a.payment_id
    left join reversals r on r.id = a.reversal_id
    left join corrections c on c.id = a.correction_id
where a.principal_cents <> 0
"""
_FUNCTIONS = """
create function religa_invoices_fell_due() returns trigger language plpgsql as $$
begin
    insert into recovery_news (due_on, cents)
    select due_on, sum(amount_cents - discount_cents) from new_rows where state <> 'void'
    group by due_on;
    return null;
end $$;

create function religa_invoices_changed() returns trigger language plpgsql as $$
begin
    insert into recovery_news (due_on, cents)
    select due_on, sum(cents) from (
        select due_on, amount_cents - discount_cents from new_rows where state <> 'void'
        union all
        select due_on, discount_cents - amount_cents from old_rows where state <> 'void'
    ) as moved (due_on, cents)
    group by due_on having sum(cents) <> 0;
    if exists (
        select from new_rows n join old_rows o using (id) where n.due_on <> o.due_on
    ) then
        insert into recovery_news (due_on, paid_at, cents)
        select way.due_on, v.paid_at, sum(way.sign * v.cents)
        from new_rows n join old_rows o using (id)
            join invoice_recoveries v on v.invoice_id = n.id,
            lateral (values (n.due_on, 1), (o.due_on, -1)) as way (due_on, sign)
        where n.due_on <> o.due_on
        group by 1, 2 having sum(way.sign * v.cents) <> 0;
    end if;
    return null;
end $$;

create function religa_invoices_were_paid() returns trigger language plpgsql as $$
begin
    insert into recovery_news (due_on, paid_at, cents)
    select v.due_on, v.paid_at, sum(v.cents)
    from new_rows n join invoice_recoveries v on v.id = n.id
    group by 1, 2;
    return null;
end $$;

create trigger recovery_follows_insert after insert on invoices
    referencing new table as new_rows
    for each statement execute function religa_invoices_fell_due();
create trigger recovery_follows_update after update on invoices
    referencing old table as old_rows new table as new_rows
    for each statement execute function religa_invoices_changed();
create trigger recovery_follows_insert after insert on allocations
    referencing new table as new_rows
    for each statement execute function religa_invoices_were_paid();
"""
_OF_BEFORE = (
    """
    insert into recovery_news (due_on, cents)
    select due_on, sum(amount_cents - discount_cents) from invoices where state <> 'void'
    group by due_on
    """,
    """
    insert into recovery_news (due_on, paid_at, cents)
    select due_on, paid_at, sum(cents) from invoice_recoveries group by 1, 2
    """,
)


def upgrade() -> None:
    for table, columns in (
        ("due_sums", ("due_on",)),
        ("recovery_sums", ("due_on", "paid_on")),
    ):
        op.create_table(
            table,
            *(sa.Column(name, sa.Date(), nullable=False) for name in columns),
            sa.Column("cents", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}")),
        )
    op.create_table(
        "recovery_news",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_news")),
    )
    op.execute(_VIEW)
    op.execute(_FUNCTIONS)
    for statement in _OF_BEFORE:
        op.execute(statement)
    op.create_index(
        "ix_invoices_owed",
        "invoices",
        ["due_on"],
        postgresql_include=["contract_id", "state", "amount_cents", "paid_cents", "discount_cents"],
        postgresql_where=sa.text("state in ('open', 'disputed')"),
    )
    op.create_index(
        "ix_promises_until_on",
        "promises",
        ["until_on"],
        postgresql_where=sa.text("state in ('running', 'broken')"),
    )


def downgrade() -> None:
    op.drop_index("ix_promises_until_on", "promises")
    op.drop_index("ix_invoices_owed", "invoices")
    for trigger, table in (
        ("recovery_follows_insert", "invoices"),
        ("recovery_follows_update", "invoices"),
        ("recovery_follows_insert", "allocations"),
    ):
        op.execute(f"drop trigger {trigger} on {table}")
    for name in ("fell_due", "changed", "were_paid"):
        op.execute(f"drop function religa_invoices_{name}()")
    op.execute("drop view invoice_recoveries")
    for table in ("recovery_news", "recovery_sums", "due_sums"):
        op.drop_table(table)
