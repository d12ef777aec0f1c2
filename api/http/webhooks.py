"""The door for providers' notices: who may knock, keep what is new, answer fast. Nothing is posted.

A notice only wakes the cashier, who asks the provider; so a body may lie and no money moves.
"""

import hmac
import ipaddress
import logging
from uuid import uuid4

from fastapi import APIRouter, Request
from structlog.contextvars import bound_contextvars

from api import crashpoints
from api.house import House
from api.http.problems import Problem, conflict, responses
from api.store import payments
from billing.payments.provider import BadNotice

BODY_BYTES_MAX = 256 * 1024

log = logging.getLogger(__name__)

router = APIRouter(tags=["webhooks"])


@router.post("/webhooks/{provider}", responses=responses(401, 404, 409, 413, 503))
# Bacen's API has the provider append /pix to the address that was registered; some do not.
@router.post("/webhooks/{provider}/pix", include_in_schema=False)
async def receive(request: Request, provider: str, token: str = "") -> dict[str, int]:
    """Take a provider's notice. 200 once it is safely kept, whether new or a repeat."""
    house: House = request.app.state.house
    known = house.providers.get(provider)
    if known is None:
        raise Problem(
            404,
            "not-found",
            "No such provider",
            f"No payment provider {provider!r:.40} is set up here; see RELIGA_PIX_URL",
        )
    _check_knock(request, house, token)
    body = await read_body(request)
    try:
        notices = known.notices(body)
    except BadNotice as error:
        raise Problem(
            400, "bad-notice", "This is not a notice", f"{error}; nothing of it was kept"
        ) from error
    correlation_id = request.scope.get("correlation_id") or uuid4().hex
    with bound_contextvars(correlation_id=correlation_id):
        crashpoints.reach("notice-read")
        async with house.uow(f"provider:{provider}", correlation_id) as uow:
            intake = await payments.take_in(
                uow.connection, provider, notices, correlation_id, uow.clock.now()
            )
            for notice_id in intake.new_ids:
                uow.notify("religa_paid", str(notice_id))
            for wrong in intake.contradictions:
                await uow.audit(
                    "payment_notice.contradiction",
                    f"payment_notice:{wrong.notice_id}",
                    {"provider": provider, "external_id": wrong.external_id, "txid": wrong.txid},
                )
            crashpoints.reach("notice-inserted")
        crashpoints.reach("notice-committed")
        if intake.contradictions:
            ids = ", ".join(wrong.external_id for wrong in intake.contradictions[:5])
            log.error("a notice of %s contradicts the one kept under its id: %s", provider, ids)
            raise conflict(
                "notice-contradiction",
                "The same id with another content",
                f"{len(intake.contradictions)} of {len(notices)} contradict what was kept before"
                f" under the same id and were not taken ({ids}); the others were",
            )
    return {"new": len(intake.new_ids)}


def _check_knock(request: Request, house: House, token: str) -> None:
    wanted = house.settings.pix_webhook_token.get_secret_value()
    if wanted:
        welcome = hmac.compare_digest(token.encode(), wanted.encode())
    else:
        welcome = request.client is not None and _is_loopback(request.client.host)
    if not welcome:
        raise Problem(
            401,
            "unauthorized",
            "Not a provider",
            "Register the webhook with ?token= as in RELIGA_PIX_WEBHOOK_TOKEN, or post from this"
            " machine, behind a proxy that checks the provider's certificate",
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def read_body(request: Request) -> bytes:
    """The raw body; reading stops where it becomes too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Problem(
                413, "content-too-large", "Too long", f"A notice is at most {BODY_BYTES_MAX} bytes"
            )
    return bytes(body)
