"""`religa kill-switch`: the switch of all cuts by hand, with or without a database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import typer
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from api import kill_switch
from api.compose import open_house
from api.failures import Refused
from api.house import House
from api.kill_switch import EVERYTHING
from api.store import embedded
from api.store.guard_tables import kill_switches
from api.store.uow import DatabaseAway
from api.switch_file import SwitchFile
from config.settings import Settings

# A database that does not answer is as good as none.
PATIENCE_S = 10.0


class _Away(Exception):
    """The database cannot be told; the text says why."""


async def put(settings: Settings, reason: str, name: str) -> int:
    """Stop every cut; 1 if neither the file nor the database could be told.

    Raises:
        Refused: nothing that runs here would look at the file.
    """
    _at_home(settings)
    file, written = SwitchFile(settings.data_dir), True
    try:
        file.put(name, reason)
        typer.echo(f"{file.path} stands: no cut is sent from this machine")
    except OSError as error:
        written = False
        typer.echo(f"{file.path} cannot be written: {error}", err=True)
    correlation_id = uuid4().hex
    try:
        async with _house(settings) as house:
            async with asyncio.timeout(PATIENCE_S), house.uow(name, correlation_id) as uow:
                made = await kill_switch.put(uow, EVERYTHING, reason)
            taken = await kill_switch.take_back_unsent(house, EVERYTHING, correlation_id, name)
    except _Away as away:
        typer.echo(
            f"the database is away ({away}); once it is back, what runs on this machine puts the"
            " switch there too. On other machines run this command as well",
            err=True,
        )
        return 0 if written else 1
    typer.echo(f"kill switch {made.switch_id} is on; {taken} cuts taken back")
    return 0


async def lift(settings: Settings, reason: str, name: str) -> int:
    """Let cuts go on; 1 if the database could not be told, so that its switch may be on.

    Raises:
        Refused: no switch is on, or this is not where a server keeps its data.
    """
    _at_home(settings)
    file = SwitchFile(settings.data_dir)
    removed = file.lift()
    if removed:
        typer.echo(f"{file.path} is removed")
    try:
        async with (
            _house(settings) as house,
            asyncio.timeout(PATIENCE_S),
            house.uow(name, uuid4().hex) as uow,
        ):
            looked = await kill_switch.lift(uow, EVERYTHING, reason)
    except _Away as away:
        typer.echo(
            f"the database is away ({away}); its own switch stays on: run this again", err=True
        )
        return 1
    except kill_switch.NotSwitched as error:
        if not removed:
            raise Refused(str(error)) from error
        return 0
    typer.echo(f"the kill switch is off; {looked} contracts are looked at again")
    return 0


async def show(settings: Settings) -> int:
    """Print the file and the switches that are on; 1 if the database cannot be read.

    Raises:
        Refused: this is not where a server keeps its data.
    """
    _at_home(settings)
    file = SwitchFile(settings.data_dir)
    note = file.read()
    told = f"stands ({note.author or '-'}: {note.reason or '-'})" if note else "does not stand"
    typer.echo(f"{file.path} {told}")
    query = select(kill_switches).where(kill_switches.c.lifted_at.is_(None))
    try:
        async with (
            _house(settings) as house,
            asyncio.timeout(PATIENCE_S),
            house.store.reading() as connection,
        ):
            rows = (await connection.execute(query.order_by(kill_switches.c.id))).all()
    except _Away as away:
        typer.echo(f"the database is away ({away})", err=True)
        return 1
    for row in rows:
        place = (
            row.scope if row.scope == "global" else f"{row.scope} {row.nas_id or row.contract_id}"
        )
        since = row.put_at.astimezone(settings.zone)
        typer.echo(f"{place}: since {since:%Y-%m-%d %H:%M:%S}, {row.author}: {row.reason}")
    if not rows:
        typer.echo("no kill switch is on in the database")
    return 0


def _at_home(settings: Settings) -> None:
    """A file in a directory where nobody looks stops nothing, whatever it is called."""
    if not settings.database_url.get_secret_value() and not embedded.exists(settings.data_dir):
        raise Refused(
            f"no server keeps its data in {settings.data_dir.absolute()}: run this where it runs,"
            " or set RELIGA_DATA_DIR"
        )


@asynccontextmanager
async def _house(settings: Settings) -> AsyncIterator[House]:
    """The house, of a database that is there already: none is started for this.

    Raises:
        _Away: there is none, or it does not answer.
    """
    named = settings.database_url.get_secret_value()
    if not named and not await asyncio.to_thread(embedded.running, settings.data_dir):
        raise _Away("the embedded server does not run")
    try:
        async with open_house(settings) as house:
            yield house
    except (DatabaseAway, SQLAlchemyError, TimeoutError) as error:
        raise _Away(" ".join(str(error).split())[:200] or "no answer") from error
