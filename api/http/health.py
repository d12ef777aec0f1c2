"""For machines that watch: liveness, readiness by part, Prometheus. No token, nothing private."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.house import House
from api.store import vitals
from api.store.secrets import LostKey, check_key
from api.store.uow import DatabaseAway
from api.store.vitals import Vitals

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)

# A node tells that it lives every five seconds.
SEEN_WITHIN_S = 15.0


@router.get("/healthz", summary="Lives")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz", summary="Ready, by part", description="503 where the database is away.")
async def ready(request: Request) -> JSONResponse:
    house: House = request.app.state.house
    parts: dict[str, Any] = {
        "database": {"ok": False},
        "key": {"ok": False},
        "radius": {"ok": False, "nodes": []},
        "worker": {"ok": False},
    }
    try:
        async with house.store.reading() as connection:
            beats = await vitals.beats(connection)
            parts["database"]["ok"] = True
            await check_key(connection, house.secrets)
            parts["key"]["ok"] = True
    except LostKey:
        log.error("the secret key does not fit what the database holds")
    except DatabaseAway:
        return JSONResponse({"ready": False, "parts": parts}, 503, headers={"Retry-After": "5"})
    nodes = [
        {"name": beat.name, "seen_s_ago": round(beat.age_s, 1), "ok": beat.age_s < SEEN_WITHIN_S}
        for beat in beats
        if not beat.is_worker
    ]
    parts["radius"] = {"ok": any(node["ok"] for node in nodes), "nodes": nodes}
    parts["worker"]["ok"] = any(b.is_worker and b.age_s < SEEN_WITHIN_S for b in beats)
    return JSONResponse({"ready": all(part["ok"] for part in parts.values()), "parts": parts})


@router.get("/metrics", summary="Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    house: House = request.app.state.house
    registry: CollectorRegistry = request.app.state.registry
    try:
        async with house.store.reading() as connection:
            found = await vitals.read(connection, house.clock.now())
    except DatabaseAway:
        found = None
    scrape = CollectorRegistry(auto_describe=False)
    scrape.register(_Shown(found))
    body = generate_latest(registry) + generate_latest(scrape)
    return Response(body, media_type=CONTENT_TYPE_LATEST)


class _Shown(Collector):
    """The database's part of one scrape; `None`: it is away, which is itself worth an alarm."""

    def __init__(self, found: Vitals | None) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("religa_database_up", "1 while the database answers.")
        up.add_metric((), 0 if self._found is None else 1)
        yield up
        if self._found is None:
            return
        yield from self._nodes(self._found)
        yield _gauge("religa_contracts", "Running contracts.", "level", self._found.levels.items())
        yield _gauge(
            "religa_open_work", "Rows that wait to be worked.", "queue", self._found.open.items()
        )
        online = GaugeMetricFamily("religa_sessions_online", "Sessions without a Stop.")
        online.add_metric((), self._found.online)
        yield online

    def _nodes(self, found: Vitals) -> Iterator[Metric]:
        ages = ((beat.name, beat.age_s) for beat in found.beats)
        yield _gauge("religa_node_seen_age_seconds", "Since a node told it lives.", "node", ages)
        counted = CounterMetricFamily(
            "religa_radius_packets", "What RADIUS workers counted.", labels=("node", "counter")
        )
        for beat in found.beats:
            for name, value in beat.counters.items():
                counted.add_metric((beat.name, name), value)
        yield counted


def _gauge(
    name: str, help_text: str, label: str, values: Iterable[tuple[str, float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=(label,))
    for key, value in values:
        family.add_metric((key,), value)
    return family
