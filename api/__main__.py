"""The command `religa`."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer

app = typer.Typer(
    name="religa",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="ISP management: billing, RADIUS and router automation. Settings come from RELIGA_*"
    " variables; `religa check-config` shows them. Start with `religa run`.",
)
token = typer.Typer(no_args_is_help=True, help="API tokens.")
simulate = typer.Typer(no_args_is_help=True, help="Stand-ins for rehearsal and tests.")
switch = typer.Typer(
    no_args_is_help=True,
    help="Stop every cut at once, with or without the database; restores go on. The switch is a row"
    " of the database and the file `cuts-off` in RELIGA_DATA_DIR: on each machine that has a worker"
    " the file alone does, also one that was made with `touch`.",
)
app.add_typer(token, name="token")
app.add_typer(switch, name="kill-switch")
app.add_typer(simulate, name="simulate")

WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True)]


def main() -> None:
    """Run one command; an expected failure is one line on stderr and exit status 1."""
    app()


def _run(role: str, work: Callable[[Any], Coroutine[Any, Any, int | None]]) -> None:
    """Read the settings, run `work` on them, turn what may go wrong into one clear line."""
    # Imported here, as in every command, so that each process pays only for what it runs.
    from config import logging
    from config.settings import Settings

    try:
        settings = Settings()
        settings = settings.model_copy(update={"data_dir": settings.data_dir.resolve()})
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        logging.configure(settings.log_level, role)
        status = _loop(work(settings))
    except Exception as error:
        from api.failures import is_expected, sentence

        if not is_expected(error):
            raise
        typer.echo(f"religa: {sentence(error)}", err=True)
        sys.exit(1)
    sys.exit(status or 0)


def _loop(work: Coroutine[Any, Any, int | None]) -> int | None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@app.command()
def run() -> None:
    """All roles in one: embedded PostgreSQL, RADIUS, worker and API, until Ctrl-C."""
    from api.run import run as run_all

    _run("run", run_all)


@app.command()
def api(with_parent: WithParent = False) -> None:
    """The HTTP API alone, on a migrated database."""
    from api.roles import serve_api

    _run("api", lambda settings: serve_api(settings, with_parent=with_parent))


@app.command()
def radius(with_parent: WithParent = False) -> None:
    """A RADIUS node alone: workers, publisher and shipper. Serves without a database too."""
    from api.roles import serve_radius

    _run("radius", lambda settings: serve_radius(settings, with_parent=with_parent))


@app.command()
def worker(with_parent: WithParent = False) -> None:
    """The worker alone: payments, notices, enforcement and the schedule."""
    from api.roles import serve_worker

    _run("worker", lambda settings: serve_worker(settings, with_parent=with_parent))


@app.command()
def migrate() -> None:
    """Bring the database to this release."""
    from api.commands import migrate as work

    _run("migrate", work)


@app.command("check-config")
def check_config() -> None:
    """Show the settings in force (secrets hidden) and check keys, ports and the database."""
    from api.commands import check_config as work

    _run("check-config", work)


@app.command()
def demo() -> None:
    """The main job once, on real parts: unpaid, slowed, walled, paid, restored, with proof."""
    from api.rehearsal.demo import demo as work

    _run("demo", work)


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="plans, nas or subscribers", metavar="KIND")],
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check only")] = False,
) -> None:
    """Import a CSV: all of its rows or none, every bad row named with its line."""
    from api.commands import import_file

    if kind not in ("plans", "nas", "subscribers"):
        raise typer.BadParameter("KIND is plans, nas or subscribers")
    _run("import", lambda settings: import_file(settings, kind, file, dry_run))


@token.command("create")
def token_create(
    role: Annotated[str, typer.Option(help="admin, noc, finance or auditor")],
    name: Annotated[str, typer.Option(help="whose it is; shown in the audit log")],
) -> None:
    """Make an API token; it is printed once and only its hash is kept."""
    from api.commands import create_token

    if role not in ("admin", "noc", "finance", "auditor"):
        raise typer.BadParameter("ROLE is admin, noc, finance or auditor")
    _run("token", lambda settings: create_token(settings, role, name))


Reason = Annotated[str, typer.Option(help="why; kept, and shown with the switch")]
ByWhom = Annotated[str, typer.Option(help="whose hand; shown in the audit log")]


@switch.command("put")
def switch_put(reason: Reason, name: ByWhom = "cli") -> None:
    """No cut is decided or sent any more, within a second; what reached no line is taken back.

    The file is written first, so that it works with the database down; then it says so.
    """
    from api.switching import put

    _run("kill-switch", lambda settings: put(settings, reason, name))


@switch.command("lift")
def switch_lift(reason: Reason, name: ByWhom = "cli") -> None:
    """Let cuts go on: the file is removed, the database's switch lifted. Exit status 1: not yet."""
    from api.switching import lift

    _run("kill-switch", lambda settings: lift(settings, reason, name))


@switch.command("show")
def switch_show() -> None:
    """Show this machine's file and every switch of the database that is on."""
    from api.switching import show

    _run("kill-switch", show)


@app.command()
def explain(
    contract: Annotated[int, typer.Argument(help="contract id")],
    lang: Annotated[str, typer.Option(help="pt-BR or en")] = "pt-BR",
) -> None:
    """Tell what happened to a contract, in order, as sentences."""
    from api.commands import explain as work

    _run("explain", lambda settings: work(settings, contract, lang))


@app.command()
def review(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show, change nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    at: Annotated[
        datetime | None,
        typer.Option(
            help="of a dry run: as it would be then, as 2026-09-21T08:00, with no news until then",
            formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"],
        ),
    ] = None,
) -> None:
    """Look at every contract that is due: tonight's cuts and restores, with reasons.

    A dry run shows why each of the others stays as it is. Exit status 1: the guards refuse the
    cuts; restores are made all the same.
    """
    from api.commands import review as work

    if at is not None and not dry_run:
        raise typer.BadParameter("it is for --dry-run: nobody is cut before the time")
    _run("review", lambda settings: work(settings, dry_run, as_json, at))


@app.command()
def bill(
    until: Annotated[
        datetime, typer.Option(help="a date; what is issued on it is in", formats=["%Y-%m-%d"])
    ],
) -> None:
    """Issue every recurring invoice whose day of issue has come by a date; park absurd ones."""
    from api.commands import bill as work

    _run("bill", lambda settings: work(settings, until.date()))


@app.command()
def verify(
    scheduled: Annotated[bool, typer.Option("--scheduled", hidden=True)] = False,
) -> None:
    """Recompute ledger, rows of money, audit chain and decisions; exit status 1 on a difference.

    What it finds is kept (`GET /guards`): with a difference nobody is cut until a later run finds
    none. The worker does it every night.
    """
    from api.commands import verify as work

    _run("verify", lambda settings: work(settings, scheduled))


@simulate.command("nas")
def simulate_nas(
    name: Annotated[str, typer.Option(help="its NAS-Identifier")] = "simulated",
    server: Annotated[str, typer.Option(help="RADIUS server")] = "127.0.0.1",
    auth_port: Annotated[int, typer.Option(help="its authentication port")] = 1812,
    acct_port: Annotated[int, typer.Option(help="its accounting port")] = 1813,
    secret: Annotated[str, typer.Option(help="shared secret")] = "testing123",
    dialect: Annotated[str, typer.Option(help="mikrotik, accel_ppp or wispr")] = "mikrotik",
    bind: Annotated[str, typer.Option(help="this NAS's address")] = "127.0.0.1",
    coa_port: Annotated[int, typer.Option(help="where it takes CoA and Disconnect")] = 3799,
    method: Annotated[str, typer.Option(help="pap, chap or mschap2")] = "chap",
    interim_s: Annotated[int, typer.Option(help="seconds between interims")] = 300,
    log: Annotated[Path, typer.Option(help="its own log, JSON lines")] = Path("nas.jsonl"),
) -> None:
    """A NAS that dials, accounts and obeys CoA; JSON commands on stdin, answers on stdout."""
    from api.rehearsal.nas_config import NasConfig
    from api.rehearsal.nas_control import run as serve

    try:
        config = NasConfig(
            name=name,
            dialect=cast(Any, dialect),
            secret=secret.encode(),
            log_path=log,
            server_host=server,
            auth_port=auth_port,
            acct_port=acct_port,
            bind_host=bind,
            coa_port=coa_port,
            method=cast(Any, method),
            interim_s=interim_s,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _run("nas", lambda _settings: serve(config))


@simulate.command("psp")
def simulate_psp(
    webhook_url: Annotated[str, typer.Option(help="where to announce payments")],
    port: Annotated[int, typer.Option(help="where to listen")] = 8200,
) -> None:
    """A Pix provider on loopback: charges, confirmations, webhooks, faults on demand."""
    from api.rehearsal.psp import serve

    _run("psp", lambda _settings: serve(port, webhook_url))


if __name__ == "__main__":
    main()
