"""What is sold, to whom, over which equipment."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import CIDR, INET, JSONB

from api.store.columns import LEVELS, instant, metadata, own_id, reference

plans = Table(
    "plans",
    metadata,
    own_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("down_bps", BigInteger, nullable=False),
    Column("up_bps", BigInteger, nullable=False),
    Column("reduced_down_bps", BigInteger, nullable=False),
    Column("reduced_up_bps", BigInteger, nullable=False),
    Column("price_cents", BigInteger, nullable=False),
    Column("ipv4_pool", Text),
    Column("ipv6_pool", Text),
    Column("simultaneous_use", Integer, nullable=False, server_default="1"),
    # What happens to one session more than that.
    Column("simultaneous_policy", Text, nullable=False, server_default="reject"),
    # Octets in both directions of one cycle; past it the line runs at the quota's rates.
    Column("quota_octets", BigInteger),
    Column("quota_down_bps", BigInteger),
    Column("quota_up_bps", BigInteger),
    # From this day no contract is made for it or changed to it; those that have it go on.
    Column("withdrawn_on", Date),
    CheckConstraint(
        "0 < reduced_down_bps and reduced_down_bps <= down_bps"
        " and 0 < reduced_up_bps and reduced_up_bps <= up_bps",
        name="rates",
    ),
    CheckConstraint("price_cents >= 0", name="price"),
    CheckConstraint("simultaneous_use > 0", name="simultaneous_use"),
    CheckConstraint(
        "simultaneous_policy in ('reject', 'drop_oldest', 'allow')", name="simultaneous_policy"
    ),
    CheckConstraint(
        "num_nulls(quota_octets, quota_down_bps, quota_up_bps) in (0, 3) and quota_octets > 0"
        " and quota_down_bps between 1 and down_bps and quota_up_bps between 1 and up_bps",
        name="quota",
    ),
)

nases = Table(
    "nases",
    metadata,
    own_id(),
    Column("name", Text, nullable=False, unique=True),
    Column("address", CIDR, nullable=False, unique=True),
    Column("secret", LargeBinary, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("coa_port", Integer, nullable=False, server_default="3799"),
    Column("require_message_authenticator", Text, nullable=False, server_default="yes"),
    # It counts in 32 bits and starts over, without telling of it by Gigawords.
    Column("wraps_at_4_gib", Boolean, nullable=False, server_default=false()),
    # Input is what came from the subscriber (RFC 2866 section 5.3); some NASes mean the reverse.
    Column("input_is_upload", Boolean, nullable=False, server_default=true()),
    CheckConstraint("coa_port between 1 and 65535", name="coa_port"),
    CheckConstraint("require_message_authenticator in ('yes', 'no', 'auto')", name="require_ma"),
)

subscribers = Table(
    "subscribers",
    metadata,
    own_id(),
    Column("name", Text, nullable=False),
    # Text, never a number: CNPJ has letters since July 2026.
    Column("document", String(14), nullable=False, unique=True),
    Column("email", Text),
    Column("phone", Text),
    instant("created_at", null=False),
)

contracts = Table(
    "contracts",
    metadata,
    own_id(),
    reference("subscriber_id", "subscribers.id", index=True),
    reference("plan_id", "plans.id"),
    Column("due_day", SmallInteger, nullable=False),
    # What the contract follows: its own choice, or what class, region or plan say.
    Column("policy", Text, nullable=False),
    Column("policy_own", Boolean, nullable=False, server_default=false()),
    instant("created_at", null=False),
    Column("ended_on", Date),
    # The standing: a projection of the last row of access_decisions, and of the last look.
    Column("level", Text, nullable=False, server_default="full"),
    Column("generation", Integer, nullable=False, server_default="1"),
    Column("reason", Text, nullable=False, server_default="no_debt"),
    instant("since", null=False),
    # [{"level": ..., "entered_on": ...}], mild to severe
    Column("rungs", JSONB, nullable=False, server_default="[]"),
    instant("review_on"),
    # The day of month on which the traffic quota starts anew; null: the due day.
    Column("quota_reset_day", SmallInteger),
    # What a good payer's full rates are raised by.
    Column("speed_bonus_percent", SmallInteger, nullable=False, server_default="0"),
    # The quota is used up until this local day begins; null: it is not.
    Column("quota_spent_until", Date),
    CheckConstraint("due_day between 1 and 31", name="due_day"),
    CheckConstraint("quota_reset_day between 1 and 31", name="quota_reset_day"),
    CheckConstraint("speed_bonus_percent between 0 and 100", name="speed_bonus_percent"),
    CheckConstraint(f"level in {LEVELS}", name="level"),
    CheckConstraint("generation > 0", name="generation"),
    Index("ix_contracts_review_on", "review_on", postgresql_where=text("review_on is not null")),
    Index("ix_contracts_level", "level"),
    # Few have ended: looks at what they owe walk these alone.
    Index("ix_contracts_ended", "id", postgresql_where=text("ended_on is not null")),
    Index(
        "ix_contracts_quota_spent_until",
        "quota_spent_until",
        postgresql_where=text("quota_spent_until is not null"),
    ),
)

logins = Table(
    "logins",
    metadata,
    own_id(),
    reference("contract_id", "contracts.id"),
    Column("username", Text, nullable=False, unique=True),
    Column("password", LargeBinary, nullable=False),
    Column("mac", Text),
    Column("circuit_id", Text),
    Column("remote_id", Text),
    Column("static_ipv4", INET),
    Column("delegated_ipv6", CIDR),
    UniqueConstraint("contract_id"),
    UniqueConstraint("static_ipv4"),
    UniqueConstraint("delegated_ipv6"),
    # It reaches routers and logs (invariant S7).
    CheckConstraint("username ~ '^[A-Za-z0-9._@-]{1,64}$'", name="username"),
)
