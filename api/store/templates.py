"""Rows of templates: versions are added, never changed; the last one is in force."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.store.message_tables import templates
from api.store.outbox_tables import contact_preferences
from api.wording.builtin import builtin
from api.wording.template import Kind, Template
from api.wording.text import Language

_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")


async def template_of(connection: AsyncConnection, kind: Kind, language: Language) -> Template:
    """The text that is in force: the last one written, else the built-in one."""
    row = await row_of(connection, kind, language)
    if row is None:
        return builtin(kind, language)
    return Template(kind, language, row["subject"], row["body"], row["short"], row["version"])


async def row_of(
    connection: AsyncConnection, kind: Kind, language: Language, version: int | None = None
) -> Mapping[Any, Any] | None:
    """One version as it was written, with its author; None: the last."""
    query = select(templates).where(templates.c.kind == kind, templates.c.language == language)
    if version is not None:
        query = query.where(templates.c.version == version)
    query = query.order_by(templates.c.version.desc()).limit(1)
    return (await connection.execute(query)).mappings().one_or_none()


async def versions_of(connection: AsyncConnection, kind: Kind, language: Language) -> list[int]:
    """The versions that were written."""
    query = select(templates.c.version).where(
        templates.c.kind == kind, templates.c.language == language
    )
    return list(await connection.scalars(query.order_by(templates.c.version)))


async def lock(connection: AsyncConnection, kind: Kind, language: Language) -> None:
    """Until commit, nobody else writes a version of this template."""
    await connection.execute(_LOCK, {"name": f"template:{kind}:{language}"})


async def add(
    connection: AsyncConnection, template: Template, author: str, created_at: datetime
) -> None:
    """Write a version; what it replaces is kept."""
    await connection.execute(
        insert(templates).values(
            kind=template.kind,
            language=template.language,
            version=template.version,
            subject=template.subject,
            body=template.body,
            short=template.short,
            author=author,
            created_at=created_at,
        )
    )


async def language_of(connection: AsyncConnection, subscriber_id: int) -> Language:
    """The language that the person asked for; Portuguese until then."""
    query = select(contact_preferences.c.language).where(
        contact_preferences.c.subscriber_id == subscriber_id
    )
    return "en" if await connection.scalar(query) == "en" else "pt_BR"
