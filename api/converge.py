"""One session from desired to applied: send, resend, fall back, and keep what came of it.

Nothing is sent inside a transaction, and what is sent is read from the database right before.
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar, assert_never

import structlog

from api.clock import wall
from api.crashpoints import reach
from api.house import House
from api.next_step import (
    AwaitRedial,
    CallHuman,
    CloseStaleSession,
    Disconnect,
    Kind,
    MarkApplied,
    RetryLater,
    Step,
    next_step,
)
from api.send_rate import Lane
from api.store import claims
from api.store.claims import Action, Claim
from api.store.secrets import SecretError
from api.store.uow import Uow
from network.dialects import UnknownDialect
from network.render import Change, Redial, change, disconnect
from radius import dictionary
from radius.client import DynauthClient
from radius.codec import Code, Secret
from radius.dynauth import Ack, Nak, Outcome, Silence
from radius.errors import LocalError

log = logging.getLogger(__name__)

# A line that redials and still is not as desired met a node whose table lags, as just after a
# restart: it is given time, each time more. After that dropping it again would be worse than what
# it lacks.
REDIAL_PAUSES_S = (0.0, 1.0, 4.0, 12.0)
REDIALS_MAX = len(REDIAL_PAUSES_S)
REDIAL_AGAIN_S = 600.0

Result = TypeVar("Result")


@dataclass(eq=False, slots=True)
class Held:
    """A session under our lease and the task that converges it."""

    claim: Claim
    newer: asyncio.Event = field(default_factory=asyncio.Event)
    newest: int = 0
    task: asyncio.Task[None] = field(init=False)

    def heed(self, generation: int) -> None:
        """The contract desires this generation by now."""
        self.newest = max(self.newest, generation)
        if self.newest > self.claim.generation:
            self.newer.set()

    def reconsider(self) -> None:
        """Read again before the next word to the NAS: what it asks of the line may be stopped."""
        self.newer.set()

    def replace(self, claim: Claim) -> None:
        """What a later look found."""
        self.claim = claim
        if self.newest <= claim.generation:
            self.newer.clear()


class Converger:
    """Converges held sessions, one exchange in flight for each."""

    def __init__(self, house: House, client: DynauthClient, owner: str) -> None:
        self._house = house
        self._client = client
        self._owner = owner
        self._file = house.switch_file
        self._lanes: dict[int, Lane] = {}

    async def converge(self, held: Held) -> None:
        """Send, resend and fall back until there is nothing more to do now for one session.

        A newer generation ends the wait for an older one's answer: the line that was just paid for
        does not sit out the timers of its cut.
        """
        refused: int | None = None  # the generation that the NAS would not change live
        pause_s = REDIAL_PAUSES_S[min(held.claim.redials, REDIALS_MAX - 1)]
        if pause_s and not held.claim.unwanted:
            await unless(held.newer, asyncio.sleep(pause_s))
        while True:
            lane = self._lanes.setdefault(held.claim.nas_id, Lane(self._house.settings.coa_per_s))
            with lane.line(restores=held.claim.restores) as turn:
                # A newer generation stands in line anew, for it may be a restore.
                if await unless(held.newer, turn.wait()) is not None:
                    if not await self._read_again(held):
                        return
                    step = await self._send(held, dropping=refused == held.claim.generation)
                    if step is not None and not isinstance(step, Disconnect):
                        return
                    refused = held.claim.generation if step is not None else None
                    continue
            if not await self._read_again(held):
                return

    async def _read_again(self, held: Held) -> bool:
        """The claim as it stands now (invariant A6); False: there is nothing left to do."""
        async with self._uow() as uow:
            found = await claims.read(uow.connection, self._owner, [held.claim.session_id])
            # A kill switch stops a cut up to the moment before it is sent; its file is looked for
            # last of all.
            if not found or found[0].stopped or (found[0].cut and self._file.stands()):
                await claims.release(uow.connection, self._owner, [held.claim.session_id])
                return False
        held.replace(found[0])
        return True

    async def _send(self, held: Held, *, dropping: bool) -> Step | None:
        """One request and its outcome, recorded; None: a newer generation came first."""
        claim = held.claim
        structlog.contextvars.bind_contextvars(
            correlation_id=claim.correlation_id, contract_id=claim.contract_id
        )
        try:
            plan = _plan(claim, dropping=dropping)
            attributes = dictionary.encode(plan.attributes)
            secret = Secret(
                self._house.secrets.open("nases", claim.nas_name, "secret", claim.sealed_secret)
            )
        except (UnknownDialect, LocalError, SecretError) as error:
            return await self._call_human(claim, f"cannot be told: {error}", REDIAL_AGAIN_S)
        in_vain = isinstance(plan, Redial) and claim.redials >= REDIALS_MAX
        if in_vain and not (claim.failed or claim.unwanted):
            return await self._call_human(
                claim, "redialled in vain; do the RADIUS nodes publish?", REDIAL_AGAIN_S
            )
        kind: Kind = "coa" if isinstance(plan, Change) else "disconnect"
        sent_wall: datetime | None = None

        def on_sent() -> None:
            nonlocal sent_wall
            sent_wall = wall()
            reach("enforce-sent")

        outcome = await unless(
            held.newer,
            self._client.exchange(
                claim.nas_address,
                claim.coa_port,
                Code.COA_REQUEST if kind == "coa" else Code.DISCONNECT_REQUEST,
                attributes,
                secret,
                message_authenticator=True,
                on_sent=on_sent,
            ),
        )
        if sent_wall is None:
            return None
        if outcome is not None:
            reach("enforce-answered")
        step = None if outcome is None else next_step(outcome, kind, claim.attempts)
        await self._record(claim, _action(kind, outcome, sent_wall), step)
        reach("enforce-marked")
        return step

    async def _record(self, claim: Claim, action: Action, step: Step | None) -> None:
        last = " ".join(
            str(part) for part in (action.kind, action.outcome, action.error_cause) if part
        )
        subject = f"contract:{claim.contract_id}"
        told = {
            "session_id": claim.session_id,
            "nas": claim.nas_name,
            "generation": claim.generation,
            "level": claim.access.level.value,
            "outcome": last,
            "sends": action.sends,
            "answered_ms": _milliseconds(action),
        }
        async with self._uow(claim.correlation_id) as uow:
            connection = uow.connection
            await claims.add_action(connection, claim, action)
            match step:
                case MarkApplied():
                    if await claims.mark_applied(connection, self._owner, claim, last):
                        await uow.audit("access.applied", subject, told)
                case AwaitRedial():
                    if await claims.mark_closed(
                        connection, self._owner, claim, "Admin-Reset", last
                    ):
                        dropped = "session.dropped" if claim.unwanted else "access.redialled"
                        await uow.audit(dropped, subject, told)
                case CloseStaleSession():
                    if await claims.mark_closed(
                        connection, self._owner, claim, "Lost-Session", last
                    ):
                        await uow.audit("session.lost", subject, told)
                case RetryLater(after_s=after_s):
                    await claims.mark_retry(connection, self._owner, claim, last, after_s)
                case CallHuman(after_s=after_s):
                    await self._mark_failed(uow, claim, last, after_s)
                case Disconnect() | None:
                    pass  # more is to come under the same lease
                case _:
                    assert_never(step)
        log.info("%s on %s: %s", claim.access.level, claim.nas_name, last)

    async def _call_human(self, claim: Claim, why: str, after_s: float) -> CallHuman:
        async with self._uow(claim.correlation_id) as uow:
            await self._mark_failed(uow, claim, why, after_s)
        return CallHuman(after_s)

    async def _mark_failed(self, uow: Uow, claim: Claim, why: str, after_s: float) -> None:
        marked = await claims.mark_retry(
            uow.connection, self._owner, claim, why, after_s, failed=True
        )
        if marked and not claim.failed:
            log.error(
                "a person must look: session %d on %s is not %s: %s",
                claim.session_id,
                claim.nas_name,
                "dropped, though unwanted" if claim.unwanted else claim.access.level,
                why,
            )
            told = {"session_id": claim.session_id, "nas": claim.nas_name, "why": why}
            told |= {"generation": claim.generation, "level": claim.access.level.value}
            await uow.audit("access.failed", f"contract:{claim.contract_id}", told)

    def _uow(self, correlation_id: str = "enforce") -> Uow:
        return self._house.uow("enforcer", correlation_id)


async def unless(event: asyncio.Event, work: Awaitable[Result]) -> Result | None:
    """The result of `work`; or None, and `work` cancelled, once `event` is set."""
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        watching.cancel()


def _plan(claim: Claim, *, dropping: bool) -> Change | Redial:
    if dropping or claim.unwanted:
        return Redial(disconnect(claim.dialect, claim.key))
    return change(claim.dialect, claim.before, claim.access, claim.key)


def _action(kind: Kind, outcome: Outcome | None, sent_wall: datetime) -> Action:
    match outcome:
        case Ack(sends=sends):
            return Action(kind, "ack", None, sends, sent_wall, wall())
        case Nak(error_cause=cause, sends=sends):
            return Action(kind, "nak", cause, sends, sent_wall, wall())
        case Silence(sends=sends):
            return Action(kind, "silence", None, sends, sent_wall, None)
        case None:
            return Action(kind, "superseded", None, 1, sent_wall, None)
        case _:
            assert_never(outcome)


def _milliseconds(action: Action) -> int | None:
    if action.answered_wall is None:
        return None
    return round((action.answered_wall - action.sent_wall).total_seconds() * 1000)
