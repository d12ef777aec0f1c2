"""The door for what providers of channels tell: signed, in the last minutes, of a letter of ours.

Source: the shape of the signature is that of most providers' webhooks (a time and the raw body).
"""

import ipaddress
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from api import receipts
from api.channels import dsn, signature
from api.channels.signature import BadSignature
from api.clock import wall
from api.house import House
from api.http.problems import Problem, responses
from api.http.webhooks import read_body
from api.notice_text import one_line
from api.receipts import Receipt

RECEIPTS_MAX = 1_000

router = APIRouter(tags=["webhooks"])


class ToldReceipt(BaseModel):
    """What became of one message, by the id that it was given to the provider under, or its own."""

    model_config = ConfigDict(extra="ignore")

    id: str | None = Field(None, max_length=300, examples=["notice-12-sms.0f3a9c5d7e1b2a46"])
    provider_id: str | None = Field(None, max_length=200, examples=["SM90c1"])
    state: Literal["sent", "delivered", "read", "failed", "bounced"]
    at: datetime | None = None
    reason: str = Field("", max_length=1000)


class ToldReceipts(BaseModel):
    receipts: list[ToldReceipt] = Field(max_length=RECEIPTS_MAX)


class ReceiptsAnswer(BaseModel):
    """How many were new, told before, and of no message of ours."""

    taken: int
    repeated: int
    unknown: int


_TOLD: TypeAdapter[ToldReceipts | ToldReceipt] = TypeAdapter(ToldReceipts | ToldReceipt)
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "example": {
                "receipts": [
                    {
                        "id": "notice-12-sms.0f3a9c5d7e1b2a46",
                        "state": "delivered",
                        "at": "2026-09-04T12:00:04Z",
                    }
                ]
            },
            "schema": {"type": "object"},
        },
        "message/rfc822": {"schema": {"type": "string"}},
    },
}


@router.post(
    "/webhooks/messages/{channel}",
    summary="Take delivery receipts of a channel, or a bounced e-mail",
    description=(
        "JSON receipts, alone or as `receipts`; for e-mail also the raw report of RFC 3464 as"
        " message/rfc822. Signed: see X-Religa-Timestamp and X-Religa-Signature. Told twice or in"
        " another order it ends the same."
    ),
    responses=responses(400, 401, 404, 413, 503),
    openapi_extra={"requestBody": _BODY},
)
async def tell(
    request: Request,
    channel: Literal["email", "sms", "whatsapp"],
    timestamp: Annotated[str, Header(alias=signature.TIMESTAMP)] = "",
    signed: Annotated[str, Header(alias=signature.SIGNATURE)] = "",
) -> ReceiptsAnswer:
    house: House = request.app.state.house
    body = await read_body(request)
    _check_knock(request, house, channel, timestamp, signed, body)
    raw = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    told = _reports(body) if channel == "email" and raw == "message/rfc822" else _receipts(body)
    counts = {"taken": 0, "repeated": 0, "unknown": 0}
    for receipt in told:
        # Each on its own: what is cut short is told again, and what was taken is a repeat.
        counts[await receipts.take(house, channel, receipt, request.scope["correlation_id"])] += 1
    return ReceiptsAnswer(**counts)


def _check_knock(
    request: Request, house: House, channel: str, timestamp: str, signed: str, body: bytes
) -> None:
    settings = house.settings
    secret = {
        "email": settings.mail_webhook_secret,
        "sms": settings.sms_secret,
        "whatsapp": settings.whatsapp_secret,
    }[channel].get_secret_value()
    if not secret:
        if channel == "email" and _from_here(request):
            return
        setting = "MAIL_WEBHOOK" if channel == "email" else channel.upper()
        raise Problem(
            404 if channel != "email" else 401,
            "not-found" if channel != "email" else "unauthorized",
            "Nobody may tell of this channel",
            f"Set RELIGA_{setting}_SECRET, and have what is told signed with it",
        )
    try:
        signature.check(secret, timestamp, signed, body, wall().timestamp())
    except BadSignature as error:
        raise Problem(401, "unauthorized", "Not signed by the provider", str(error)) from error


def _from_here(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _receipts(body: bytes) -> list[Receipt]:
    try:
        told = _TOLD.validate_json(body)
    except ValidationError as error:
        raise Problem(
            400,
            "bad-receipt",
            "This is not a receipt",
            "A receipt has `id` or `provider_id` and a `state`: sent, delivered, read, failed or"
            " bounced; nothing of it was kept",
        ) from error
    items = told.receipts if isinstance(told, ToldReceipts) else [told]
    return [
        Receipt(item.id, item.provider_id, item.state, _aware(item.at), one_line(item.reason)[:300])
        for item in items
    ]


def _aware(at: datetime | None) -> datetime | None:
    # One without a zone says nothing.
    return None if at is None or at.tzinfo is None else at


def _reports(body: bytes) -> list[Receipt]:
    try:
        reports = dsn.read(body)
    except dsn.BadReport as error:
        raise Problem(
            400, "bad-receipt", "This is not a delivery report", f"{error}; nothing was kept"
        ) from error
    return [
        Receipt(report.message_id, None, "bounced", reason=report.reason)
        for report in reports
        if report.action == "failed"
    ]
