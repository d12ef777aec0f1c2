"""Phones, signatures and bounce reports: what is taken, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.channels import dsn, signature
from api.channels.channel import BadAddress
from api.channels.phone import e164
from tests.support.adapter import bounce


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("11987654321", "+5511987654321"),
        ("(11) 98765-4321", "+5511987654321"),
        ("011 98765-4321", "+5511987654321"),
        ("+55 11 98765-4321", "+5511987654321"),
        ("5511987654321", "+5511987654321"),
        # Area code 55 is in Rio Grande do Sul.
        ("55 98765-4321", "+5555987654321"),
        ("+351 912 345 678", "+351912345678"),
    ],
)
def test_a_phone_as_people_write_it(written: str, number: str) -> None:
    assert e164(written) == number


@pytest.mark.parametrize(
    "written",
    [
        *("", "98765-4321", "1187654321", "(20) 98765-4321", "0800 123 4567", "11 98765-43210"),
        *("+5511", "+55 11 8765-4321", "11987654321; drop", "11987\n654321", "١١٩٨٧٦٥٤٣٢١"),
    ],
)
def test_what_is_no_mobile_is_refused(written: str) -> None:
    with pytest.raises(BadAddress):
        e164(written)


def test_a_landline_takes_whatsapp_but_no_sms() -> None:
    assert e164("11 3333-4444", landline=True) == "+551133334444"
    with pytest.raises(BadAddress, match="landline"):
        e164("11 3333-4444")


@given(st.text(max_size=40))
def test_whatever_is_typed_is_a_number_or_refused(typed: str) -> None:
    try:
        found = e164(typed)
    except BadAddress:
        return
    assert e164(found) == found
    assert found[1:].isdecimal()


def test_a_signature_is_of_the_time_and_of_every_byte() -> None:
    said = signature.sign("s", 1000, b"body")
    signature.check("s", "1000", said, b"body", 1300)
    for secret, at, signed, body, now in (
        ("t", "1000", said, b"body", 1000),
        ("s", "1001", said, b"body", 1000),
        ("s", "1000", said, b"bod", 1000),
        ("s", "1000", said, b"body", 1301),
        ("s", "1000", said, b"body", 699),
        ("s", "1000", "", b"body", 1000),
        ("s", "1000", "sha256=é", b"body", 1000),
        ("s", "", said, b"body", 1000),
        ("s", "9" * 400, said, b"body", 1000),
        ("", "1000", signature.sign("", 1000, b"body"), b"body", 1000),
    ):
        with pytest.raises(signature.BadSignature):
            signature.check(secret, at, signed, body, now)


def test_a_bounce_tells_of_which_letter_and_why() -> None:
    (report,) = dsn.read(bounce("notice-7.abc@provedor.invalid"))
    assert report.message_id == "notice-7.abc@provedor.invalid"
    assert (report.action, report.recipient) == ("failed", "ana@example.invalid")
    assert report.reason == "5.1.1 550 5.1.1 no such user here"


def test_the_letter_may_come_back_whole() -> None:
    raw = bounce("notice-7.abc@provedor.invalid").replace(b"text/rfc822-headers", b"message/rfc822")
    (report,) = dsn.read(raw)
    assert report.message_id == "notice-7.abc@provedor.invalid"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no part message/delivery-status"),
        (b"Subject: fora do escritorio\r\n\r\nVolto na segunda.", "no part"),
        (bounce("").replace(b"Message-ID: <>\r\n", b""), "does not hold the Message-ID"),
        (bounce("x").replace(b"Action: failed\r\n", b""), "of no recipient"),
    ],
)
def test_what_is_no_report_is_refused(raw: bytes, reason: str) -> None:
    with pytest.raises(dsn.BadReport, match=reason):
        dsn.read(raw)


@given(st.data())
def test_a_damaged_report_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(bounce("notice-7.abc@provedor.invalid"))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        dsn.read(bytes(raw))
    except dsn.BadReport:
        return
