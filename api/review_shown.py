"""What `religa review` prints: a table for people, JSON lines for programs."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import uuid4

import typer

from api import guards, previewing, review
from api.explain import reason_text
from api.failures import Refused
from api.guard_words import refusals
from api.house import House
from api.looking import Looked
from api.store import plan_rows
from billing.guard import crowded

_WIDTHS = (10, 24, 12, 12, 17, 11, 40)
_HEAD = ("contract", "subscriber", "region", "nas", "level", "cents", "why")


async def show_preview(house: House, at: datetime | None, *, as_json: bool) -> int:
    """Each contract that is due, and the totals; 1 if the guards would refuse the cuts."""
    try:
        found = await previewing.preview(house, None, at)
    except previewing.NotAhead as error:
        raise Refused(str(error)) from error
    next_at = found.next_at and found.next_at.astimezone(house.settings.zone)
    _show(found.rows, as_json=as_json)
    flaws = [flaw.value for flaw in found.flaws]
    over = crowded(guards.cuts_on(found.rows), found.sight.contracts_on, house.settings.limits)
    plan = {
        "flaws": flaws,
        "cuts": sum(row.is_cut for row in found.rows),
        "cuts_max": found.cuts_max,
        "cuts_max_by": found.cuts_max_by.value,
        "crowded": [asdict(nas) for nas in over],
        "signs": [],
    }
    counted = guards.totals(found.rows)
    if as_json:
        hashed = guards.hash_of(found.rows).hex()
        later = next_at and next_at.isoformat()
        shown = {"dry_run": True, "flaws": flaws, "hash": hashed, **counted, "next_at": later}
        typer.echo(json.dumps(shown))
    else:
        for name in ("region", "nas", "level", "reason"):
            by = counted[f"by_{name}"]
            if isinstance(by, dict):
                for value, kinds in by.items():
                    told = ", ".join(f"{kinds[kind]} {kind}" for kind in kinds)
                    typer.echo(f"{name} {value or '-'}: {told}")
        typer.echo(
            f"{counted['cuts']} cuts, {counted['restores']} restores,"
            f" {counted['unchanged']} unchanged (dry run);"
            f" a sweep may cut {found.cuts_max} of {found.sight.active} ({found.cuts_max_by})"
        )
        if next_at is not None:
            typer.echo(
                f"others are looked at from {next_at:%Y-%m-%d %H:%M} on:"
                f" religa review --dry-run --at {next_at:%Y-%m-%dT%H:%M}"
            )
    return _refused(plan)


async def show_run(house: House, *, as_json: bool) -> int:
    """Run the ladder and print what changed; 1 if the guards refused the cuts."""
    ran = await review.run(house, None, uuid4().hex, "cli")
    _show(ran.changes, as_json=as_json)
    if as_json:
        told = {
            "dry_run": False,
            "accounts": ran.accounts,
            "notices": ran.notices,
            "changes": len(ran.changes),
            "failed": list(ran.failed),
            "plan": ran.plan_id,
            "flaws": list(ran.flaws),
        }
        typer.echo(json.dumps(told))
    else:
        typer.echo(f"{len(ran.changes)} changes of {ran.accounts} accounts, {ran.notices} notices")
        for payer_id in ran.failed:
            typer.echo(f"subscriber {payer_id} was not reviewed; the log says why", err=True)
        if ran.flaws:
            typer.echo(f"review {ran.plan_id}: GET /api/v1/reviews/{ran.plan_id}/rows", err=True)
    if ran.plan_id is None or not ran.flaws:
        return int(bool(ran.failed))
    async with house.store.reading() as connection:
        return _refused(await plan_rows.read_plan(connection, ran.plan_id))


def _refused(plan: Mapping[str, Any]) -> int:
    if plan["flaws"]:
        typer.echo(f"the guards refuse the cuts: {', '.join(plan['flaws'])}", err=True)
    for sentence in refusals("pt-BR", plan):
        typer.echo(f"- {sentence}", err=True)
    return int(bool(plan["flaws"]))


def _show(rows: Iterable[Looked], *, as_json: bool) -> None:
    if not as_json:
        typer.echo(_line(_HEAD))
    for row in rows:
        if as_json:
            typer.echo(json.dumps(_plain(row), ensure_ascii=False))
            continue
        same = row.before is row.after
        level = row.after.value if same else f"{row.before.value} -> {row.after.value}"
        why = reason_text("pt-BR", row.reason)
        if row.invoice_ids:
            why += f"; faturas {', '.join(map(str, row.invoice_ids))}"
        parts = (str(row.contract_id), row.subscriber, row.region or "-", row.nas or "-")
        typer.echo(_line((*parts, level, str(row.counted_cents), why)))


def _line(parts: Iterable[str]) -> str:
    padded = zip(parts, _WIDTHS, strict=True)
    return "  ".join(part[:width].ljust(width) if width < 40 else part for part, width in padded)


def _plain(row: Looked) -> dict[str, object]:
    return {
        "contract_id": row.contract_id,
        "subscriber": row.subscriber,
        "region": row.region,
        "nas": row.nas,
        "before": row.before.value,
        "after": row.after.value,
        "reason": row.reason,
        "counted_cents": row.counted_cents,
        "invoice_ids": list(row.invoice_ids),
        "notice_id": row.notice_id,
        "policy": f"{row.policy}@{row.policy_version}",
        "review_on": row.review_on.isoformat() if row.review_on is not None else None,
    }
