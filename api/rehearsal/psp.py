"""A small Pix provider on loopback, for rehearsal and tests: it charges, confirms, and calls back.

It speaks the parts of Bacen's API that we use, in Bacen's shapes, plus control routes under
`/simulate/`: pay a charge, say nothing of it, say it twice, and be broken in a named way.
"""

import asyncio
import base64
import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.clock import wall
from billing.payments import brcode, pix

ISPB = "00000000"
_TXID = re.compile(r"[A-Za-z0-9]{26,35}")
_ERRORS = "https://pix.bcb.gov.br/api/v2/error/"
TOKEN_LIVES_S = 3600


@dataclass(slots=True)
class Faults:
    """How the provider misbehaves from now on."""

    answer_500: bool = False
    answer_after_s: float = 0.0
    lose_webhooks: bool = False


@dataclass(slots=True)
class Psp:
    """The provider's books."""

    webhook_url: str
    now: Callable[[], datetime]
    webhook: httpx.AsyncClient
    charges: dict[str, dict[str, Any]] = field(default_factory=dict)
    payments: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    faults: Faults = field(default_factory=Faults)

    async def token(self, request: Request) -> Response:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(credentials, validate=True).partition(b":")
        except binascii.Error:
            user = password = b""
        if scheme.lower() != "basic" or not user or not password:
            return JSONResponse({"error": "invalid_client"}, 401)
        token = secrets.token_urlsafe(16)
        self.tokens.add(token)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIVES_S}
        )

    async def put_charge(self, request: Request) -> Response:
        txid, body = request.path_params["txid"], await request.json()
        known = self.charges.get(txid)
        if not _TXID.fullmatch(txid) or (known and known["status"] != "ATIVA"):
            return _problem(400, "CobOperacaoInvalida")
        try:
            pix.cents(body["valor"]["original"])
        except (ValueError, KeyError, TypeError):
            return _problem(400, "RequisicaoInvalida")
        location = f"{request.url.netloc}/qr/v2/{txid}"
        self.charges[txid] = {
            "txid": txid,
            "status": "ATIVA",
            "revisao": known["revisao"] + 1 if known else 0,
            "calendario": {"criacao": _instant(self.now()), **body.get("calendario", {})},
            "valor": body["valor"],
            "chave": body.get("chave", ""),
            "location": location,
            "pixCopiaECola": brcode.dynamic(location, "Provedor de ensaio", "Fortaleza"),
            "pix": [],
        }
        return JSONResponse(self.charges[txid], 200 if known else 201)

    async def get_charge(self, request: Request) -> Response:
        return _found(self.charges.get(request.path_params["txid"]))

    async def get_payment(self, request: Request) -> Response:
        return _found(self.payments.get(request.path_params["e2eid"]))

    async def list_payments(self, request: Request) -> Response:
        query = request.query_params
        try:
            since, until = (datetime.fromisoformat(query[name]) for name in ("inicio", "fim"))
            page = int(query.get("paginacao.paginaAtual", "0"))
            size = int(query.get("paginacao.itensPorPagina", "100"))
        except (KeyError, ValueError):
            return _problem(400, "RequisicaoInvalida")
        if page < 0 or size < 1:
            return _problem(400, "RequisicaoInvalida")
        received = [
            payment
            for payment in self.payments.values()
            if since <= datetime.fromisoformat(payment["horario"]) <= until
        ]
        pages = -(-len(received) // size)
        paging = {
            "paginaAtual": page,
            "itensPorPagina": size,
            "quantidadeDePaginas": pages,
            "quantidadeTotalDeItens": len(received),
        }
        asked = {"inicio": query["inicio"], "fim": query["fim"], "paginacao": paging}
        return JSONResponse({"parametros": asked, "pix": received[page * size : (page + 1) * size]})

    async def pay(self, request: Request) -> Response:
        """{txid, amount_cents?, times? (calls of the webhook), silent?}: the payer pays."""
        order = await request.json()
        charge = self.charges.get(order.get("txid"))
        if charge is None or charge["status"] != "ATIVA":
            return _problem(404, "NaoEncontrado")
        asked = order.get("amount_cents", pix.cents(charge["valor"]["original"]))
        payment = self._receive(asked, charge["txid"], charge["chave"])
        charge["pix"].append(payment)
        charge["status"] = "CONCLUIDA"
        times = 0 if order.get("silent") else int(order.get("times", 1))
        answers = [await self._call_back(payment) for _ in range(times)]
        return JSONResponse({"endToEndId": payment["endToEndId"], "webhook": answers})

    async def pay_key(self, request: Request) -> Response:
        """{amount_cents, txid?, silent?}: money for the key, from a code that we did not make."""
        order = await request.json()
        payment = self._receive(order["amount_cents"], order.get("txid"), "")
        answers = [] if order.get("silent") else [await self._call_back(payment)]
        return JSONResponse({"endToEndId": payment["endToEndId"], "webhook": answers})

    async def set_faults(self, request: Request) -> Response:
        """The fields of `Faults` that change; answers all of them."""
        order = await request.json()
        for item in fields(Faults):
            if item.name in order:
                setattr(self.faults, item.name, order[item.name])
        return JSONResponse({item.name: getattr(self.faults, item.name) for item in fields(Faults)})

    def _receive(self, amount_cents: int, txid: str | None, key: str) -> dict[str, Any]:
        at = self.now().astimezone(UTC)
        tail = secrets.token_hex(8)[:11]
        payment: dict[str, Any] = {
            "endToEndId": f"E{ISPB}{at:%Y%m%d%H%M}{tail}",
            "valor": pix.amount(amount_cents),
            "horario": _instant(at),
            "chave": key,
        }
        if txid is not None:
            payment["txid"] = txid
        self.payments[payment["endToEndId"]] = payment
        return payment

    async def _call_back(self, payment: dict[str, Any]) -> int:
        """The status that the webhook answered; 0: it was not reached, or the call was lost."""
        if self.faults.lose_webhooks or not self.webhook_url:
            return 0
        url = httpx.URL(self.webhook_url)
        try:
            answer = await self.webhook.post(
                # Bacen's way: /pix is appended to what was registered, before its query.
                url.copy_with(path=f"{url.path.rstrip('/')}/pix"),
                json={"pix": [payment]},
            )
        except httpx.HTTPError:
            return 0
        return answer.status_code


def create_psp(
    webhook_url: str,
    *,
    now: Callable[[], datetime] = wall,
    webhook_transport: httpx.AsyncBaseTransport | None = None,
) -> Starlette:
    """The provider as an application; `app.state.psp` are its books.

    Args:
        webhook_url: what was registered as webhook; empty: it calls nobody.
        now: the provider's clock; real time unless a test says otherwise.
        webhook_transport: how it reaches the webhook, to stay inside one process.
    """
    client = httpx.AsyncClient(transport=webhook_transport, timeout=10, trust_env=False)
    psp = Psp(webhook_url, now, client)

    def guarded(handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            await asyncio.sleep(psp.faults.answer_after_s)
            if psp.faults.answer_500:
                return _problem(500, "ErroInternoDoServidor")
            if request.headers.get("authorization", "").removeprefix("Bearer ") not in psp.tokens:
                return _problem(401, "AcessoNegado")
            response: Response = await handler(request)
            return response

        return answer

    app = Starlette(
        routes=[
            Route("/oauth/token", psp.token, methods=["POST"]),
            Route("/cob/{txid}", guarded(psp.put_charge), methods=["PUT"]),
            Route("/cob/{txid}", guarded(psp.get_charge), methods=["GET"]),
            Route("/pix", guarded(psp.list_payments), methods=["GET"]),
            Route("/pix/{e2eid}", guarded(psp.get_payment), methods=["GET"]),
            Route("/simulate/pay", psp.pay, methods=["POST"]),
            Route("/simulate/pay-key", psp.pay_key, methods=["POST"]),
            Route("/simulate/faults", psp.set_faults, methods=["POST"]),
        ]
    )
    app.state.psp = psp
    return app


async def serve(port: int, webhook_url: str) -> None:
    """Run until SIGTERM or Ctrl-C, on loopback only."""
    config = uvicorn.Config(
        create_psp(webhook_url), host="127.0.0.1", port=port, log_config=None, access_log=False
    )
    await uvicorn.Server(config).serve()


def _found(document: dict[str, Any] | None) -> Response:
    return _problem(404, "NaoEncontrado") if document is None else JSONResponse(document)


def _problem(status: int, kind: str) -> Response:
    return JSONResponse(
        {"type": f"{_ERRORS}{kind}", "title": kind, "status": status},
        status,
        media_type="application/problem+json",
    )


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
