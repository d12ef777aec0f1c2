"""The situation that a decision judged, as JSON beside the decision, so it can be judged again."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from api.store.rungs import read_rungs, write_rungs
from billing.ladder import Bar, CoveringNotice, Receivable, Situation
from billing.quota import Cycle, Meter


def write(situation: Situation, meter: Meter | None) -> dict[str, object]:
    """Plain data of a situation and of the traffic quota; dates and instants in ISO 8601."""
    until, hold = situation.promise_until, situation.hold_until
    return {
        "receivables": [
            {
                "invoice_id": r.invoice_id,
                "due_on": r.due_on.isoformat(),
                "unpaid_cents": r.unpaid_cents,
            }
            for r in situation.receivables
        ],
        "notices": [
            {
                "notice_id": n.notice_id,
                "proven_on": n.proven_on.isoformat(),
                "invoice_ids": sorted(n.invoice_ids),
            }
            for n in situation.notices
        ],
        "rungs": write_rungs(situation.rungs),
        "promise_until": until.isoformat() if until is not None else None,
        "hold_until": hold.isoformat() if hold is not None else None,
        "agreed_until": _written(situation.agreed_until),
        "broken_on": _written(situation.broken_on),
        "paused_from": _written(situation.paused_from),
        "paused_until": _written(situation.paused_until),
        "bars": [bar.value for bar in situation.bars],
        "ended_on": _written(situation.ended_on),
        "quota": _written_meter(meter) if meter is not None else None,
    }


def read(stored: Mapping[str, Any]) -> Situation:
    """The situation that `write` stored."""
    until, hold = stored["promise_until"], stored["hold_until"]
    return Situation(
        receivables=tuple(
            Receivable(r["invoice_id"], date.fromisoformat(r["due_on"]), r["unpaid_cents"])
            for r in stored["receivables"]
        ),
        notices=tuple(
            CoveringNotice(
                n["notice_id"], date.fromisoformat(n["proven_on"]), frozenset(n["invoice_ids"])
            )
            for n in stored["notices"]
        ),
        rungs=read_rungs(stored["rungs"]),
        promise_until=date.fromisoformat(until) if until is not None else None,
        hold_until=datetime.fromisoformat(hold) if hold is not None else None,
        # Decisions from before there were agreements, pauses, bars and stages have none.
        agreed_until=_instant(stored.get("agreed_until")),
        broken_on=date.fromisoformat(stored["broken_on"]) if stored.get("broken_on") else None,
        paused_from=_instant(stored.get("paused_from")),
        paused_until=_instant(stored.get("paused_until")),
        bars=tuple(map(Bar, stored.get("bars", ()))),
        ended_on=date.fromisoformat(stored["ended_on"]) if stored.get("ended_on") else None,
    )


def read_meter(stored: Mapping[str, Any]) -> Meter | None:
    """The meter that `write` stored; decisions from before there were quotas have none."""
    meter = stored.get("quota")
    if meter is None:
        return None
    starts_on, ends_on = (date.fromisoformat(meter[name]) for name in ("starts_on", "ends_on"))
    return Meter(meter["quota_octets"], meter["used_octets"], Cycle(starts_on, ends_on))


def _written(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _instant(stored: str | None) -> datetime | None:
    return datetime.fromisoformat(stored) if stored is not None else None


def _written_meter(meter: Meter) -> dict[str, object]:
    return {
        "quota_octets": meter.quota_octets,
        "used_octets": meter.used_octets,
        "starts_on": meter.cycle.starts_on.isoformat(),
        "ends_on": meter.cycle.ends_on.isoformat(),
    }
