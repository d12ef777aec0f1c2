"""Debian's FreeRADIUS 3.2 as a peer and as an oracle: a server of our own on free ports.

It runs in the foreground from a configuration made here, knows one NAS (127.0.0.1 with `SECRET`)
and grants every user what `GRANTED` says. Its SQL queries and its table of sessions are the ones
that Debian ships. Everything a knowing operator would set for speed is set: no proxying, no log of
requests, no detail files, one SQL connection a thread, and room for every request in flight. With
SQL it reads Debian's own files, which only root and its group may.
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import SOCK_DGRAM

import psycopg
from sqlalchemy import make_url

from radius.dictionary import encode
from tests.support.database import libpq
from tests.support.product import free_port
from tests.support.radius_worker import SECRET

_SQL_FILES = Path("/etc/freeradius/3.0/mods-config/sql/main/postgresql")
_POLICY = Path("/etc/freeradius/3.0/policy.d/accounting")
_READY_WITHIN_S = 60.0
_GROUP = "fibra50"
ANSWER: Mapping[str, str | int] = {
    "Mikrotik-Rate-Limit": "10M/50M",
    "Framed-Pool": "pool4",
    "Acct-Interim-Interval": 300,
}
GRANTED = encode(list(ANSWER.items()))
"""`ANSWER` as octets: what ours grants beside it."""

Users = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FreeRadius:
    """A running server. `pid` is its only process."""

    auth_port: int
    acct_port: int
    pid: int


def fill(database_url: str, users: Users) -> None:
    """Debian's schema with its indexes, and these users (name, password) in one group."""
    with psycopg.connect(libpq(database_url), autocommit=True) as connection:
        connection.execute((_SQL_FILES / "schema.sql").read_bytes())
        with connection.cursor() as cursor:
            for name, value in ANSWER.items():
                cursor.execute(
                    "insert into radgroupreply (groupname, attribute, op, value)"
                    " values (%s, %s, ':=', %s)",
                    [_GROUP, name, str(value)],
                )
            known = list(users)
            with cursor.copy("copy radcheck (username, attribute, op, value) from stdin") as rows:
                for name, password in known:
                    rows.write_row((name, "Cleartext-Password", ":=", password))
            with cursor.copy(
                "copy radusergroup (username, groupname, priority) from stdin"
            ) as rows:
                for name, _ in known:
                    rows.write_row((name, _GROUP, 1))
        connection.execute("vacuum analyze")


@contextmanager
def freeradius_with_sql(folder: Path, database_url: str, threads: int) -> Iterator[FreeRadius]:
    """Users, groups and sessions in the database that `fill` prepared."""
    where = make_url(database_url)
    reached = f"host={where.query['host']} dbname={where.database} user={where.username}"
    modules = f"""
    sql {{
        dialect = "postgresql"
        driver = "rlm_sql_postgresql"
        radius_db = "{reached}"
        acct_table1 = "radacct"
        acct_table2 = "radacct"
        postauth_table = "radpostauth"
        authcheck_table = "radcheck"
        groupcheck_table = "radgroupcheck"
        authreply_table = "radreply"
        groupreply_table = "radgroupreply"
        usergroup_table = "radusergroup"
        client_table = "nas"
        read_groups = yes
        read_clients = no
        delete_stale_sessions = yes
        group_attribute = "SQL-Group"
        pool {{
            start = {threads}
            min = {threads}
            max = {threads}
            spare = 0
            uses = 0
            lifetime = 0
            idle_timeout = 0
        }}
        $INCLUDE {_SQL_FILES}/queries.conf
    }}"""
    with _running(
        folder,
        modules,
        users="sql",
        accounting="sql",
        threads=threads,
        policy=f"$INCLUDE {_POLICY}",
        preacct="acct_unique",
    ) as server:
        yield server


@contextmanager
def freeradius_with_files(
    folder: Path, users: Users, threads: int, *, reject_delay_s: int = 1
) -> Iterator[FreeRadius]:
    """Users (name, password) in a file that it reads at start; accounting is answered, not kept."""
    answer = ",\n\t".join(
        f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}"
        for name, value in ANSWER.items()
    )
    path = folder / "users"
    with path.open("w") as file:
        for name, password in users:
            file.write(f'"{name}" Cleartext-Password := "{password}"\n\t{answer}\n\n')
    modules = f'files {{\n filename = "{path}"\n }}'
    with _running(
        folder,
        modules,
        users="files",
        accounting="ok",
        threads=threads,
        reject_delay_s=reject_delay_s,
    ) as server:
        yield server


@contextmanager
def _running(
    folder: Path,
    modules: str,
    *,
    users: str,
    accounting: str,
    threads: int,
    reject_delay_s: int = 1,
    policy: str = "",
    preacct: str = "ok",
) -> Iterator[FreeRadius]:
    program = shutil.which("freeradius", path="/usr/sbin:/usr/bin")
    if program is None:
        raise RuntimeError("FreeRADIUS is missing: apt-get install freeradius-postgresql")
    auth_port, acct_port = free_port(SOCK_DGRAM), free_port(SOCK_DGRAM)
    (folder / "radiusd.conf").write_text(
        f"""
name = radiusd
prefix = /usr
localstatedir = {folder}
sbindir = /usr/sbin
libdir = /usr/lib/freeradius
logdir = {folder}
run_dir = {folder}
max_request_time = 30
cleanup_delay = 5
max_requests = 1048576
hostname_lookups = no
proxy_requests = no
log {{
    destination = files
    file = {folder}/radius.log
    auth = no
}}
security {{
    max_attributes = 200
    reject_delay = {reject_delay_s}
    status_server = yes
}}
thread pool {{
    start_servers = {threads}
    max_servers = {threads}
    min_spare_servers = 1
    max_spare_servers = {threads}
    max_queue_size = 65536
    max_requests_per_server = 0
    auto_limit_acct = no
}}
client nas {{
    ipaddr = 127.0.0.1
    secret = "{SECRET.value.decode()}"
    require_message_authenticator = no
}}
modules {{
    always ok {{
        rcode = ok
    }}
    expr {{
    }}
    chap {{
    }}
    mschap {{
    }}
    pap {{
    }}
    {modules}
}}
policy {{
    {policy}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {auth_port}
    }}
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = {acct_port}
    }}
    authorize {{
        chap
        mschap
        {users}
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type CHAP {{
            chap
        }}
        Auth-Type MS-CHAP {{
            mschap
        }}
    }}
    preacct {{
        {preacct}
    }}
    accounting {{
        {accounting}
    }}
}}
"""
    )
    log = folder / "radius.log"
    log.unlink(missing_ok=True)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [program, "-f", "-d", str(folder), "-n", "radiusd"], stdout=output, stderr=output
        )
    try:
        _await_ready(process, folder)
        yield FreeRadius(auth_port, acct_port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    log = folder / "radius.log"
    while not log.exists() or "Ready to process requests" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "output").read_text() + (log.read_text() if log.exists() else "")
            raise RuntimeError(f"FreeRADIUS does not start: {said[-3000:]}")
        time.sleep(0.02)
