"""Our RADIUS server judged by radclient, over UDP, in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from radius.accounting import Record, Status
from radius.session_class import Issuer
from tests.support.radclient import Answer, radclient
from tests.support.radius_process import RadiusProcess, radius_process
from tests.support.radius_worker import CLASS_KEY, SECRET

PASSWORDS = {"ana": "correct horse", "User": "clientPass", "josé": "ção €"}
SIGNED = "Message-Authenticator = 0x00"
PAP = ('User-Name = "ana"', 'User-Password = "correct horse"')


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadiusProcess]:
    """A server that demands Message-Authenticator of this NAS."""
    with radius_process(tmp_path_factory.mktemp("strict"), PASSWORDS, require="yes") as server:
        yield server


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadiusProcess]:
    """A server that does not."""
    with radius_process(tmp_path_factory.mktemp("lenient"), PASSWORDS, require="no") as server:
        yield server


def ask(port: int, command: str, *lines: str, wait_s: float = 3.0) -> Answer | None:
    return radclient(port, command, lines, SECRET.value.decode(), wait_s)


@pytest.mark.parametrize("method", ["User-Password", "CHAP-Password", "MS-CHAP-Password"])
@pytest.mark.parametrize("username", ["ana", "josé"])
def test_the_right_password_is_accepted_by_every_method(
    strict: RadiusProcess, method: str, username: str
) -> None:
    credential = f'{method} = "{PASSWORDS[username]}"'
    answer = ask(strict.auth_port, "auth", f'User-Name = "{username}"', credential, SIGNED)
    assert answer is not None
    assert answer.code == "Access-Accept"


def test_an_accept_carries_the_grant_the_class_and_its_signature_first(
    strict: RadiusProcess,
) -> None:
    answer = ask(strict.auth_port, "auth", *PAP, SIGNED)
    assert answer is not None
    assert answer.code == "Access-Accept"
    assert answer.attributes[0][0] == "Message-Authenticator"
    assert answer["Mikrotik-Rate-Limit"] == "10M/50M"
    assert answer["Framed-IP-Address"] == "10.20.30.40"
    assert answer["Delegated-IPv6-Prefix"] == "2001:db8:7::/56"
    assert answer["Acct-Interim-Interval"] == "300"
    mark = bytes.fromhex(answer["Class"].removeprefix("0x"))
    assert Issuer(CLASS_KEY).read(mark) == (1, 3)


def test_mschap_v1_brings_the_encryption_keys(strict: RadiusProcess) -> None:
    answer = ask(
        strict.auth_port, "auth", 'User-Name = "ana"', 'MS-CHAP-Password = "correct horse"', SIGNED
    )
    assert answer is not None
    assert answer.code == "Access-Accept"
    assert "MS-CHAP-MPPE-Keys" in answer


# RFC 2759 section 9.2: user, password, both challenges, the response, and what the server proves.
RFC_2759 = (
    'User-Name = "User"',
    "MS-CHAP-Challenge = 0x5b5d7c7d7b3f2f3e3c2c602132262628",
    "MS-CHAP2-Response = 0x0000"
    "21402324255e262a28295f2b3a337c7e"
    "0000000000000000"
    "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df",
)
RFC_2759_PROOF = b"\0S=407A5589115FD0D6209F510FE9C04566932CDA56"


def test_mschap_v2_proves_that_we_too_know_the_password(strict: RadiusProcess) -> None:
    answer = ask(strict.auth_port, "auth", *RFC_2759, SIGNED)
    assert answer is not None
    assert answer.code == "Access-Accept"
    assert answer["MS-CHAP2-Success"] == f"0x{RFC_2759_PROOF.hex()}"
    # radclient decrypts the keys with the secret: RFC 3079 section 3.5.3, the server's view.
    assert answer["MS-MPPE-Send-Key"] == "0x8b7cdc149b993a1ba118cb153f56dccb"
    assert answer["MS-MPPE-Recv-Key"] == "0xd5f0e9521e3ea9589645e86051c82226"


@pytest.mark.parametrize(
    ("username", "credential"),
    [
        ("ana", 'User-Password = "wrong"'),
        ("ana", 'User-Password = "correct horse "'),
        ("ana", 'CHAP-Password = "wrong"'),
        ("ana", 'MS-CHAP-Password = "wrong"'),
        ("ANA", 'User-Password = "correct horse"'),
        ("nobody", 'User-Password = "correct horse"'),
    ],
)
def test_wrong_password_or_unknown_user_is_rejected_and_signed(
    strict: RadiusProcess, username: str, credential: str
) -> None:
    answer = ask(strict.auth_port, "auth", f'User-Name = "{username}"', credential, SIGNED)
    assert answer is not None
    assert answer.code == "Access-Reject"
    assert answer.attributes[0][0] == "Message-Authenticator"
    assert "Mikrotik-Rate-Limit" not in answer
    assert "Class" not in answer


def test_an_unsigned_request_gets_silence_where_a_signature_is_required(
    strict: RadiusProcess,
) -> None:
    assert ask(strict.auth_port, "auth", *PAP, wait_s=0.5) is None


def test_an_unsigned_request_is_accepted_where_it_need_not_be_signed(
    lenient: RadiusProcess,
) -> None:
    answer = ask(lenient.auth_port, "auth", *PAP)
    assert answer is not None
    assert answer.code == "Access-Accept"
    assert answer.attributes[0][0] == "Message-Authenticator"


def test_proxy_state_comes_back_in_order_and_only_for_a_signed_request(
    lenient: RadiusProcess,
) -> None:
    states = ("Proxy-State = 0x01", "Proxy-State = 0x02")
    assert ask(lenient.auth_port, "auth", *PAP, *states, wait_s=0.5) is None
    answer = ask(lenient.auth_port, "auth", *PAP, *states, SIGNED)
    assert answer is not None
    assert [value for name, value in answer.attributes if name == "Proxy-State"] == ["0x01", "0x02"]


@pytest.mark.parametrize("lines", [PAP, (*PAP, SIGNED)])
def test_a_wrong_secret_is_never_accepted(
    strict: RadiusProcess, lenient: RadiusProcess, lines: tuple[str, ...]
) -> None:
    for server in (strict, lenient):
        assert radclient(server.auth_port, "auth", lines, "another secret", wait_s=0.5) is None


@pytest.mark.parametrize("port", ["auth_port", "acct_port"])
def test_status_server_is_answered_on_both_ports(strict: RadiusProcess, port: str) -> None:
    answer = ask(getattr(strict, port), "status", SIGNED)
    assert answer is not None
    expected = {"auth_port": "Access-Accept", "acct_port": "Accounting-Response"}
    assert answer.code == expected[port]


def test_accounting_is_answered_and_stands_in_the_journal(tmp_path: Path) -> None:
    session = ('User-Name = "ana"', 'Acct-Session-Id = "s-1"', "Framed-IP-Address = 10.20.30.40")
    counted = (
        "Acct-Input-Octets = 7",
        "Acct-Output-Octets = 5",
        "Acct-Output-Gigawords = 2",
        "Acct-Session-Time = 60",
    )
    ended = "Acct-Terminate-Cause = Admin-Reset"
    packets: list[tuple[str, ...]] = [
        ("Acct-Status-Type = Accounting-On", 'NAS-Identifier = "bng-1"'),
        ("Acct-Status-Type = Start", *session),
        ("Acct-Status-Type = Interim-Update", *session, *counted),
        ("Acct-Status-Type = Stop", *session, *counted, ended),
        ("Acct-Status-Type = Accounting-Off", 'NAS-Identifier = "bng-1"'),
    ]
    with radius_process(tmp_path, PASSWORDS) as server:
        for lines in packets:
            assert ask(server.acct_port, "acct", *lines) == Answer("Accounting-Response", ())
        forged = radclient(server.acct_port, "acct", packets[1], "another secret", wait_s=0.5)
        assert forged is None
    _expect(server.recorded())


def _expect(records: list[Record]) -> None:
    assert [record.status for record in records] == [
        Status.ON,
        Status.START,
        Status.INTERIM,
        Status.STOP,
        Status.OFF,
    ]
    stop = records[3]
    assert (stop.username, stop.acct_session_id, stop.ipv4) == ("ana", "s-1", "10.20.30.40")
    assert (stop.input_octets, stop.output_octets) == (7, (2 << 32) + 5)
    assert stop.terminate_cause == "Admin-Reset"
    assert records[0].nas_identifier == records[4].nas_identifier == "bng-1"
