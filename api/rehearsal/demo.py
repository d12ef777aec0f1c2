"""`religa demo`: the main job once, on real parts, judged by the routers' own logs.

`religa run` is started as a user would start it, in a fresh folder and on free ports; three
simulated routers dial over real UDP; a simulated Pix provider is paid and calls the webhook.
Business time is the rehearsal clock's; what is measured is real.
"""

import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from api.failures import Refused
from api.rehearsal.demo_cast import PLANS, Actor, Role, cast, policy
from api.rehearsal.demo_stage import Stage
from api.rehearsal.nas_log import restored, standing
from config.settings import Settings

# A line's standing as its router sees it.
Standing = str
SETTLE_WITHIN_S = 10.0
DAYS_MAX = 60
# Debtors do not all pay in the same instant.
PAY_EVERY_S = 0.1
# Of those who pay in time, so many by Pix.
BY_PIX = 30
# Nothing can happen sooner after a notice or a step of this policy.
QUIET_DAYS = 14


async def demo(_settings: Settings) -> int:
    """Play the story; 0 only if every step was observed."""
    folder = Path(tempfile.mkdtemp(prefix="religa-demo-"))
    folder.chmod(0o711)  # noqa: ASYNC240 -- once; the database's own user passes through to its files
    step = _Steps()
    try:
        async with Stage(folder) as stage:
            result = await _play(stage, step)
    except BaseException:
        print(f"the demo did not finish; its logs are in {folder}", file=sys.stderr)
        raise
    if result["ok"]:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"not everything was as it should be; the logs are in {folder}", file=sys.stderr)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


class _Steps:
    """Prints one line a step: how long it took, what happened."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, what: str) -> None:
        now = time.monotonic()
        print(f"{now - self._began:6.2f} s  {what}", flush=True)
        self._began = now


async def _play(stage: Stage, step: _Steps) -> dict[str, object]:
    actors = cast()
    debtors = [actor for actor in actors if actor.role != "good"]
    payers = [actor for actor in actors if actor.role == "payer"]
    step("PostgreSQL, RADIUS, worker and API run; three routers and a Pix provider stand by")

    await stage.import_all(actors)
    step(f"imported {len(PLANS)} plans, 3 routers, {len(actors)} subscribers from CSV")
    await stage.put("/policies/anatel-765", policy())
    up = await stage.dial(actors)
    await _await_standing(stage, actors, lambda _actor: "full")
    step(f"{up} lines dialled in over RADIUS (PAP, CHAP, MS-CHAPv2), all at full speed")

    today = await stage.today()
    due_on = today + timedelta(days=10)
    invoices = await stage.issue(actors, due_on)
    step(f"{len(invoices)} invoices issued on {today}, due {due_on}")
    await stage.move_clock(due_on)
    on_time = [a for a in actors if a.role == "good"]
    at_counter, by_pix = on_time[BY_PIX:], on_time[:BY_PIX]
    await stage.pay([invoices[a.username] for a in by_pix])
    await stage.take(at_counter, invoices)
    step(
        f"{len(by_pix)} subscribers pay by Pix on the due date, {len(at_counter)} at the counter,"
        f" {len(debtors)} do not"
    )

    first_day = due_on + timedelta(days=2)
    day = await _walk(stage, first_day, lambda: stage.mails() == len(debtors))
    step(f"{stage.mails()} notices sent and proven on {day}")
    quiet = timedelta(days=QUIET_DAYS)
    day = await _walk(stage, day + quiet, lambda: _all(stage, debtors, "reduced"))
    await _await_standing(stage, actors, lambda a: "full" if a.role == "good" else "reduced")
    step(f"{len(debtors)} lines slowed on {day}, as their routers saw it")
    day = await _walk(stage, day + quiet, lambda: _all(stage, debtors, "walled"))
    await _await_standing(stage, actors, lambda a: "full" if a.role == "good" else "walled")
    step(f"{len(debtors)} lines walled off on {day}, as their routers saw it")

    told = await stage.pay([invoices[a.username] for a in payers], every_s=PAY_EVERY_S)
    await stage.pay([invoices[a.username] for a in actors if a.role == "partial"], divisor=2)
    until = day + timedelta(days=2)
    await _promise(stage, [a for a in actors if a.role == "promiser"], until)
    right: tuple[Role, ...] = ("good", "payer", "promiser")
    wrong = await _count_wrong(stage, actors, right)
    step(f"{len(payers)} debtors pay by Pix, 1 pays half, 1 promises, the others do not pay")

    times = _restore_times(stage, payers, {a.username: told[invoices[a.username]] for a in payers})
    _show_times(payers, times)
    verified = await stage.command("verify") == 0
    step("ledger, audit chain and decisions recomputed: " + ("as recorded" if verified else "NO"))
    in_ms = sorted(times.values())
    return {
        "subscribers": len(actors),
        "cut": len(debtors),
        "paid": len(payers),
        "restored": len(times),
        "restore_ms_p50": _percentile(in_ms, 50),
        "restore_ms_p99": _percentile(in_ms, 99),
        "wrong": wrong,
        "ok": verified and wrong == 0 and len(times) == len(payers) and up == len(actors),
    }


async def _walk(stage: Stage, day: date, done: Callable[[], bool]) -> date:
    """Let days pass, noon to noon, until `done`; answers the day on which it was."""
    for _ in range(DAYS_MAX):
        if done():
            return day
        day += timedelta(days=1)
        await stage.move_clock(day)
        # What the clock's answer promised may still be on the wire: a router redials by itself.
        await asyncio.sleep(0.05)
    raise Refused(f"nothing happened until {day}")


def _seen(stage: Stage, actors: Sequence[Actor]) -> dict[str, Standing]:
    """How each line stands, by the routers' own logs."""
    profiles = standing(stage.events())
    seen: dict[str, Standing] = {}
    for actor in actors:
        profile = profiles.get(actor.username)
        if profile is None:
            seen[actor.username] = "down"
        elif profile.walled:
            seen[actor.username] = "walled"
        else:
            rates = (profile.rate_down_bps, profile.rate_up_bps)
            plan = actor.plan
            names = {
                (plan["down_bps"], plan["up_bps"]): "full",
                (plan["reduced_down_bps"], plan["reduced_up_bps"]): "reduced",
            }
            seen[actor.username] = names.get(rates, f"at {rates}")
    return seen


def _all(stage: Stage, actors: Sequence[Actor], wanted: Standing) -> bool:
    return set(_seen(stage, actors).values()) == {wanted}


async def _await_standing(
    stage: Stage, actors: Sequence[Actor], wanted: Callable[[Actor], Standing]
) -> None:
    """Wait until every line stands as wanted; refuse to go on otherwise."""
    wrong = await _differences(stage, actors, wanted)
    if wrong:
        raise Refused(
            f"{len(wrong)} lines are not as they should be, so {next(iter(wrong.items()))}"
        )


async def _differences(
    stage: Stage, actors: Sequence[Actor], wanted: Callable[[Actor], Standing]
) -> dict[str, Standing]:
    deadline = time.monotonic() + SETTLE_WITHIN_S
    while True:
        seen = _seen(stage, actors)
        wrong = {a.username: seen[a.username] for a in actors if seen[a.username] != wanted(a)}
        if not wrong or time.monotonic() > deadline:
            return wrong
        await asyncio.sleep(0.02)


async def _count_wrong(stage: Stage, actors: Sequence[Actor], right: Sequence[Role]) -> int:
    """Lines not as they should be at the end, and good payers' lines that were ever touched."""
    ends = await _differences(stage, actors, lambda a: "full" if a.role in right else "walled")
    good = {actor.username for actor in actors if actor.role == "good"}
    touched = {
        event.username
        for event in stage.events()
        if event.username in good and event.event in ("coa", "disconnect", "stop")
    }
    return len(ends.keys() | touched)


async def _promise(stage: Stage, actors: Sequence[Actor], until_on: date) -> None:
    contracts = await stage.contracts()
    body = {"until_on": until_on.isoformat()}
    for actor in actors:
        await stage.post(f"/contracts/{contracts[actor.username]}/promises", body)


def _restore_times(
    stage: Stage, payers: Sequence[Actor], told_ns: Mapping[str, int]
) -> dict[str, float]:
    """Milliseconds from the payer's webhook to full speed at his router, by the router's log."""
    events = stage.events()
    times: dict[str, float] = {}
    for actor in payers:
        told = told_ns[actor.username]
        at = restored(
            events,
            actor.username,
            told,
            int(str(actor.plan["down_bps"])),
            int(str(actor.plan["up_bps"])),
        )
        if at is not None:
            times[actor.username] = (at - told) / 1e6
    return times


def _show_times(payers: Sequence[Actor], times: Mapping[str, float]) -> None:
    print("          from payment to full speed, by the routers' logs (ms):")
    for dialect in sorted({actor.dialect for actor in payers}):
        mine = sorted(
            times[a.username] for a in payers if a.dialect == dialect and a.username in times
        )
        if mine:
            bar = "#" * max(1, round(statistics.median(mine) / 10))
            print(
                f"          {dialect:10} n {len(mine):3}  median {statistics.median(mine):7.1f}"
                f"  worst {mine[-1]:7.1f}  {bar}"
            )


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Nearest rank; None of nothing."""
    if not ordered:
        return None
    rank = max(1, -(-len(ordered) * percent // 100))
    return round(ordered[rank - 1], 1)
