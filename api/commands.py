"""What the one-shot commands do, once the command line is read. Each answers its exit status.

Each imports what it runs: on a small machine imports are most of what a short command does.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from uuid import uuid4

import typer

from api import crashpoints
from api.compose import open_house, prepare
from api.failures import Refused
from api.house import House
from api.store import embedded
from config.settings import Settings


@asynccontextmanager
async def _house(settings: Settings) -> AsyncIterator[House]:
    """A prepared house; an embedded server that only this command needed is stopped again."""
    crashpoints.arm(settings.crash_at, settings.data_dir)
    named = settings.database_url.get_secret_value()
    found_running = bool(named) or await asyncio.to_thread(embedded.running, settings.data_dir)
    try:
        async with open_house(settings) as house:
            await prepare(house)
            yield house
    finally:
        if not found_running:
            await asyncio.to_thread(embedded.stop, settings.data_dir)


async def migrate(settings: Settings) -> int:
    """Bring the database to this release."""
    async with _house(settings):
        typer.echo("the database is at this release")
    return 0


async def check_config(settings: Settings) -> int:
    """Print settings and checks; 1 if one fails."""
    from sqlalchemy import make_url

    from api.channels.fleet import open_channels
    from api.ports import PortInUse
    from api.run import check_ports

    for name, value in settings.model_dump().items():
        typer.echo(f"RELIGA_{name.upper()}={value}")
    try:
        open_channels(settings)
    except ValueError as error:
        raise Refused(str(error)) from error
    async with _house(settings) as house:
        shown = make_url(house.store.url).render_as_string(hide_password=True)
        typer.echo(f"database url: {shown}")
        typer.echo("database: reachable and at this release; secret key: fits")
    try:
        await check_ports(settings)
    except PortInUse as error:
        typer.echo(f"ports: {error} (or Religa is running already)")
        return 1
    typer.echo("ports: free")
    return 0


async def import_file(settings: Settings, kind: str, file: Path, dry_run: bool) -> int:
    """Import one CSV, or refuse it with every bad row named."""
    from api import importer
    from api.progress import bar_on_stderr

    work = {
        "plans": importer.import_plans,
        "nas": importer.import_nas,
        "subscribers": importer.import_subscribers,
    }[kind]
    async with _house(settings) as house:
        with bar_on_stderr() as bar:
            task = bar.add_task(f"{kind} from {file.name}")
            report = await work(
                house.store,
                house.secrets,
                house.clock,
                file,
                dry_run,
                lambda done, total: bar.update(task, completed=done, total=total),
            )
    for problem in report.problems:
        typer.echo(f"line {problem.line}: {problem.column}: {problem.reason}", err=True)
    if report.problems:
        typer.echo(f"{len(report.problems)} problems; nothing was imported", err=True)
        return 1
    verb = "would be imported" if dry_run else "imported"
    typer.echo(f"{report.rows} {kind} {verb}")
    return 0


async def create_token(settings: Settings, role: str, name: str) -> int:
    """Print a new token, once."""
    from api import operators

    async with _house(settings) as house, house.uow("cli", uuid4().hex) as uow:
        made = await operators.create_token(uow, role, name)
    typer.echo(made)
    return 0


async def explain(settings: Settings, contract_id: int, lang: str) -> int:
    """Print a contract's facts as sentences, oldest first."""
    from api.explain import timeline

    async with _house(settings) as house, house.store.reading() as connection:
        items = await timeline(house, connection, contract_id, lang)
    if not items:
        raise Refused(f"contract {contract_id} is unknown; GET /api/v1/contracts lists them")
    for item in items:
        at = item.at.astimezone(settings.zone)
        typer.echo(f"{at:%Y-%m-%d %H:%M:%S}  {item.sentence}")
    return 0


async def review(settings: Settings, dry_run: bool, as_json: bool, at: datetime | None) -> int:
    """Show, or show and do, what the ladder asks for now; 1 if the guards refuse the cuts."""
    from api.review_shown import show_preview, show_run

    async with _house(settings) as house:
        if dry_run:
            return await show_preview(house, at, as_json=as_json)
        return await show_run(house, as_json=as_json)


async def bill(settings: Settings, until: date) -> int:
    """Issue what is due to be issued until a day; 1 if a contract could not be billed."""
    from api import billing_run
    from api.progress import bar_on_stderr

    correlation_id = uuid4().hex
    async with _house(settings) as house:
        try:
            with bar_on_stderr() as bar:
                task = bar.add_task(f"billing until {until}", total=None)
                ran = await billing_run.run(
                    house,
                    until,
                    correlation_id,
                    "cli",
                    lambda done, total: bar.update(task, completed=done, total=total),
                )
        except (billing_run.RunGoesOn, billing_run.BadUntil) as error:
            raise Refused(str(error)) from error
        async with house.uow("cli", correlation_id) as uow:
            await billing_run.keep_empty(uow, ran)
    if ran.id is None:
        typer.echo(f"nothing is due to be issued until {until}: that was billed already")
        return 0
    typer.echo(f"{ran.invoices} invoices of {ran.amount_cents} cents issued, {ran.parked} parked")
    for contract_id in ran.failed:
        typer.echo(f"contract {contract_id} could not be billed; the log says why", err=True)
    return 1 if ran.failed else 0


async def verify(settings: Settings, scheduled: bool) -> int:
    """Print every difference; 1 if there is one. It is kept: with differences nobody is cut."""
    from api.book_check import SCHEDULED, check

    if scheduled:
        os.nice(10)
    async with _house(settings) as house:
        differences = await check(house, SCHEDULED if scheduled else "cli")
    for difference in differences:
        typer.echo(difference, err=True)
    typer.echo(f"{len(differences)} differences" if differences else "all as recorded")
    return 1 if differences else 0
