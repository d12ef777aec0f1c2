"""Balanced entries, append-only tables, and the log of what the grant table must follow."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Invariant M1. Deferred, because an entry and its postings are separate statements.
_BALANCED = """
create function religa_entry_is_balanced() returns trigger language plpgsql as $$
declare
    entry bigint := to_jsonb(new) ->> tg_argv[0];
    total numeric;
    parts bigint;
begin
    select coalesce(sum(cents), 0), count(*) into total, parts
    from ledger_postings where entry_id = entry;
    if total <> 0 or parts < 2 then
        raise exception 'ledger entry % has % postings that sum to %', entry, parts, total
            using errcode = 'check_violation', constraint = 'ledger_entry_is_balanced';
    end if;
    return null;
end $$;

create constraint trigger ledger_entry_is_balanced after insert on ledger_entries
    deferrable initially deferred for each row execute function religa_entry_is_balanced('id');
create constraint trigger ledger_entry_is_balanced after insert on ledger_postings
    deferrable initially deferred
    for each row execute function religa_entry_is_balanced('entry_id');
"""

# Invariants M2 and A10. It stops mistakes, of any role; who owns the database can drop it.
_REFUSE = """
create function religa_refuse() returns trigger language plpgsql as $$
begin
    raise exception '% of % is refused: it is kept as it was written; correct by a new row',
        lower(tg_op), tg_table_name
        using errcode = 'restrict_violation', constraint = 'append_only';
end $$;
"""

_APPEND_ONLY = (
    "ledger_entries",
    "ledger_postings",
    "allocations",
    "access_decisions",
    "audit_log",
)

# Proof whose state may still move: the proof itself may not.
_PROOFS = {
    "payments": (
        "provider, external_id, amount_cents, method, reference, paid_at, cleared_at,"
        " correlation_id"
    ),
    "payment_notices": "provider, external_id, kind, sha256, body, correlation_id, received_at",
}

_NOTICE_PROOF = """
create trigger proof_is_kept
    before update of subscriber_id, drawn_at, amounts_cents, channel, address, message_id,
        content_sha256 on notices
    for each row when (old.state = 'proven') execute function religa_refuse();
"""

# What a node's publisher reads. Transition tables instead of row triggers: importing 100,000 logins
# writes its changes in one statement. They exclude column lists, hence the comparisons.
_CHANGES = """
create function religa_log_grants(subject text, ids bigint[]) returns void language plpgsql as $$
begin
    if cardinality(ids) > 0 then
        insert into grant_changes (xid, subject, subject_id)
        select pg_current_xact_id()::text::bigint, religa_log_grants.subject, id
        from unnest(ids) as changed(id);
        perform pg_notify('religa_grants', '');
    end if;
end $$;

create function religa_new_rows_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants(tg_argv[0], array(select id from new_rows));
    return null;
end $$;

create function religa_old_rows_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants(tg_argv[0], array(select id from old_rows));
    return null;
end $$;

create function religa_contracts_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants('login', array(
        select l.id from new_rows n join old_rows o using (id) join logins l on l.contract_id = n.id
        where (n.plan_id, n.level, n.generation, n.ended_on)
            is distinct from (o.plan_id, o.level, o.generation, o.ended_on)
    ));
    return null;
end $$;

create function religa_plans_changed() returns trigger language plpgsql as $$
begin
    perform religa_log_grants('login', array(
        select l.id
        from new_rows n join old_rows o using (id)
            join contracts c on c.plan_id = n.id join logins l on l.contract_id = c.id
        where (n.down_bps, n.up_bps, n.reduced_down_bps, n.reduced_up_bps, n.ipv4_pool,
               n.ipv6_pool, n.simultaneous_use)
            is distinct from (o.down_bps, o.up_bps, o.reduced_down_bps, o.reduced_up_bps,
               o.ipv4_pool, o.ipv6_pool, o.simultaneous_use)
    ));
    return null;
end $$;

create trigger grants_follow after update on contracts
    referencing old table as old_rows new table as new_rows
    for each statement execute function religa_contracts_changed();
create trigger grants_follow after update on plans
    referencing old table as old_rows new table as new_rows
    for each statement execute function religa_plans_changed();
"""

_FOLLOWED = (("logins", "login"), ("nases", "nas"))


def upgrade() -> None:
    op.execute(_BALANCED)
    op.execute(_REFUSE)
    for table in _APPEND_ONLY:
        op.execute(
            f"create trigger append_only before update or delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )
    for table, columns in _PROOFS.items():
        op.execute(
            f"create trigger proof_is_kept before update of {columns} on {table}"
            " for each statement execute function religa_refuse()"
        )
    op.execute(_NOTICE_PROOF)
    for table in (*_PROOFS, "notices"):
        op.execute(
            f"create trigger not_deleted before delete or truncate on {table}"
            " for each statement execute function religa_refuse()"
        )
    op.execute(_CHANGES)
    for table, subject in _FOLLOWED:
        for event, rows in (("insert", "new"), ("update", "new"), ("delete", "old")):
            op.execute(
                f"create trigger grants_follow_{event} after {event} on {table}"
                f" referencing {rows} table as {rows}_rows for each statement"
                f" execute function religa_{rows}_rows_changed('{subject}')"
            )


def downgrade() -> None:
    for table in _APPEND_ONLY:
        op.execute(f"drop trigger append_only on {table}")
    for table in (*_PROOFS, "notices"):
        op.execute(f"drop trigger proof_is_kept on {table}")
        op.execute(f"drop trigger not_deleted on {table}")
    for table in ("ledger_entries", "ledger_postings"):
        op.execute(f"drop trigger ledger_entry_is_balanced on {table}")
    for table in ("contracts", "plans"):
        op.execute(f"drop trigger grants_follow on {table}")
    for table, _ in _FOLLOWED:
        for event in ("insert", "update", "delete"):
            op.execute(f"drop trigger grants_follow_{event} on {table}")
    for function in (
        "religa_entry_is_balanced()",
        "religa_refuse()",
        "religa_new_rows_changed()",
        "religa_old_rows_changed()",
        "religa_contracts_changed()",
        "religa_plans_changed()",
        "religa_log_grants(text, bigint[])",
    ):
        op.execute(f"drop function {function}")
