"""Who may do what: roles, passwords, bearer tokens, login. Deny by default.

A token is shown once; only its SHA-256 is stored, and neither it nor a password is ever logged.
Expiry and the throttle count real time: a rehearsal's clock must not log people out.
"""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from pwdlib import PasswordHash

from api.clock import wall
from api.store import operators as rows

if TYPE_CHECKING:
    from api.house import House
    from api.store.uow import Uow

TOKEN_PREFIX = "religa_"  # noqa: S105 -- what secret scanners look for, not a secret
SESSION_LIFE = timedelta(hours=12)
LOGIN_WINDOW = timedelta(minutes=15)
LOGIN_FAILURES_MAX = 5
FIRST_OPERATOR = "admin"
# Argon2 takes 64 MiB and 0.1 s of a core each: a burst of logins must not take the machine.
HASHES_AT_ONCE = 2


class Role(StrEnum):
    ADMIN = "admin"
    NOC = "noc"
    FINANCE = "finance"
    AUDITOR = "auditor"
    # A collection agency's own: it sees what was handed over to it, and nothing else.
    AGENCY = "agency"


class Permission(StrEnum):
    READ_PLANS = "read_plans"
    WRITE_PLANS = "write_plans"
    READ_NAS = "read_nas"
    WRITE_NAS = "write_nas"
    READ_SUBSCRIBERS = "read_subscribers"
    WRITE_SUBSCRIBERS = "write_subscribers"
    READ_CONTRACTS = "read_contracts"
    WRITE_CONTRACTS = "write_contracts"
    READ_DEBT = "read_debt"
    WRITE_INVOICES = "write_invoices"
    TAKE_PAYMENTS = "take_payments"
    TAKE_PROMISES = "take_promises"
    PLACE_HOLDS = "place_holds"
    OFFER_AGREEMENTS = "offer_agreements"
    APPROVE_AGREEMENTS = "approve_agreements"
    OPEN_DISPUTES = "open_disputes"
    ANSWER_DISPUTES = "answer_disputes"
    PAUSE_CONTRACTS = "pause_contracts"
    RUN_REVIEWS = "run_reviews"
    RELEASE_REVIEWS = "release_reviews"
    SET_KILL_SWITCHES = "set_kill_switches"
    READ_POLICIES = "read_policies"
    WRITE_POLICIES = "write_policies"
    READ_TEMPLATES = "read_templates"
    WRITE_TEMPLATES = "write_templates"
    READ_SURVEYS = "read_surveys"
    READ_SESSIONS = "read_sessions"
    READ_AUDIT = "read_audit"
    READ_OPERATORS = "read_operators"
    MANAGE_OPERATORS = "manage_operators"
    MOVE_CLOCK = "move_clock"
    WRITE_BUREAUS = "write_bureaus"
    RUN_CREDIT = "run_credit"
    READ_CREDIT = "read_credit"
    DECIDE_CREDIT = "decide_credit"
    MANAGE_LISTINGS = "manage_listings"
    READ_HANDED_OVER = "read_handed_over"


ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    # Sees at which level a line is and moves the network, but not what anyone owes.
    Role.NOC: frozenset(
        {
            Permission.READ_PLANS,
            Permission.WRITE_PLANS,
            Permission.READ_NAS,
            Permission.WRITE_NAS,
            Permission.READ_SUBSCRIBERS,
            Permission.WRITE_SUBSCRIBERS,
            Permission.READ_CONTRACTS,
            Permission.WRITE_CONTRACTS,
            Permission.READ_SESSIONS,
            Permission.TAKE_PROMISES,
            Permission.PLACE_HOLDS,
            Permission.OPEN_DISPUTES,
            Permission.PAUSE_CONTRACTS,
            Permission.SET_KILL_SWITCHES,
            Permission.READ_POLICIES,
            # Whoever makes contracts asks first; what an applicant owes stays hidden.
            Permission.RUN_CREDIT,
            Permission.READ_CREDIT,
        }
    ),
    Role.FINANCE: frozenset(
        {
            Permission.READ_PLANS,
            Permission.READ_SUBSCRIBERS,
            Permission.READ_CONTRACTS,
            Permission.READ_DEBT,
            Permission.WRITE_INVOICES,
            Permission.TAKE_PAYMENTS,
            Permission.TAKE_PROMISES,
            Permission.OFFER_AGREEMENTS,
            Permission.APPROVE_AGREEMENTS,
            Permission.OPEN_DISPUTES,
            Permission.ANSWER_DISPUTES,
            Permission.PAUSE_CONTRACTS,
            Permission.RUN_REVIEWS,
            Permission.RELEASE_REVIEWS,
            Permission.SET_KILL_SWITCHES,
            Permission.READ_POLICIES,
            Permission.WRITE_POLICIES,
            Permission.READ_TEMPLATES,
            Permission.WRITE_TEMPLATES,
            Permission.READ_SURVEYS,
            Permission.RUN_CREDIT,
            Permission.READ_CREDIT,
            Permission.DECIDE_CREDIT,
            Permission.MANAGE_LISTINGS,
            Permission.READ_HANDED_OVER,
        }
    ),
    Role.AGENCY: frozenset({Permission.READ_HANDED_OVER}),
    Role.AUDITOR: frozenset(p for p in Permission if p.value.startswith("read_")),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Whoever holds a live token. `name` is what the audit log calls them."""

    token_id: int
    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        return permission in ROLE_PERMISSIONS[self.role]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    token: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LoginRefused:
    """A wrong name or password: which of the two is not said."""


@dataclass(frozen=True, slots=True)
class LoginThrottled:
    retry_after_s: int


class NameTaken(ValueError):
    """An operator or a live token already has this name, and the audit log tells by name."""


_hasher = PasswordHash.recommended()
_hashing = asyncio.Semaphore(HASHES_AT_ONCE)


async def hash_password(password: str) -> str:
    async with _hashing:
        return await asyncio.to_thread(_hasher.hash, password)


async def check_password(password: str, password_hash: str | None) -> bool:
    """Whether it matches. Without a hash it takes the same time and is False."""
    async with _hashing:
        if password_hash is None:
            await asyncio.to_thread(_hasher.hash, password)
            return False
        return await asyncio.to_thread(_hasher.verify, password, password_hash)


def token_sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def create_token(
    uow: "Uow",
    role: str,
    name: str,
    *,
    operator_id: int | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return it: the only time that it can be seen.

    Raises:
        NameTaken: an operator, or a token that still works, is called so.
        ValueError: no such role.
    """
    if operator_id is None and await rows.name_taken(uow.connection, name):
        raise NameTaken(f"an operator or a live token is already called {name!r}; choose another")
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    token_id = await rows.insert_token(
        uow.connection,
        name=name,
        role=Role(role).value,
        operator_id=operator_id,
        sha256=token_sha256(token),
        created_at=wall(),
        expires_at=expires_at,
    )
    await uow.audit("token.created", f"token:{token_id}", {"name": name, "role": role})
    return token


async def create_operator(uow: "Uow", role: Role, name: str, password: str) -> int:
    """Add someone who can log in.

    Raises:
        NameTaken: an operator, or a token that still works, is called so.
    """
    password_hash = await hash_password(password)
    if await rows.name_taken(uow.connection, name):
        raise NameTaken(f"an operator or a live token is already called {name!r}; choose another")
    operator_id = await rows.insert_operator(
        uow.connection, name=name, role=role.value, password_hash=password_hash, created_at=wall()
    )
    await uow.audit(
        "operator.created", f"operator:{operator_id}", {"name": name, "role": role.value}
    )
    return operator_id


async def ensure_admin(house: "House") -> str | None:
    """At the first start, make the operator `admin`.

    Returns:
        The random password, to print once; None if the environment gave one or operators exist.
    """
    async with house.uow("system", "first-start") as uow:
        await rows.lock_names(uow.connection)
        if await rows.any_operator(uow.connection):
            return None
        given = house.settings.admin_password.get_secret_value()
        password = given or secrets.token_urlsafe(15)
        await create_operator(uow, Role.ADMIN, FIRST_OPERATOR, password)
        return None if given else password


async def identify(house: "House", token: str) -> Identity | None:
    """Who holds this token; None if nobody, or if it was revoked, expired or its owner disabled."""
    if not token.startswith(TOKEN_PREFIX):
        return None
    async with house.store.reading() as connection:
        found = await rows.live_token(connection, token_sha256(token), wall())
    return Identity(found.id, found.name, Role(found.role)) if found else None


async def login(
    house: "House", name: str, password: str, peer: str, correlation_id: str
) -> LoggedIn | LoginRefused | LoginThrottled:
    """Exchange a password for a token.

    The attempt is written down before the password is looked at, so that guesses sent at once
    count each other.
    """
    now = wall()
    horizon = now - LOGIN_WINDOW
    async with house.uow(name, correlation_id) as uow:
        attempt_id = await rows.note_attempt(uow.connection, name, peer, now, horizon)
    async with house.uow(name, correlation_id) as uow:
        earlier = await rows.attempts(uow.connection, name, peer, horizon, attempt_id)
        if len(earlier) >= LOGIN_FAILURES_MAX:
            # A refused attempt is not a guess: it must not push the end of the wait further away.
            await rows.forget_attempt(uow.connection, attempt_id)
            free_at = earlier[-LOGIN_FAILURES_MAX] + LOGIN_WINDOW
            return LoginThrottled(max(1, int((free_at - now).total_seconds()) + 1))
        operator = await rows.operator_by_name(uow.connection, name)
    if not await check_password(password, operator.password_hash if operator else None):
        return LoginRefused()
    if operator is None:
        return LoginRefused()
    async with house.uow(operator.name, correlation_id) as uow:
        await rows.forget_attempts(uow.connection, name, peer)
        expires_at = now + SESSION_LIFE
        role = Role(operator.role)
        token = await create_token(
            uow, role, operator.name, operator_id=operator.id, expires_at=expires_at
        )
    return LoggedIn(token, role, expires_at)
