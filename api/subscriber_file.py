"""Bringing in subscribers from CSV: each row is a contract with its login, of the person it names.

Rows of one document are contracts of one person, be that person new or stored already. A new
person is where the first row says; a row that says another address has it for its contract alone.
"""

import asyncio
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.clock import Clock
from api.csv_files import CsvFile, ImportReport, Problem, Progress, Row, read
from api.importing import importing, log_import, refuse_stored
from api.store.bulk import copy_rows, draw_ids
from api.store.customer_tables import contracts, logins, plans, subscribers
from api.store.following import DEFAULT_POLICY, settle_new
from api.store.place_tables import addresses
from api.store.places import ADDRESS
from api.store.secrets import SecretBox
from api.store.uow import Store, Uow
from billing.documents import parse_document
from billing.place import InvalidPlace, parse_cep, parse_city_code, parse_place, parse_state

COLUMNS = (
    *("name", "document", "email", "phone", "plan", "due_day"),
    *("username", "password", "mac", "static_ipv4", "delegated_ipv6"),
)
# What came later stands at the end, and files of before lack it.
COLUMNS_OPTIONAL = ADDRESS
_UNIQUE = ("username", "static_ipv4", "delegated_ipv6")
# Looking at the rows, then copying four tables.
_PASSES = 5
_USERNAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_MAC = re.compile(r"[0-9A-F]{12}")
_PHONE = re.compile(r"\+?[0-9 ().-]{8,24}")
_EMAIL = re.compile(r"[^\s@<>\"',;]+@[^\s@<>\"',;]+\.[^\s@<>\"',;]+")


Address = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class _Person:
    """A payer as a row names one; every row of one document must name the same."""

    name: str
    email: str | None
    phone: str | None


@dataclass(frozen=True, slots=True)
class _Line:
    """One row: whose contract for which plan, and the login that goes with it."""

    row: Row
    document: str
    plan: str
    due_day: int
    username: str
    sealed: bytes
    mac: str | None
    static_ipv4: str | None
    delegated_ipv6: str | None
    # In the order of `ADDRESS`; None: the row has none of it.
    address: Address | None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the rows say together. `seen` has, by column, each value's first line."""

    lines: list[_Line]
    people: dict[str, _Person]
    seen: dict[str, dict[str, int]]


async def import_subscribers(
    store: Store, secrets: SecretBox, clock: Clock, path: Path, dry_run: bool, progress: Progress
) -> ImportReport:
    """Import subscribers with their contracts and logins (see `api.importer`)."""
    file = await asyncio.to_thread(read, path, COLUMNS, COLUMNS_OPTIONAL)
    found = await asyncio.to_thread(_look, file, secrets, progress)
    async with importing(store, clock) as uow:
        if not dry_run:
            # Nobody takes a name between the check and the copy. Readers and payments go on.
            await uow.connection.execute(
                text("lock table subscribers, logins in share row exclusive mode")
            )
        plan_ids = await _plan_ids(uow.connection, found, uow.clock.now().date())
        known_ids = await _known(uow.connection, found, file)
        for column in _UNIQUE:
            await refuse_stored(uow.connection, file, logins.c[column], found.seen[column])
        if not (file.problems or dry_run):
            await _write(uow, found, plan_ids, known_ids, progress)
            new = len(found.people) - len(known_ids)
            counts = {"subscribers": new, "contracts": len(found.lines)}
            await log_import(uow, "subscribers", file, counts)
    return file.report()


def _look(file: CsvFile, secrets: SecretBox, progress: Progress) -> _Found:
    found = _Found([], {}, {column: {} for column in ("document", *_UNIQUE)})
    for row in file.watched(progress, _PASSES):
        document = _person(row, found)
        username = row.text("username", 64)
        if username and not _USERNAME.fullmatch(username):
            row.refuse("username", "may have letters, digits and . _ @ - only")
        password = row.text("password", 128)
        line = _Line(
            row=row,
            document=document,
            plan=row.text("plan", 64),
            due_day=row.whole("due_day", 1, 31),
            username=username,
            sealed=secrets.seal("logins", username, "password", password.encode()),
            mac=row.parsed("mac", normal_mac),
            static_ipv4=row.parsed("static_ipv4", _ipv4),
            delegated_ipv6=row.parsed("delegated_ipv6", _prefix),
            address=_address(row),
        )
        for column, value in zip(
            _UNIQUE, (line.username, line.static_ipv4, line.delegated_ipv6), strict=True
        ):
            row.once(column, value, found.seen[column])
        found.lines.append(line)
    return found


def _address(row: Row) -> Address | None:
    state, city_code = row.parsed("state", parse_state), row.parsed("city_code", parse_city_code)
    try:
        state = parse_place(state, city_code).state or None
    except InvalidPlace as error:
        row.refuse("city_code", str(error))
    read_so = {"cep": row.parsed("cep", parse_cep), "city_code": city_code, "state": state}
    longest = {"number": 64, "region": 64}
    found = tuple(
        read_so[name] if name in read_so else row.optional(name, longest.get(name, 200))
        for name in ADDRESS
    )
    return found if any(found) else None


def _person(row: Row, found: _Found) -> str:
    """Note the row's person; the document, normalised."""
    row.text("document")
    document = row.parsed("document", parse_document) or ""
    person = _Person(row.text("name"), row.parsed("email", _email), row.parsed("phone", _phone))
    if document:
        first = found.seen["document"].setdefault(document, row.line)
        if found.people.setdefault(document, person) != person:
            row.refuse("document", f"is that of line {first}, with another name, email or phone")
    return document


async def _plan_ids(connection: AsyncConnection, found: _Found, today: date) -> dict[str, int]:
    rows = (await connection.execute(select(plans.c.name, plans.c.id, plans.c.withdrawn_on))).all()
    ids: dict[str, int] = {row.name: row.id for row in rows}
    withdrawn = {row.name for row in rows if row.withdrawn_on and row.withdrawn_on <= today}
    for line in found.lines:
        if line.plan in withdrawn:
            line.row.refuse("plan", f"plan {line.plan!r} was withdrawn; choose another")
        if line.plan and line.plan not in ids:
            line.row.refuse("plan", f"there is no plan {line.plan!r}; import plans first")
    return ids


async def _known(connection: AsyncConnection, found: _Found, file: CsvFile) -> dict[str, int]:
    """Ids of the people who are stored already; each must be as the file has them."""
    rows = await connection.execute(
        select(subscribers).where(subscribers.c.document == text("any(:documents)")),
        {"documents": list(found.people)},
    )
    ids: dict[str, int] = {}
    for row in rows:
        ids[row.document] = row.id
        if _Person(row.name, row.email, row.phone) != found.people[row.document]:
            line = found.seen["document"][row.document]
            reason = "is in the database already, with another name, email or phone"
            file.problems.append(Problem(line, "document", reason))
    return ids


async def _write(
    uow: Uow,
    found: _Found,
    plan_ids: Mapping[str, int],
    known_ids: Mapping[str, int],
    progress: Progress,
) -> None:
    connection, now, lines = uow.connection, uow.clock.now(), found.lines
    total = _PASSES * len(lines)

    def copied(table: int) -> Callable[[int], None]:
        return lambda count: progress(min(table * len(lines) + count, total), total)

    new = [document for document in found.people if document not in known_ids]
    ids = dict(zip(new, await draw_ids(connection, subscribers, len(new)), strict=True))
    ids.update(known_ids)
    rows: list[Sequence[object]] = []
    for document in new:
        person = found.people[document]
        rows.append((ids[document], person.name, document, person.email, person.phone, now))
    person_columns = ("id", "name", "document", "email", "phone", "created_at")
    await copy_rows(connection, subscribers, person_columns, rows, copied(1))

    contract_ids = await draw_ids(connection, contracts, len(lines))
    numbered = list(zip(contract_ids, lines, strict=True))
    rows = [
        (number, ids[line.document], plan_ids[line.plan], line.due_day, DEFAULT_POLICY, now, now)
        for number, line in numbered
    ]
    terms = ("id", "subscriber_id", "plan_id", "due_day", "policy", "created_at", "since")
    await copy_rows(connection, contracts, terms, rows, copied(2))

    rows = [(n, i.username, i.sealed, i.mac, i.static_ipv4, i.delegated_ipv6) for n, i in numbered]
    login_columns = ("contract_id", "username", "password", *COLUMNS[-3:])
    await copy_rows(connection, logins, login_columns, rows, copied(3))

    located = _located(numbered, ids, known_ids)
    owners = ("subscriber_id", "contract_id", *ADDRESS)
    await copy_rows(connection, addresses, owners, located, copied(4))
    await settle_new(connection, contract_ids)


def _located(
    numbered: Sequence[tuple[int, _Line]], ids: Mapping[str, int], known_ids: Mapping[str, int]
) -> list[Sequence[object]]:
    """Whose the addresses are: a new person's the first, a contract's what differs from it."""
    rows: list[Sequence[object]] = []
    homes: dict[str, Address | None] = dict.fromkeys(known_ids)
    for number, line in numbered:
        if line.document not in homes:
            homes[line.document] = line.address
            if line.address is not None:
                rows.append((ids[line.document], None, *line.address))
        elif line.address is not None and line.address != homes[line.document]:
            rows.append((None, number, *line.address))
    return rows


def normal_mac(value: str) -> str:
    """A MAC address in upper case with colons, from any of the usual ways to write it.

    >>> normal_mac("0a1b.2c3d.4e5f")
    '0A:1B:2C:3D:4E:5F'

    Raises:
        ValueError: not 12 hexadecimal digits.
    """
    digits = value.translate(str.maketrans("", "", ":-. ")).upper()
    if not _MAC.fullmatch(digits):
        raise ValueError(f"{value!r} is no MAC address, as 0A:1B:2C:3D:4E:5F")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError(f"{value!r} is no e-mail address")
    return value


def _phone(value: str) -> str:
    if not _PHONE.fullmatch(value):
        raise ValueError(f"{value!r} is no phone number")
    return value


def _ipv4(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is no IPv4 address") from error


def _prefix(value: str) -> str:
    try:
        return str(ipaddress.IPv6Network(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is no IPv6 prefix, as 2001:db8:1::/56") from error
