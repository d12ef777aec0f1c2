"""The page of a survey: no login, no script, no cookie; whoever has the link may answer.

It says nothing of who was asked. Errors are pages too, because a person reads them.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import uuid4

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse

from api import survey_form, surveys
from api.house import House
from api.http.problems import Problem, responses
from api.store.surveys import Asked
from api.surveys import Expired, Throttled, UnknownToken
from billing.survey import BadAnswer, read_answer

BODY_BYTES_MAX = 16 * 1024
_FIELDS_MAX = 20

router = APIRouter(tags=["surveys"], responses=responses(503))

Token = Annotated[str, Path(max_length=200)]
Lang = Annotated[str, Query(max_length=10, description="`en` or `pt-BR`; else as the letter was")]
_PAGE = {"text/html": {"schema": {"type": "string"}}}
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{survey_form.STYLE_SHA256}';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # The link is the key to the form: it goes into no log of another server, and into no cache.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": said, "content": _PAGE}
    for status, said in (
        (404, "This link opens nothing"),
        (410, "It is closed"),
        (422, "A field is missing or out of its bounds; the page says which"),
        (429, "Too many attempts; see Retry-After"),
    )
}


@router.get(
    "/surveys/{token}",
    summary="The form that a link opens",
    response_class=HTMLResponse,
    responses=_RESPONSES,
)
async def show(request: Request, token: Token, lang: Lang = "") -> HTMLResponse:
    """The form, with what was answered before."""
    house: House = request.app.state.house
    try:
        asked = await surveys.opened(house, token, _correlation(request), _peer(request))
    except (UnknownToken, Expired, Throttled) as error:
        return _closed(house, error, lang)
    return _form(house, asked, lang)


@router.post(
    "/surveys/{token}",
    summary="Answer, or change the answer",
    description="As a form sends it (application/x-www-form-urlencoded): `score` from 0 to 10, or"
    " `speed`, `stability`, `support` and `price` from 1 to 5; `comment`.",
    response_class=HTMLResponse,
    responses=_RESPONSES | responses(400, 413),
)
async def answer(request: Request, token: Token, lang: Lang = "") -> HTMLResponse:
    """Keep it, and say so."""
    house: House = request.app.state.house
    peer, correlation = _peer(request), _correlation(request)
    given = await _fields(request)
    try:
        asked = await surveys.opened(house, token, correlation, peer)
        try:
            taken = read_answer(asked.form, given)
        except BadAnswer as error:
            return _form(house, asked, lang, error=error, given=given)
        await surveys.keep(house, token, asked, taken, correlation)
    except (UnknownToken, Expired, Throttled) as error:
        return _closed(house, error, lang)
    html = survey_form.thanks(house.settings.provider_name, survey_form.language(asked, lang))
    return HTMLResponse(html, headers=_HEADERS)


def _form(
    house: House,
    asked: Asked,
    lang: str,
    error: BadAnswer | None = None,
    given: Mapping[str, Sequence[str]] | None = None,
) -> HTMLResponse:
    html = survey_form.form(
        house.settings.provider_name,
        asked,
        asked.expires_at.astimezone(house.settings.zone),
        survey_form.language(asked, lang),
        wrong=error.field if error is not None else None,
        given=given,
    )
    return HTMLResponse(html, 200 if error is None else 422, headers=_HEADERS)


def _closed(house: House, error: UnknownToken | Expired | Throttled, lang: str) -> HTMLResponse:
    headers = dict(_HEADERS)
    match error:
        case UnknownToken():
            status, why = 404, "unknown"
        case Expired():
            status, why = 410, "expired"
        case Throttled():
            status, why = 429, "throttled"
            headers["Retry-After"] = str(error.retry_after_s)
    html = survey_form.closed(house.settings.provider_name, why, "en" if lang == "en" else "pt_BR")
    return HTMLResponse(html, status, headers=headers)


async def _fields(request: Request) -> dict[str, list[str]]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise Problem(
                413, "content-too-large", "Too long", f"A form is at most {BODY_BYTES_MAX} bytes"
            )
    try:
        return parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError as error:
        raise Problem(
            400, "bad-form", "This is not a form", "Send it as the page's own form does"
        ) from error


def _peer(request: Request) -> str:
    """Who knocks: an address, of IPv6 its /64, which is one line."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _correlation(request: Request) -> str:
    return request.scope.get("correlation_id") or uuid4().hex
