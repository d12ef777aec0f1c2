"""Bacen's messages, read and written: shapes, limits, and bodies that lie."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.payments import pix
from billing.payments.provider import (
    BadNotice,
    Charge,
    Confirmed,
    NotPaid,
    ProviderAway,
    Unknown,
)

E2E = "E12345678202009091221kkkkkkkkkkk"
TXID = "c3e0e7a4e7f1469a9f782d3d4999343c"
ITEM: dict[str, Any] = {
    "endToEndId": E2E,
    "txid": TXID,
    "chave": "5f84a4c5-c5cb-4599-9f13-7eb4d419dacc",
    "valor": "110.00",
    "horario": "2020-09-09T20:15:00.358Z",
    "infoPagador": "0123456789",
    "pagador": {"cpf": "12345678909", "nome": "Fulano"},
}


def body(*items: object) -> bytes:
    return json.dumps({"pix": items}).encode()


def test_the_webhook_of_the_specification_is_read() -> None:
    (notice,) = pix.read_notices(body(ITEM))
    assert (notice.external_id, notice.kind, notice.txid) == (E2E, "pix", TXID)
    assert len(notice.fingerprint) == 32


def test_nothing_about_the_payer_is_kept() -> None:
    (notice,) = pix.read_notices(body(ITEM))
    assert set(notice.body) == {"endToEndId", "txid", "valor", "horario", "chave"}


@pytest.mark.parametrize("field", ["endToEndId", "txid", "valor", "horario", "chave"])
def test_each_bound_field_changes_the_fingerprint(field: str) -> None:
    other = {
        "endToEndId": E2E[:-1] + "z",
        "txid": TXID[:-1] + "z",
        "valor": "110.01",
        "horario": "2020-09-09T20:15:01.358Z",
        "chave": "x",
    }
    (one,) = pix.read_notices(body(ITEM))
    (two,) = pix.read_notices(body(ITEM | {field: other[field]}))
    assert one.fingerprint != two.fingerprint


@pytest.mark.parametrize("field", ["infoPagador", "pagador", "devolucoes"])
def test_other_fields_do_not(field: str) -> None:
    (one,) = pix.read_notices(body(ITEM))
    (two,) = pix.read_notices(body(ITEM | {field: "anything"}))
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"endToEndId": E2E[:-1]},
        {"endToEndId": E2E + "k"},
        {"endToEndId": "../" + E2E[3:]},
        {"endToEndId": E2E[:-1] + "\n"},
        {"endToEndId": None},
        {"txid": "a" * 36},
        {"txid": "a/b"},
        {"txid": 5},
        {"valor": 110.0},
        {"valor": "110"},
        {"valor": "110.0"},
        {"valor": "-1.00"},
        {"valor": "0.00"},
        {"valor": "1e5.00"},
        {"valor": "12345678901.00"},
        {"valor": "\u0661.00"},
        {"horario": "2020-09-09"},
        {"horario": "2020-09-09T20:15:00"},
        {"horario": "2020-13-09T20:15:00Z"},
        {"horario": "0001-01-01T00:00:00+23:00"},
        {"horario": "2020-09-09\u000020:15:00Z"},
        {"chave": "k" * 78},
        {"chave": "a\u0000b"},
        {"chave": "\ud800"},
    ],
)
def test_an_item_out_of_shape_spoils_the_batch(change: dict[str, Any]) -> None:
    with pytest.raises(BadNotice, match=r"pix\[1\]"):
        pix.read_notices(body(ITEM, ITEM | change))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"{}", b'{"pix": []}', b'{"pix": {}}', b"\xff\xfe", b"[" * 100_000, b"null"],
)
def test_a_body_that_is_no_notice_is_refused(raw: bytes) -> None:
    with pytest.raises(BadNotice):
        pix.read_notices(raw)


def test_a_batch_has_a_bound() -> None:
    assert len(pix.read_notices(body(*[ITEM] * 1000))) == 1000
    with pytest.raises(BadNotice, match="1001"):
        pix.read_notices(body(*[ITEM] * 1001))


def test_a_payment_without_txid_is_a_notice_too() -> None:
    without = {name: value for name, value in ITEM.items() if name != "txid"}
    assert pix.read_notices(body(without))[0].txid is None
    assert pix.read_notices(body(ITEM | {"txid": ""}))[0].txid is None


@given(st.binary(max_size=300))
def test_any_bytes_are_notices_or_a_bad_notice(raw: bytes) -> None:
    with contextlib.suppress(BadNotice):  # anything else fails the test
        assert pix.read_notices(raw)


@given(st.integers(1, 9_999_999_999_99))
def test_amounts_survive_the_wire(cents: int) -> None:
    assert pix.cents(pix.amount(cents)) == cents


@pytest.mark.parametrize("cents", [0, -1, 10**12])
def test_amounts_that_pix_cannot_carry(cents: int) -> None:
    with pytest.raises(ValueError, match="Pix carries"):
        pix.amount(cents)


def test_the_charge_that_is_asked_for() -> None:
    asked = pix.charge_body(9990, "chave", "t" * 200)
    assert asked["valor"] == {"original": "99.90", "modalidadeAlteracao": 0}
    assert asked["chave"] == "chave"
    assert asked["solicitacaoPagador"] == "t" * 140


CHARGE: dict[str, Any] = {
    "txid": TXID,
    "status": "ATIVA",
    "valor": {"original": "99.90"},
    "pixCopiaECola": "000201",
}
RECEIVED = {"endToEndId": E2E, "valor": "90.00", "horario": "2026-09-26T23:10:00-03:00"}


def test_a_made_charge_is_read() -> None:
    assert pix.read_charge(CHARGE) == Charge(TXID, 9990, "000201")


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, CHARGE | {"pixCopiaECola": None}, CHARGE | {"valor": {"original": "99.9"}}],
)
def test_a_charge_that_lacks_something_means_that_the_provider_is_away(answer: object) -> None:
    with pytest.raises(ProviderAway):
        pix.read_charge(answer)


def test_a_paid_charge_confirms_its_payment_with_the_amount_that_came() -> None:
    paid = CHARGE | {"status": "CONCLUIDA", "pix": [RECEIVED]}
    assert pix.confirmed_by_charge(paid, E2E) == Confirmed(
        E2E, TXID, 9000, datetime(2026, 9, 27, 2, 10, tzinfo=UTC)
    )


def test_an_unpaid_charge_is_not_paid() -> None:
    assert isinstance(pix.confirmed_by_charge(CHARGE, E2E), NotPaid)
    removed = CHARGE | {"status": "REMOVIDA_PELO_PSP"}
    assert isinstance(pix.confirmed_by_charge(removed, E2E), NotPaid)


def test_a_charge_paid_by_another_payment_does_not_confirm_this_one() -> None:
    paid = CHARGE | {"status": "CONCLUIDA", "pix": [RECEIVED | {"endToEndId": E2E[:-1] + "z"}]}
    assert isinstance(pix.confirmed_by_charge(paid, E2E), Unknown)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        CHARGE | {"status": "CONCLUIDA"},
        CHARGE | {"status": "CONCLUIDA", "pix": [RECEIVED | {"valor": "x"}]},
        CHARGE | {"status": "CONCLUIDA", "pix": [RECEIVED | {"horario": "today"}]},
    ],
)
def test_an_unreadable_confirmation_is_no_confirmation(answer: object) -> None:
    with pytest.raises(ProviderAway):
        pix.confirmed_by_charge(answer, E2E)


def test_a_page_of_the_list_says_how_many_there_are() -> None:
    page = {
        "parametros": {"paginacao": {"quantidadeDePaginas": 3}},
        "pix": [RECEIVED | {"txid": TXID}],
    }
    payments, pages = pix.read_received_page(page)
    assert (len(payments), pages) == (1, 3)
    with pytest.raises(ProviderAway):
        pix.read_received_page({"pix": [], "parametros": {}})
