"""Bringing in plans and NASes from CSV (subscribers: `subscriber_file`): all rows, or none.

Every importer takes the store, the box that seals secrets, the clock, the file, whether to write
nothing (`dry_run`), and whom to tell of progress. It answers how many rows there are and every
problem found; with one problem nothing is written. `ImportRefused` is about the file as a whole.
"""

import asyncio
import ipaddress
from pathlib import Path

from api.clock import Clock
from api.csv_files import ImportRefused, ImportReport, Problem, Progress, Row, read
from api.importing import importing, log_import, refuse_stored
from api.store.bulk import copy_rows
from api.store.customer_tables import nases, plans
from api.store.secrets import SecretBox
from api.store.uow import Store
from api.subscriber_file import import_subscribers
from network.dialects import dialect

__all__ = [
    "ImportRefused",
    "ImportReport",
    "Problem",
    "import_nas",
    "import_plans",
    "import_subscribers",
]

PLAN_COLUMNS = (
    *("name", "down_bps", "up_bps", "reduced_down_bps", "reduced_up_bps", "price_cents"),
    *("ipv4_pool", "ipv6_pool", "simultaneous_use"),
)
# What came later stands at the end, and files of before lack it.
PLAN_COLUMNS_OPTIONAL = ("simultaneous_policy", "quota_octets", "quota_down_bps", "quota_up_bps")
NAS_COLUMNS = ("name", "address", "secret", "dialect", "coa_port", "require_message_authenticator")
NAS_COLUMNS_OPTIONAL = ("wraps_at_4_gib", "input_is_upload")
COA_PORT = 3799
_BPS_MAX = 10**13
_CENTS_MAX = 10**9
_OCTETS_MAX = 10**18


async def import_plans(
    store: Store, secrets: SecretBox, clock: Clock, path: Path, dry_run: bool, progress: Progress
) -> ImportReport:
    """Import plans, which have no secrets."""
    del secrets
    file = await asyncio.to_thread(read, path, PLAN_COLUMNS, PLAN_COLUMNS_OPTIONAL)
    names: dict[str, int] = {}
    rows: list[tuple[object, ...]] = []
    for row in file.watched(progress):
        name = row.text("name", 64)
        row.once("name", name, names)
        down, up = row.whole("down_bps", 1, _BPS_MAX), row.whole("up_bps", 1, _BPS_MAX)
        # Beside a wrong full rate, the reduced one has nothing to be compared with.
        reduced_down = row.whole("reduced_down_bps", 1, down if down > 0 else _BPS_MAX)
        reduced_up = row.whole("reduced_up_bps", 1, up if up > 0 else _BPS_MAX)
        price = row.whole("price_cents", 0, _CENTS_MAX)
        pools = row.optional("ipv4_pool", 64), row.optional("ipv6_pool", 64)
        use = row.whole("simultaneous_use", 1, 1000, default=1)
        policy = row.optional("simultaneous_policy") or "reject"
        if policy not in {"reject", "drop_oldest", "allow"}:
            row.refuse(
                "simultaneous_policy", f"must be reject, drop_oldest or allow, not {policy!r}"
            )
        quota = _quota(row, down, up)
        rows.append((name, down, up, reduced_down, reduced_up, price, *pools, use, policy, *quota))
    async with importing(store, clock) as uow:
        await refuse_stored(uow.connection, file, plans.c.name, names)
        if not (file.problems or dry_run):
            await copy_rows(uow.connection, plans, PLAN_COLUMNS + PLAN_COLUMNS_OPTIONAL, rows)
            await log_import(uow, "plans", file, {"plans": len(rows)})
    return file.report()


async def import_nas(
    store: Store, secrets: SecretBox, clock: Clock, path: Path, dry_run: bool, progress: Progress
) -> ImportReport:
    """Import NASes, their shared secrets sealed."""
    file = await asyncio.to_thread(read, path, NAS_COLUMNS, NAS_COLUMNS_OPTIONAL)
    names: dict[str, int] = {}
    addresses: dict[str, int] = {}
    rows: list[tuple[object, ...]] = []
    for row in file.watched(progress):
        name = row.text("name", 64)
        row.once("name", name, names)
        row.text("address")
        address = row.parsed("address", _network)
        row.once("address", address, addresses)
        spoken = row.text("dialect")
        if spoken:
            row.parsed("dialect", dialect)
        sealed = secrets.seal("nases", name, "secret", row.text("secret").encode())
        port = row.whole("coa_port", 1, 65535, default=COA_PORT)
        required = row.optional("require_message_authenticator") or "yes"
        if required not in {"yes", "no", "auto"}:
            row.refuse(
                "require_message_authenticator", f"must be yes, no or auto, not {required!r}"
            )
        wraps = row.flag("wraps_at_4_gib", default=False)
        upload = row.flag("input_is_upload", default=True)
        rows.append((name, address, sealed, spoken, port, required, wraps, upload))
    async with importing(store, clock) as uow:
        await refuse_stored(uow.connection, file, nases.c.name, names)
        await refuse_stored(uow.connection, file, nases.c.address, addresses)
        if not (file.problems or dry_run):
            await copy_rows(uow.connection, nases, NAS_COLUMNS + NAS_COLUMNS_OPTIONAL, rows)
            await log_import(uow, "nas", file, {"nases": len(rows)})
    return file.report()


def _quota(row: Row, down_bps: int, up_bps: int) -> tuple[int | None, int | None, int | None]:
    """Octets of a cycle and the rates past them; all three or none."""
    columns = ("quota_octets", "quota_down_bps", "quota_up_bps")
    missing = [column for column in columns if row.optional(column) is None]
    if len(missing) == len(columns):
        return None, None, None
    for column in missing:
        row.refuse(column, "is empty; a quota needs quota_octets, quota_down_bps, quota_up_bps")
    if missing:
        return None, None, None
    return (
        row.whole("quota_octets", 1, _OCTETS_MAX),
        row.whole("quota_down_bps", 1, down_bps if down_bps > 0 else _BPS_MAX),
        row.whole("quota_up_bps", 1, up_bps if up_bps > 0 else _BPS_MAX),
    )


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no IP address and no network with zero host bits, as 10.0.0.0/24"
        ) from error
