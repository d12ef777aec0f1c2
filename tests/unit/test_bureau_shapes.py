"""What goes to each bureau and what its report means, field by field of their public shapes."""

from datetime import date
from typing import Any

import pytest

from api import safe_csv
from api.bureaus import boa_vista, serasa, spc
from api.bureaus.known import check_url
from api.bureaus.shape import BadReport
from billing.bureau import Debtor, Record, Removal
from billing.credit import Flag

PERSON = Debtor("52998224725", "Maria")
COMPANY = Debtor("12ABC34501DE35", "Padaria Ltda")
RECORD = Record(PERSON, "11222333000181", "12", date(2025, 1, 5), date(2026, 9, 1), 19980)
OF_COMPANY = Record(COMPANY, "11222333000181", "13", date(2025, 1, 5), date(2026, 9, 1), 1000)


def test_serasa_takes_one_debt_a_call() -> None:
    assert serasa.inclusion(RECORD) == {
        "value": 199.8,
        "areaInformante": "0001",
        "dueDate": "2026-09-01",
        "categoryId": "TC",
        "debtor": {"documentNumber": "52998224725", "name": "Maria"},
        "creditor": {"documentNumber": "11222333000181"},
        "contractNumber": "12",
        "debtType": "PEFIN",
    }


@pytest.mark.parametrize(
    ("why", "reason"),
    [(Removal.PAID, "01"), (Removal.RENEGOTIATED, "02"), (Removal.DISPUTED, "03")],
)
def test_serasas_reasons(why: Removal, reason: str) -> None:
    gone = serasa.removal(RECORD, why)
    assert gone["reasonId"] == reason
    assert (gone["contractNumber"], gone["dueDate"]) == ("12", "2026-09-01")
    assert "name" not in repr(gone)


def test_spc_has_persons_and_companies() -> None:
    person = spc.inclusion(RECORD)
    assert person["tipo-pessoa"] == "F"
    assert person["dados-pessoa-fisica"] == {"cpf": {"numero": "52998224725"}, "nome": "Maria"}
    assert person["valor-debito"] == "199.80"
    assert person["codigo-tipo-devedor"] == "C"
    company = spc.inclusion(OF_COMPANY)
    assert company["dados-pessoa-juridica"]["cnpj"] == {"numero": "12ABC34501DE35"}
    gone = spc.removal(RECORD, Removal.PAID)
    assert gone["dados-pessoa-fisica"] == {"cpf": {"numero": "52998224725"}}
    assert gone["data-vencimento"] == "2026-09-01"
    assert spc.inquiry("12ABC34501DE35", "new_contract")["tipoConsumidor"] == "J"


def test_boa_vista_is_asked_in_plain_fields() -> None:
    assert boa_vista.inquiry("52998224725", "new_contract")["person_type"] == "F"
    assert boa_vista.inclusion(OF_COMPANY)["amount"] == "10.00"
    assert boa_vista.removal(RECORD, Removal.PRESCRIBED)["reason"] == "prescribed"


def serasa_report(**more: Any) -> Any:
    return {"reports": [{"score": {"score": 640, "scoreModel": "HSPN"}, **more}]}


def test_a_serasa_report_is_read() -> None:
    pefin = {
        "pefinResponse": [{"legalNatureId": "TC"}],
        "summary": {"count": 2, "balance": "199.805"},
    }
    found = serasa.report("serasa", serasa_report(negativeData={"pefin": pefin}))
    assert (found.score, found.score_model, found.pending_count) == (640, "HSPN", 2)
    assert found.pending_cents == 19981
    assert found.flags == {Flag.OTHER_DEBT, Flag.TELECOM_DEBT}


@pytest.mark.parametrize(
    ("status", "flags"),
    [
        ("REGULAR", set()),
        ("SUSPENSA", {Flag.IDENTITY_DOUBT}),
        ("CANCELADA", {Flag.DOCUMENT_INVALID}),
        ("TITULAR FALECIDO", {Flag.DOCUMENT_INVALID}),
    ],
)
def test_a_documents_status(status: str, flags: set[Flag]) -> None:
    found = serasa.report("serasa", serasa_report(registration={"statusRegistration": status}))
    assert found.flags == flags
    told = {"consumidor": {"situacaoDocumento": status}, "score": {"pontuacao": 500}}
    assert spc.report("spc", told).flags == flags


def test_other_reports() -> None:
    of_spc = {
        "score": {"pontuacao": 310, "modelo": "SPC 12"},
        "spc": {
            "resumo": {"quantidadeTotal": 1, "valorTotal": 50},
            "detalhe": [{"segmento": "telecom"}],
        },
    }
    found = spc.report("spc", of_spc)
    assert (found.score, found.pending_cents) == (310, 5000)
    assert found.flags == {Flag.OTHER_DEBT, Flag.TELECOM_DEBT}
    plain = boa_vista.report("boa_vista", {"score": None, "pending_count": 1})
    assert plain.score is None
    assert plain.flags == {Flag.OTHER_DEBT}


@pytest.mark.parametrize(
    "document",
    [
        {"reports": "none"},
        {"reports": [{"score": {"score": 1001}}]},
        {"reports": [{"score": {"score": -1}}]},
        {"reports": [{"score": {"score": True}}]},
        {"reports": [{"negativeData": {"pefin": {"summary": {"count": "two"}}}}]},
        {"reports": [{"negativeData": {"pefin": {"summary": {"balance": "NaN"}}}}]},
        {"reports": [{"negativeData": []}]},
    ],
)
def test_a_report_out_of_shape_is_refused_without_its_values(document: Any) -> None:
    with pytest.raises(BadReport):
        serasa.report("serasa", document)


@pytest.mark.parametrize(
    "url",
    [
        "http://bureau.example/v1",
        "ftp://bureau.example",
        "https://user:pw@bureau.example",
        "https://bureau.example/?x=1",
        "bureau.example",
        "",
        "https://",
    ],
)
def test_a_url_to_which_no_document_goes(url: str) -> None:
    with pytest.raises(ValueError, match=r"base URL|https only"):
        check_url(url)


@pytest.mark.parametrize("url", ["https://b.example/v1", "http://127.0.0.1:80", "http://[::1]:80"])
def test_a_url_that_is_taken(url: str) -> None:
    assert check_url(url)


@pytest.mark.parametrize("text", ["=1+1", "+55", "-2", "@x", "\tx", " =1", "|x", "%x"])
def test_a_cell_that_a_spreadsheet_would_take_for_a_formula(text: str) -> None:
    assert safe_csv.cell(text) == f"'{text}"


def test_numbers_and_words_stay() -> None:
    content = safe_csv.written(("a", "b"), [(-5, "d'Água, SP"), (None, 'x"y')])
    assert content == 'a,b\r\n-5,"d\'Água, SP"\r\n,"x""y"\r\n'.encode()
