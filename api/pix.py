"""Pix at a provider that speaks Bacen's API: httpx around `billing/payments/pix.py`."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import httpx

from billing.payments import pix
from billing.payments.provider import (
    Charge,
    Confirmed,
    Notice,
    Outcome,
    ProviderAway,
    Unknown,
)
from config.settings import Settings

TIMEOUT_S = 5.0
# A list of 48 hours at a hundred thousand customers stays far below this.
PAGES_MAX = 1000
PAGE_ITEMS = 1000
# A token is renewed before it ends, so that no call starts with one about to end.
_TOKEN_MARGIN_S = 60.0


class PixProvider:
    """Implements `PaymentProvider`. OAuth2 client credentials; mTLS where a certificate is given.

    `settings.pix_url` is the API's base (`https://.../pix/v2`); tokens come from `/oauth/token` of
    the same host. `transport` replaces the network in rehearsal.
    """

    def __init__(
        self, settings: Settings, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """Prepare the client; nothing is asked yet.

        Raises:
            ValueError: the URL is no base of an API, or the certificate cannot be read.
        """
        base = httpx.URL(settings.pix_url)
        if base.scheme not in ("http", "https") or not base.host:
            raise ValueError(f"RELIGA_PIX_URL is not an http(s) URL: {settings.pix_url!r}")
        self._client = httpx.AsyncClient(
            base_url=base,
            timeout=TIMEOUT_S,
            verify=_tls(settings.pix_certificate),
            transport=transport,
            trust_env=False,  # a proxy of the environment must not see the provider's tokens
            follow_redirects=False,
        )
        self._token_url = base.copy_with(path="/oauth/token", query=None)
        self._key = settings.pix_key
        self._credentials = (settings.pix_client_id, settings.pix_client_secret.get_secret_value())
        self._token = ""
        self._token_until = 0.0
        self._token_lock = asyncio.Lock()

    @property
    def name(self) -> str:
        return "pix"

    async def create_charge(self, txid: str, amount_cents: int, text: str) -> Charge:
        body = pix.charge_body(amount_cents, self._key, text)
        answer = await self._ask("PUT", f"cob/{txid}", body=body)
        if answer is None:
            raise ProviderAway("the provider has no PUT /cob")
        charge = pix.read_charge(answer)
        if (charge.txid, charge.amount_cents) != (txid, amount_cents):
            raise ProviderAway("the provider answered with another charge")
        return charge

    async def confirm(self, external_id: str, txid: str | None) -> Outcome:
        said: Outcome = Unknown("the provider knows neither the charge nor the payment")
        if txid is not None and pix.is_charge_txid(txid):
            charge = await self._ask("GET", f"cob/{txid}")
            if charge is not None:
                said = pix.confirmed_by_charge(charge, external_id)
        if isinstance(said, Confirmed):
            return said
        # The txid of a notice is only claimed: the payment may be real and of another charge.
        payment = await self._ask("GET", f"pix/{external_id}")
        if payment is None:
            return said
        found = pix.read_received(payment)
        return found if found.external_id == external_id else said

    async def received(self, since: datetime, until: datetime) -> list[Confirmed]:
        payments: list[Confirmed] = []
        for page in range(PAGES_MAX):
            answer = await self._ask(
                "GET",
                "pix",
                query={
                    "inicio": _rfc3339(since),
                    # Whole seconds, which every provider reads; so up to the end of the last one.
                    "fim": _rfc3339(until + timedelta(seconds=1)),
                    "paginacao.paginaAtual": str(page),
                    "paginacao.itensPorPagina": str(PAGE_ITEMS),
                },
            )
            found, pages = pix.read_received_page(answer)
            payments += found
            if page + 1 >= pages:
                return payments
        raise ProviderAway(f"the provider's list has more than {PAGES_MAX} pages")

    def notices(self, body: bytes) -> list[Notice]:
        return pix.read_notices(body)

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> object:
        """The JSON answer, or None for 404. A token refused before its time is renewed once."""
        answer = await self._send(method, path, body, query, await self._bearer())
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            self._token_until = 0.0
            answer = await self._send(method, path, body, query, await self._bearer())
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return None
        if not answer.is_success:
            raise ProviderAway(f"the provider answered {answer.status_code} to {method} {path}")
        return _json(answer)

    async def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        bearer: str,
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bearer}"}
        try:
            return await self._client.request(
                method, path, json=body, params=query, headers=headers
            )
        except httpx.HTTPError as error:
            raise ProviderAway(f"no answer to {method} {path}: {type(error).__name__}") from error

    async def _bearer(self) -> str:
        async with self._token_lock:
            if time.monotonic() < self._token_until:
                return self._token
            try:
                answer = await self._client.post(
                    self._token_url,
                    auth=self._credentials,
                    data={"grant_type": "client_credentials"},
                )
            except httpx.HTTPError as error:
                raise ProviderAway(f"no token: {type(error).__name__}") from error
            document = _json(answer) if answer.is_success else None
            token = document.get("access_token") if isinstance(document, dict) else None
            if not isinstance(token, str) or not isinstance(document, dict):
                raise ProviderAway(f"no token: the provider answered {answer.status_code}")
            lives_s = document.get("expires_in")
            seconds = lives_s if isinstance(lives_s, int) else _TOKEN_MARGIN_S
            self._token = token
            self._token_until = time.monotonic() + max(0.0, seconds - _TOKEN_MARGIN_S)
            return token


def _tls(certificate: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate is not None:
        try:
            context.load_cert_chain(certificate)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(
                f"RELIGA_PIX_CERTIFICATE: {certificate} is not a PEM file with certificate and"
                f" key: {error}"
            ) from error
    return context


def _json(answer: httpx.Response) -> object:
    try:
        document: object = answer.json()
    except (ValueError, RecursionError) as error:
        raise ProviderAway("the provider's answer is not JSON") from error
    return document


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
