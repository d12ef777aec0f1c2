"""The simulated NAS and our RADIUS server, each judging the other over UDP."""

from collections import Counter
from pathlib import Path

import pytest

from api.rehearsal.nas import Dialled, SimulatedNas
from api.rehearsal.nas_config import NasConfig
from api.rehearsal.nas_log import read_log, standing
from api.rehearsal.nas_profile import DialectName, Profile
from api.rehearsal.nas_records import Method
from radius.accounting import Status
from radius.session_class import Issuer
from tests.support.radius_process import radius_process
from tests.support.radius_worker import CLASS_KEY, SECRET

pytestmark = pytest.mark.anyio

FULL = Profile(50_000_000, 10_000_000, walled=False)


@pytest.mark.parametrize(
    ("dialect", "method"), [("mikrotik", "pap"), ("accel_ppp", "chap"), ("wispr", "mschap2")]
)
async def test_hundreds_dial_in_with_what_was_granted_and_every_record_is_kept(
    tmp_path: Path, dialect: DialectName, method: Method
) -> None:
    log = tmp_path / "nas.jsonl"
    passwords = {f"user{number}": f"pw-{number}" for number in range(300)}
    with radius_process(tmp_path, passwords, dialect=dialect) as server:
        config = NasConfig(
            name="bng-1",
            dialect=dialect,
            secret=SECRET.value,
            log_path=log,
            auth_port=server.auth_port,
            acct_port=server.acct_port,
            coa_port=0,
            method=method,
        )
        async with SimulatedNas(config) as nas:
            credentials = [*passwords.items(), ("user0", "wrong"), ("nobody", "x")]
            dialled = await nas.dial(credentials, rate_per_s=1_000)
            assert dialled == Dialled(accepted=300, rejected=2, silence=0, unusable=0)
            await nas.accounted()
            await nas.interim_all()
            await nas.hang_up()
    events = Counter(event.event for event in read_log(log))
    assert events["bad_reply"] == 0
    assert events["acct_ok"] == 900
    profiles = [event for event in read_log(log) if event.event == "profile"]
    assert {event.after for event in profiles} == {FULL}
    assert standing(read_log(log)) == {}
    records = server.recorded()
    # A resend under load may be recorded twice; nothing may be missing.
    kept = {(record.status, record.username) for record in records}
    assert kept == {
        (status, name)
        for status in (Status.START, Status.INTERIM, Status.STOP)
        for name in passwords
    }
    marks = {Issuer(CLASS_KEY).read(record.class_value or b"") for record in records}
    assert marks == {(number, 3) for number in range(1, 301)}
