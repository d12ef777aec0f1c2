"""What is read out of an Accounting-Request, and what makes it unreadable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radius.accounting import Record, Status, join_gigawords, read
from radius.codec import Code, Packet, Secret, attribute, encode_request, parse
from radius.errors import PeerError


def packet(*attributes: tuple[int, bytes], code: int = Code.ACCOUNTING_REQUEST) -> Packet:
    octets = b"".join(attribute(number, value) for number, value in attributes)
    return parse(encode_request(code, 1, octets, Secret(b"s"), message_authenticator=False))


def u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


START = (40, u32(1))
SESSION = (44, b"81d00032")


def test_a_full_interim_is_read_to_the_last_field() -> None:
    record = read(
        packet(
            (40, u32(3)),
            (44, b"81d00032"),
            (1, b"ana@isp"),
            (25, b"ai:00"),
            (55, u32(1_795_000_000)),
            (41, u32(2)),
            (46, u32(3600)),
            (42, u32(5)),
            (52, u32(1)),
            (43, u32(7)),
            (53, u32(2)),
            (8, bytes((10, 0, 0, 9))),
            (168, bytes.fromhex("20010db8000000000000000000000009")),
            (123, bytes((0, 56)) + bytes.fromhex("20010db800010000")),
            (31, b"AA-BB-CC-00-11-22"),
            (87, b"ether1.100"),
            (32, b"bng-1"),
            (49, u32(2)),
        )
    )
    assert record == Record(
        status=Status.INTERIM,
        acct_session_id="81d00032",
        username="ana@isp",
        class_value=b"ai:00",
        event_at=1_795_000_000.0,
        delay_s=2,
        session_seconds=3600,
        input_octets=(1 << 32) + 5,
        output_octets=(2 << 32) + 7,
        gigawords_given=True,
        ipv4="10.0.0.9",
        ipv6="2001:db8::9",
        delegated_ipv6="2001:db8:1::/56",
        mac="aa:bb:cc:00:11:22",
        nas_port_id="ether1.100",
        nas_identifier="bng-1",
        terminate_cause="Lost-Carrier",
    )


def test_a_bare_start_has_zeros_and_nothing_else() -> None:
    record = read(packet(START, SESSION))
    assert record == Record(
        Status.START, "81d00032", "", None, None, 0, 0, 0, 0, False,
        None, None, None, None, None, None, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ([SESSION], "Acct-Status-Type is missing"),
        ([(40, b"\x01"), SESSION], "not four octets"),
        ([(40, u32(9)), SESSION], "Acct-Status-Type 9"),
        ([START], "without Acct-Session-Id"),
        ([START, (44, b"")], "without Acct-Session-Id"),
    ],
)
def test_without_status_or_session_there_is_no_record(
    attributes: list[tuple[int, bytes]], reason: str
) -> None:
    with pytest.raises(PeerError, match=reason) as caught:
        read(packet(*attributes))
    assert caught.value.counter == "malformed"


def test_another_packet_is_not_accounting() -> None:
    with pytest.raises(PeerError) as caught:
        read(packet(START, SESSION, code=Code.COA_REQUEST))
    assert caught.value.counter == "unexpected_code"


@pytest.mark.parametrize("status", [Status.ON, Status.OFF])
def test_a_nas_speaks_of_itself_without_a_session(status: Status) -> None:
    record = read(packet((40, u32(status)), (32, b"bng-1")))
    assert (record.status, record.acct_session_id) == (status, "")


@pytest.mark.parametrize(
    ("number", "value"), [(42, b"\x00" * 3), (52, b"\x00" * 8), (8, b"\x0a"), (55, b""), (46, b"1")]
)
def test_one_attribute_of_a_wrong_size_costs_only_itself(number: int, value: bytes) -> None:
    assert read(packet(START, SESSION, (number, value))) == read(packet(START, SESSION))


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"ana\x00", "ana\ufffd"),
        (b"\x1b[2Jana", "\ufffd[2Jana"),
        ("ana\u202eisp".encode(), "ana\ufffdisp"),
        (b"p\xe9ss", "p\ufffdss"),
        ("joão da silva".encode(), "joão da silva"),
    ],
)
def test_text_is_made_safe_to_store_and_show(sent: bytes, kept: str) -> None:
    assert read(packet(START, SESSION, (1, sent))).username == kept


@pytest.mark.parametrize(
    ("sent", "mac"),
    [
        (b"AA:BB:CC:00:11:22", "aa:bb:cc:00:11:22"),
        (b"aabb.cc00.1122", "aa:bb:cc:00:11:22"),
        (b"aabbcc001122", "aa:bb:cc:00:11:22"),
        (b"AA-BB-CC-00-11-22:guest", "aa:bb:cc:00:11:22"),
        (b"5511999990000", None),
        (b"10.0.0.1", None),
    ],
)
def test_a_calling_station_is_kept_when_it_is_a_mac(sent: bytes, mac: str | None) -> None:
    assert read(packet(START, SESSION, (31, sent))).mac == mac


@pytest.mark.parametrize(
    ("value", "prefix"),
    [
        (bytes((0, 64)) + bytes.fromhex("20010db8000000010000000000000000"), "2001:db8:0:1::/64"),
        (bytes((0, 60)) + bytes.fromhex("20010db80000001f"), "2001:db8:0:10::/60"),
        (bytes((0, 0)), "::/0"),
        (bytes((0, 129)) + bytes(16), None),
        (b"\x00", None),
    ],
)
def test_prefixes_come_in_any_length(value: bytes, prefix: str | None) -> None:
    assert read(packet(START, SESSION, (97, value))).ipv6 == prefix
    assert read(packet(START, SESSION, (123, value))).delegated_ipv6 == prefix


def test_our_class_is_taken_from_among_several() -> None:
    assert read(packet(START, SESSION, (25, b"x"), (25, b"ai:1"))).class_value == b"ai:1"
    assert read(packet(START, SESSION, (25, b"x"), (25, b"y"))).class_value == b"x"


def test_a_port_without_a_name_is_its_number_and_a_cause_without_a_word_too() -> None:
    record = read(packet(START, SESSION, (5, u32(4_000_000_001)), (49, u32(99))))
    assert (record.nas_port_id, record.terminate_cause) == ("4000000001", "99")


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_joined_gigawords_come_apart_again(octets: int, gigawords: int) -> None:
    assert divmod(join_gigawords(octets, gigawords), 2**32) == (gigawords, octets)


@given(st.lists(st.tuples(st.integers(1, 79), st.binary(max_size=24)), max_size=40))
def test_any_attributes_give_a_record_or_a_peer_error(attributes: list[tuple[int, bytes]]) -> None:
    try:
        record = read(packet(START, SESSION, *attributes))
    except PeerError:
        return
    assert "\x00" not in record.username + record.acct_session_id
    assert 0 <= record.input_octets < 2**64
