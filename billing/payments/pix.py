"""Bacen's Pix API as values: what to send, what an answer means. Sans-IO.

Source: bacen/pix-api openapi.yaml 2.9.0 (`cob`, `pix`, the webhook's body).
"""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from billing.payments.provider import (
    BadNotice,
    Charge,
    Confirmed,
    Notice,
    NotPaid,
    Outcome,
    ProviderAway,
    Unknown,
)

NOTICE_ITEMS_MAX = 1000
# A charge's life at the provider; `api/cashier.py` makes a new one before this one ends.
CHARGE_EXPIRES_S = 30 * 86400
KIND = "pix"

_END_TO_END = re.compile(r"[A-Za-z0-9]{32}")
_TXID = re.compile(r"[A-Za-z0-9]{1,35}")
_CHARGE_TXID = re.compile(r"[A-Za-z0-9]{26,35}")
_AMOUNT = re.compile(r"([0-9]{1,10})\.([0-9]{2})")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_TEXT_MAX = 140
_KEY_MAX = 77


def charge_body(amount_cents: int, key: str, text: str) -> dict[str, object]:
    """The body of PUT /cob/{txid}: an immediate charge whose amount the payer cannot change."""
    return {
        "calendario": {"expiracao": CHARGE_EXPIRES_S},
        "valor": {"original": amount(amount_cents), "modalidadeAlteracao": 0},
        "chave": key,
        "solicitacaoPagador": text[:_TEXT_MAX],
    }


def amount(cents: int) -> str:
    """Money as the API writes it.

    >>> amount(9990)
    '99.90'
    """
    if not 0 < cents <= 9_999_999_999_99:
        raise ValueError(f"Pix carries 0.01 to 9999999999.99: {cents} cents")
    return f"{cents // 100}.{cents % 100:02d}"


def cents(text: object) -> int:
    """Whole cents of money as the API writes it.

    >>> cents("110.00")
    11000

    Raises:
        ValueError: anything but one to ten digits, a point and two digits, above zero.
    """
    match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"not an amount of Pix: {text!r:.40}")
    value = int(match[1]) * 100 + int(match[2])
    if value == 0:
        raise ValueError("an amount of zero")
    return value


def is_charge_txid(txid: str) -> bool:
    """Whether a charge can have this id; static codes carry shorter ones and have no charge."""
    return _CHARGE_TXID.fullmatch(txid) is not None


def read_charge(answer: object) -> Charge:
    """The answer to PUT /cob/{txid}.

    Raises:
        ProviderAway: the answer lacks what the API promises.
    """
    charge = _object(answer, "cob")
    valor = _object(charge.get("valor"), "cob.valor")
    txid, code = charge.get("txid"), charge.get("pixCopiaECola")
    if not isinstance(txid, str) or not isinstance(code, str) or not 0 < len(code) <= 512:
        raise ProviderAway("the provider's charge has no txid or no pixCopiaECola")
    try:
        return Charge(txid, cents(valor.get("original")), code)
    except ValueError as error:
        raise ProviderAway(f"the provider's charge: {error}") from error


def confirmed_by_charge(answer: object, external_id: str) -> Outcome:
    """What GET /cob/{txid} says about one payment of that charge.

    The amount is the payment's own, which a payer's bank may have changed from the charge's.

    Raises:
        ProviderAway: the answer lacks what the API promises.
    """
    charge = _object(answer, "cob")
    status = charge.get("status")
    if status != "CONCLUIDA":
        return NotPaid(f"the charge is {status!r:.40}")
    payments = charge.get("pix")
    if not isinstance(payments, list):
        raise ProviderAway("the provider's charge is CONCLUIDA without its pix")
    for payment in payments:
        if isinstance(payment, dict) and payment.get("endToEndId") == external_id:
            # Inside a charge the provider may leave the txid out of each payment.
            return read_received({"txid": charge.get("txid"), **payment})
    return Unknown("the charge was paid, but by another payment")


def read_received(answer: object) -> Confirmed:
    """One received Pix, as GET /pix/{e2eid} and the list of GET /pix give it.

    Raises:
        ProviderAway: the answer lacks what the API promises.
    """
    payment = _object(answer, "pix")
    try:
        external_id, txid = _identity(payment)
        return Confirmed(external_id, txid, cents(payment.get("valor")), _instant(payment))
    except ValueError as error:
        raise ProviderAway(f"the provider's payment: {error}") from error


def read_received_page(answer: object) -> tuple[list[Confirmed], int]:
    """One page of GET /pix, and how many pages there are.

    Raises:
        ProviderAway: the answer lacks what the API promises.
    """
    page = _object(answer, "answer")
    payments = page.get("pix", [])
    if not isinstance(payments, list):
        raise ProviderAway("the provider's list has no pix")
    parameters = _object(page.get("parametros"), "parametros")
    pages = _object(parameters.get("paginacao"), "paginacao").get("quantidadeDePaginas")
    if type(pages) is not int or pages < 0:
        raise ProviderAway("the provider's list does not say how many pages it has")
    return [read_received(payment) for payment in payments], pages


def read_notices(body: bytes) -> list[Notice]:
    """The webhook's body: `{"pix": [{endToEndId, txid?, valor, horario, chave?, ...}]}`.

    Only the fields that the fingerprint covers are kept: the payer's name and document, which a
    provider may send along, are none of our business here.

    Raises:
        BadNotice: any item is not in shape; then none is taken.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadNotice("the body is not JSON") from error
    items = document.get("pix") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise BadNotice("the body has no list `pix`")
    if len(items) > NOTICE_ITEMS_MAX:
        raise BadNotice(f"`pix` has {len(items)} items; at most {NOTICE_ITEMS_MAX} are taken")
    notices = []
    for position, item in enumerate(items):
        try:
            notices.append(_notice(item))
        except ValueError as error:
            raise BadNotice(f"pix[{position}]: {error}") from error
    return notices


def _notice(item: object) -> Notice:
    if not isinstance(item, dict):
        raise ValueError("not an object")
    external_id, txid = _identity(item)
    cents(item.get("valor"))
    _instant(item)
    key = item.get("chave", "")
    if not isinstance(key, str) or len(key) > _KEY_MAX or not key.isprintable():
        raise ValueError(f"chave is text of at most {_KEY_MAX} characters")
    kept = {
        "endToEndId": external_id,
        "txid": txid or "",
        "valor": str(item["valor"]),
        "horario": str(item["horario"]),
        "chave": key,
    }
    # JSON, so that no value can run over into the next.
    fingerprint = hashlib.sha256(json.dumps(list(kept.values())).encode()).digest()
    return Notice(external_id, KIND, txid, fingerprint, kept)


def _identity(payment: Mapping[str, Any]) -> tuple[str, str | None]:
    external_id, txid = payment.get("endToEndId"), payment.get("txid")
    if txid == "":
        txid = None
    if not isinstance(external_id, str) or not _END_TO_END.fullmatch(external_id):
        raise ValueError("endToEndId is 32 letters and digits")
    if txid is not None and not (isinstance(txid, str) and _TXID.fullmatch(txid)):
        raise ValueError("txid is 1 to 35 letters and digits")
    return external_id, txid


def _instant(payment: Mapping[str, Any]) -> datetime:
    text = payment.get("horario")
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError("horario is an instant with its zone, as in 2026-09-26T23:10:00Z")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("horario is no such instant") from error


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProviderAway(f"the provider's {name} is not an object")
    return value
