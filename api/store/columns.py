"""What the tables share. What a database can express of the invariants is a constraint of theirs.

Triggers say what SQL alone can express (balanced entries, append only, the log of grant changes);
they are in the migrations. All instants are `timestamptz`. Columns named `*_wall` hold real time
even in rehearsal: they measure.
"""

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LEVELS = "('full', 'reduced', 'walled', 'blocked')"


def own_id() -> Column[int]:
    """The primary key. Not ALWAYS: the shell draws ids before it calls the pure core."""
    return Column("id", BigInteger, Identity(always=False), primary_key=True)


def instant(name: str, *, null: bool = True) -> Column[object]:
    """An instant, with its time zone."""
    return Column(name, DateTime(timezone=True), nullable=null)


def reference(name: str, target: str, *, null: bool = False, index: bool = False) -> Column[int]:
    """The id of a row of another table."""
    return Column(name, BigInteger, ForeignKey(target), nullable=null, index=index)
