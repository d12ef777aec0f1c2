"""Names to octets and back for people; pyrad's own encoding is the oracle."""

from ipaddress import IPv6Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import Packet as PyradPacket

import radius.dictionary
from radius.codec import Packet, attribute, parse, vendor_attribute
from radius.dictionary import describe, encode, number
from radius.errors import LocalError

ORACLE = Dictionary(str(Path(radius.dictionary.__file__).with_name("dictionary")))


def _packet(attributes: bytes) -> Packet:
    return parse(b"\x02\x01" + (20 + len(attributes)).to_bytes(2, "big") + bytes(16) + attributes)


CASES: list[tuple[str, str | int | bytes, str, str]] = [
    ("User-Name", "joão", "01076a6fc3a36f", "joão"),
    ("Class", b"ai:\x00", "190661693a00", "0x61693a00"),
    ("Service-Type", "Framed-User", "060600000002", "Framed-User"),
    ("Service-Type", 2, "060600000002", "Framed-User"),
    ("Session-Timeout", 4294967295, "1b06ffffffff", "4294967295"),
    ("Event-Timestamp", 0, "370600000000", "1970-01-01T00:00:00+00:00"),
    ("Framed-IP-Address", "100.64.1.2", "080664400102", "100.64.1.2"),
    ("Framed-IPv6-Address", "2001:db8::1", "a81220010db8" + "00" * 11 + "01", "2001:db8::1"),
    (
        "Delegated-IPv6-Prefix",
        "2001:db8:1::/56",
        "7b14003820010db80001" + "00" * 10,
        "2001:db8:1::/56",
    ),
    ("Framed-Interface-Id", "211:22ff:fe33:4455", "600a021122fffe334455", "0211:22ff:fe33:4455"),
    ("Mikrotik-Rate-Limit", "1M/1M", "1a0d00003a8c0807314d2f314d", "1M/1M"),
    ("Accel-VRF-Name", "0", "1a090000dabf010330", "0"),
    ("WISPr-Bandwidth-Max-Down", 2_000_000, "1a0c0000372a0806001e8480", "2000000"),
    # pyrad alone would make the text "65" one octet, and "0x41" the letter A.
    ("ADSL-Agent-Circuit-Id", "65", "1a0a00000de901043635", "0x3635"),
    ("ADSL-Agent-Remote-Id", b"0x41", "1a0c00000de9020630783431", "0x30783431"),
    ("Cisco-AVPair", "ip:x=y", "1a0e00000009010869703a783d79", "ip:x=y"),
]


@pytest.mark.parametrize(("name", "value", "octets", "shown"), CASES)
def test_a_name_becomes_octets_and_can_be_shown(
    name: str, value: str | int | bytes, octets: str, shown: str
) -> None:
    encoded = encode([(name, value)])
    assert encoded.hex() == octets
    assert describe(_packet(encoded)) == [(name, shown)]


def test_the_order_is_kept() -> None:
    names = ["Filter-Id", "Class", "Filter-Id", "Mikrotik-Group", "Class"]
    packet = _packet(encode([(name, b"x") for name in names]))
    assert [name for name, _ in describe(packet)] == names


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Nonsense", 1),
        ("User-Password", "clear"),
        ("MS-MPPE-Send-Key", b"clear"),
        ("Filter-Id", 3),
        ("User-Name", "x" * 254),
        ("Mikrotik-Group", "x" * 248),
        ("Session-Timeout", -1),
        ("Session-Timeout", 2**32),
        ("Session-Timeout", "soon"),
        ("Session-Timeout", b"1234"),
        ("Service-Type", "No-Such-Value"),
        ("Event-Timestamp", "yesterday"),
        ("Framed-IP-Address", "10.0.0"),
        ("Framed-IP-Address", "2001:db8::1"),
        ("Framed-IP-Address", 167772161),
        ("Framed-IPv6-Address", "10.0.0.1"),
        ("Delegated-IPv6-Prefix", "10.0.0.0/8"),
        ("Delegated-IPv6-Prefix", "2001:db8::/129"),
        ("Framed-Interface-Id", "zz"),
    ],
)
def test_what_cannot_be_encoded_is_refused_by_name(name: str, value: str | int | bytes) -> None:
    with pytest.raises(LocalError, match=r"^(attribute|Nonsense|[A-Z])"):
        encode([(name, value)])


def test_number_tells_vendor_and_type() -> None:
    assert number("User-Name") == (None, 1)
    assert number("Mikrotik-Rate-Limit") == (14988, 8)
    with pytest.raises(LocalError):
        number("Nonsense")


@pytest.mark.parametrize("name", sorted(radius.dictionary._HIDDEN))
def test_secrets_are_not_shown(name: str) -> None:
    vendor_id, kind = number(name)
    value = b"secretsecretsecret"
    octets = (
        attribute(kind, value) if vendor_id is None else vendor_attribute(vendor_id, kind, value)
    )
    assert describe(_packet(octets)) == [(name, "(hidden)")]


def test_text_of_a_peer_is_escaped_and_what_is_unknown_is_hex() -> None:
    packet = _packet(
        attribute(1, b"a\n\x1b[31m\x00\xff")
        + attribute(27, b"\x01")
        + attribute(200, b"\x01\x02")
        + attribute(26, b"\x00\x00\x00\x63\x01\x09")
        + vendor_attribute(99, 5, b"\x07")
        + attribute(97, bytes((0, 129)))
    )
    assert describe(packet) == [
        ("User-Name", r"a\n\x1b[31m\x00\xff"),
        ("Session-Timeout", "0x01"),
        ("Attr-200", "0x0102"),
        ("Attr-26", "0x000000630109"),
        ("Vendor-99-Attr-5", "0x07"),
        ("Framed-IPv6-Prefix", "0x0081"),
    ]


def _of_type(*types: str) -> list[str]:
    return sorted(
        name for name, a in ORACLE.attributes.items() if a.type in types and not a.encrypt
    )


text = st.text(st.characters(codec="utf-8"), max_size=60)
values = st.one_of(
    st.tuples(st.sampled_from(_of_type("string")), text),
    st.tuples(st.sampled_from(_of_type("integer", "date")), st.integers(0, 2**32 - 1)),
    st.tuples(st.sampled_from(_of_type("ipaddr")), st.ip_addresses(v=4).map(str)),
    st.tuples(st.sampled_from(_of_type("ipv6addr")), st.ip_addresses(v=6).map(str)),
    st.tuples(
        st.sampled_from(_of_type("ipv6prefix")),
        st.tuples(st.ip_addresses(v=6), st.integers(0, 128)).map(
            lambda pair: str(IPv6Network(pair, strict=False))
        ),
    ),
)


@given(values)
def test_encoding_is_pyrads(pair: tuple[str, str | int]) -> None:
    name, value = pair
    oracle = PyradPacket(2, 1, b"s", bytes(16), dict=ORACLE)
    oracle.AddAttribute(name, value)
    assert encode([pair]) == oracle._PktEncodeAttributes()


@given(
    st.lists(
        st.tuples(st.sampled_from([*range(1, 80), *range(81, 256)]), st.binary(max_size=30)),
        max_size=20,
    )
)
def test_any_packet_can_be_described_in_one_printable_line_each(
    attributes: list[tuple[int, bytes]],
) -> None:
    packet = _packet(b"".join(attribute(kind, value) for kind, value in attributes))
    for name, shown in describe(packet):
        assert name.isprintable()
        assert shown.isprintable()
