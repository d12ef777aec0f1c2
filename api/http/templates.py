"""What people are sent, as templates: a new version each time, the old ones kept."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, BeforeValidator, Field

from api.http.models import Body, example
from api.http.problems import Problem, responses
from api.http.security import Caller, require
from api.operators import Permission
from api.store import templates as rows
from api.wording import examples
from api.wording.builtin import builtin
from api.wording.template import (
    BODY_MAX,
    FIELDS,
    SHORT_MAX,
    SUBJECT_MAX,
    BadTemplate,
    Kind,
    Template,
    check,
    fill,
)
from api.wording.text import Language, sms_parts

router = APIRouter(tags=["messages"], responses=responses(401, 403, 422, 503))

# Written with a hyphen too, as letters and pages have it.
Written = Annotated[Language, BeforeValidator(lambda text: str(text).replace("-", "_"))]
Writing = Annotated[Caller, Depends(require(Permission.WRITE_TEMPLATES))]
# Longer ones are refused by the check, which says what is too long.
_SLACK = 2


class TemplateBody(Body):
    """Three texts with `{{fields}}`: the subject, the letter, and the short one for SMS."""

    model_config = example(
        {
            "subject": "{{provider}}: obrigado",
            "body": "{{name}},\n\n{{occasion}}\n\n{{provider}}",
            "short": "{{provider}}: {{occasion}}",
        }
    )

    subject: str = Field(max_length=SUBJECT_MAX * _SLACK)
    body: str = Field(max_length=BODY_MAX * _SLACK)
    short: str = Field(max_length=SHORT_MAX * _SLACK)


class TemplateAnswer(BaseModel):
    """One version. Version 0 is built in."""

    kind: Kind
    language: Language
    version: int
    subject: str
    body: str
    short: str
    author: str
    created_at: datetime | None
    versions: list[int] = Field(description="Those that were written; 0 is always there")
    fields: dict[str, str] = Field(description="What may stand in it, and what each is")


class PreviewAnswer(BaseModel):
    """What a made-up person would read."""

    subject: str
    plain: str
    html: str
    short: str
    sms: int = Field(description="How many SMS the short text takes")


@router.get(
    "/templates/{kind}/{language}",
    summary="Read a template, its latest version or another",
    responses=responses(404),
)
async def read_template(
    kind: Kind,
    language: Written,
    caller: Annotated[Caller, Depends(require(Permission.READ_TEMPLATES))],
    version: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> TemplateAnswer:
    async with caller.uow() as uow:
        known = await rows.versions_of(uow.connection, kind, language)
        row = await rows.row_of(uow.connection, kind, language, version)
    fields = dict(FIELDS[kind])
    if row is not None:
        created_at = row["created_at"].astimezone(caller.house.settings.zone)
        return TemplateAnswer(**{**row, "created_at": created_at}, fields=fields, versions=known)
    if version:
        raise Problem(
            404,
            "not-found",
            "No such template",
            f"There is no version {version} of {kind} in {language}; its versions are"
            f" {[0, *known]}",
        )
    standing = builtin(kind, language)
    return TemplateAnswer(
        kind=kind,
        language=language,
        version=0,
        subject=standing.subject,
        body=standing.body,
        short=standing.short,
        author="built-in",
        created_at=None,
        fields=fields,
        versions=known,
    )


@router.put(
    "/templates/{kind}/{language}",
    summary="Write a new version of a template",
    description="The texts that are the latest already make no new version. A notice without one"
    " of its five items is refused, and so is markup.",
)
async def write_template(
    kind: Kind, language: Written, body: TemplateBody, caller: Writing
) -> TemplateAnswer:
    async with caller.uow() as uow:
        await rows.lock(uow.connection, kind, language)
        standing = await rows.template_of(uow.connection, kind, language)
        written = _checked(caller, kind, language, body, standing.version + 1)
        if body.model_dump() != _texts(standing):
            await rows.add(uow.connection, written, caller.identity.name, uow.clock.now())
            told = body.model_dump() | {"version": written.version}
            await uow.audit("template.written", f"template:{kind}:{language}", told)
    return await read_template(kind, language, caller)


@router.post(
    "/templates/{kind}/{language}/preview",
    summary="See what a made-up person would read",
    description="Nothing is kept, and nobody's data is shown.",
)
async def preview(
    kind: Kind, language: Written, body: TemplateBody, caller: Writing
) -> PreviewAnswer:
    template = _checked(caller, kind, language, body, 0)
    made = fill(template, _example(caller, kind, language))
    return PreviewAnswer(
        subject=made.subject,
        plain=made.plain,
        html=made.html,
        short=made.short,
        sms=sms_parts(made.short),
    )


def _checked(
    caller: Caller, kind: Kind, language: Language, body: TemplateBody, version: int
) -> Template:
    template = Template(kind, language, body.subject, body.body, body.short, version)
    try:
        check(template, _example(caller, kind, language))
    except BadTemplate as error:
        raise Problem(422, "template-refused", "The template is refused", str(error)) from error
    return template


def _example(caller: Caller, kind: Kind, language: Language) -> dict[str, str]:
    return examples.example(kind, language, caller.house.settings.provider_name)


def _texts(template: Template) -> dict[str, str]:
    return {"subject": template.subject, "body": template.body, "short": template.short}
