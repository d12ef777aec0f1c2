"""What a decision said of the quota, and whose quota is to be looked at because of what changed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Adding up the cycles of all contracts takes seconds, so whatever may change an answer says whose.
# Counting instead of appending bounds the table by the contracts, and lets the one who looked see
# that more came meanwhile. In order of id, so that two shippers wait and do not deadlock.
_FOLLOW = """
create function religa_look_at_quotas(ids bigint[]) returns void language sql as $$
    insert into quota_looks as q (contract_id, changes)
    select distinct c.id, 1
    from contracts c join plans p on p.id = c.plan_id
    where c.id = any(ids) and c.ended_on is null
      and (p.quota_octets is not null or c.quota_spent_until is not null)
    order by c.id
    on conflict (contract_id) do update set changes = q.changes + 1
$$;

create function religa_usage_changed() returns trigger language plpgsql as $$
begin
    -- Whoever sells no quotas pays nothing for them.
    if exists (select from plans where quota_octets is not null) then
        perform religa_look_at_quotas(array(select contract_id from new_rows));
    end if;
    return null;
end $$;

create function religa_quota_of_plan_changed() returns trigger language plpgsql as $$
begin
    perform religa_look_at_quotas(array(select id from contracts where plan_id = new.id));
    return null;
end $$;

create function religa_quota_of_contract_changed() returns trigger language plpgsql as $$
begin
    perform religa_look_at_quotas(array[new.id]);
    return null;
end $$;

create trigger quotas_follow_insert after insert on usage_days referencing new table as new_rows
    for each statement execute function religa_usage_changed();
create trigger quotas_follow_update after update on usage_days referencing new table as new_rows
    for each statement execute function religa_usage_changed();
create trigger quotas_follow after update of quota_octets on plans
    for each row when (new.quota_octets is distinct from old.quota_octets)
    execute function religa_quota_of_plan_changed();
create trigger quotas_follow after update of plan_id, due_day, quota_reset_day on contracts
    for each row when ((new.plan_id, new.due_day, new.quota_reset_day)
        is distinct from (old.plan_id, old.due_day, old.quota_reset_day))
    execute function religa_quota_of_contract_changed();
"""


def upgrade() -> None:
    op.add_column("access_decisions", sa.Column("quota_spent_until", sa.Date()))
    op.create_table(
        "quota_looks",
        sa.Column("contract_id", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.id"], name=op.f("fk_quota_looks_contract_id")
        ),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_quota_looks")),
    )
    op.execute(_FOLLOW)


def downgrade() -> None:
    for trigger, table in (
        ("quotas_follow_insert", "usage_days"),
        ("quotas_follow_update", "usage_days"),
        ("quotas_follow", "plans"),
        ("quotas_follow", "contracts"),
    ):
        op.execute(f"drop trigger {trigger} on {table}")
    for function in (
        "religa_usage_changed()",
        "religa_quota_of_plan_changed()",
        "religa_quota_of_contract_changed()",
        "religa_look_at_quotas(bigint[])",
    ):
        op.execute(f"drop function {function}")
    op.drop_table("quota_looks")
    op.drop_column("access_decisions", "quota_spent_until")
