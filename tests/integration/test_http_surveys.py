"""Moments over HTTP, the survey's page without a login, and what answers come to."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from api.operators import Role
from api.store.customer_tables import subscribers
from api.store.message_tables import survey_answers, surveys
from tests.support.accounts import at
from tests.support.database import add_contract, add_plan
from tests.support.debtors import audited, issue, move_clock, rows
from tests.support.http_face import Face, open_face
from tests.support.messages import Rehearsal, rehearse

pytestmark = pytest.mark.anyio

ASKED: dict[str, Any] = {
    "moments": [
        {"name": "a_month", "after": "activation", "after_days": 30, "message": "survey",
         "form": "nps"},
        {"name": "in_time", "after": "paid_in_time", "invoices": 2, "message": "thanks"},
    ],
    "every_days": 60,
    "expires_days": 14,
}  # fmt: skip


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    async with rehearse(database_url, tmp_path, at("2026-08-03 10:00")) as scene:
        yield scene


@pytest.fixture
async def face(scene: Rehearsal) -> AsyncIterator[Face]:
    async with open_face(scene.house) as opened:
        yield opened


async def follow(face: Face, document: dict[str, Any]) -> httpx.AsyncClient:
    admin = await face.client()
    written = await admin.put("/api/v1/moments", json=document)
    assert written.status_code == 200, written.text
    return admin


async def asked_by(scene: Rehearsal, form: str = "nps", count: int = 1) -> list[str]:
    """The paths of the surveys of new customers, a month later; with the document in force."""
    plan_id = await add_plan(scene.house, "Fibra 300")
    for _ in range(count):
        await add_contract(scene.house, plan_id)
    moment = ASKED["moments"][0] | {"form": form}
    async with open_face(scene.house) as face:
        await follow(face, {"moments": [moment]})
    await scene.move("2026-09-02 10:00")
    return [paths(row["plain"]) for row in await scene.sent("survey")]


def paths(letter: str) -> str:
    (link,) = re.findall(r"http://127\.0\.0\.1:8000(/surveys/[A-Za-z0-9_-]{43})\n", letter)
    return str(link)


class Page(HTMLParser):
    """What a reader of the page finds: fields by name, labels, and what is said."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.attributes if name == tag]


async def test_a_survey_is_asked_answered_changed_and_counted(scene: Rehearsal, face: Face) -> None:
    (path,) = await asked_by(scene)
    anyone = await face.client(None)
    page = Page((await anyone.get(path)).text)
    assert page.of("html") == [{"lang": "pt-BR"}]
    assert [item["value"] for item in page.of("input")] == [str(n) for n in range(11)]
    assert {item["name"] for item in page.of("input")} == {"score"}
    assert "script" not in dict(page.attributes)
    assert [item["for"] for item in page.of("label") if item.get("for")] == ["comment-first"]
    assert len(page.of("legend")) == len(page.of("fieldset")) == 1
    assert "Aberto até 16/09/2026." in page.said
    assert "Assinante" not in page.said
    said = "lento\r\n<script>alert(1)</script>"
    answered = await anyone.post(path, data={"score": "3", "comment": said})
    assert answered.status_code == 200
    assert "Resposta recebida" in answered.text
    again = (await anyone.get(path)).text
    assert "<script" not in again
    assert "&lt;script&gt;" in again
    checked = [item for item in Page(again).of("input") if "checked" in item]
    assert [item["value"] for item in checked] == ["3"]
    admin = await face.client(Role.AUDITOR)
    (detractor,) = (await admin.get("/api/v1/surveys/detractors")).json()["items"]
    assert (detractor["score"], detractor["comment"]) == (3, "lento\n<script>alert(1)</script>")
    assert (detractor["plan"], detractor["moment"]) == ("Fibra 300", "a_month")
    # Changed, it is one answer still, and no detractor's.
    await anyone.post(path, data={"score": "9"})
    assert len(await rows(scene.house, survey_answers)) == 1
    assert (await admin.get("/api/v1/surveys/detractors")).json()["items"] == []
    results = (await admin.get("/api/v1/surveys/results")).json()
    score = {"answers": 1, "promoters": 1, "passives": 0, "detractors": 0, "nps": 100}
    assert results["asked"] == {"nps": 1, "satisfaction": 0}
    assert results["nps"] == score
    assert results["by_month"] == [score | {"month": "2026-09"}]
    assert [item["plan"] for item in results["by_plan"]] == ["Fibra 300"]
    assert [row["action"] for row in await audited(scene.house, "survey.changed")] == [
        "survey.changed"
    ]


async def test_it_closes_and_a_wrong_token_opens_nothing(scene: Rehearsal, face: Face) -> None:
    (path,) = await asked_by(scene)
    anyone = await face.client(None)
    (row,) = await rows(scene.house, surveys)
    assert row["expires_at"] == at("2026-09-17 00:00")
    assert path.removeprefix("/surveys/").encode() not in bytes(row["token_sha256"])
    await move_clock(scene.house, at("2026-09-16 23:59"))
    assert (await anyone.post(path, data={"score": "7"})).status_code == 200
    await move_clock(scene.house, at("2026-09-17 00:00"))
    closed = await anyone.get(path)
    assert (closed.status_code, "encerrado" in closed.text) == (410, True)
    assert (await anyone.post(path, data={"score": "10"})).status_code == 410
    assert [row["score"] for row in await rows(scene.house, survey_answers)] == [7]
    # Guesses are counted; whoever has the link is not held back by them.
    statuses = [(await anyone.get(f"/surveys/{n}?lang=en")).status_code for n in range(21)]
    assert statuses == [404] * 20 + [429]
    throttled = await anyone.post("/surveys/x", data={"score": "10"})
    assert throttled.headers["Retry-After"] == "900"
    await move_clock(scene.house, at("2026-09-17 00:00"))
    assert (await anyone.get(path)).status_code == 410


async def test_an_answer_is_changed_so_often_and_no_more(scene: Rehearsal, face: Face) -> None:
    (path,) = await asked_by(scene)
    anyone = await face.client(None)
    statuses = [
        (await anyone.post(path, data={"score": str(n % 11)})).status_code for n in range(21)
    ]
    assert statuses == [200] * 20 + [429]
    assert (await anyone.get(path)).status_code == 200


async def test_what_is_wrong_is_said_beside_the_question(scene: Rehearsal, face: Face) -> None:
    (path,) = await asked_by(scene, form="satisfaction")
    anyone = await face.client(None)
    given = {"speed": "5", "stability": "1", "price": "9", "support": "3", "comment": "<i>oi</i>"}
    refused = await anyone.post(f"{path}?lang=en", data=given)
    assert refused.status_code == 422
    page = Page(refused.text)
    assert page.of("html") == [{"lang": "en"}]
    assert page.of("div")[0]["role"] == "alert"
    described = [item["aria-describedby"] for item in page.of("fieldset")]
    assert described == ["scale", "scale", "scale", "scale price-wrong"]
    assert "&lt;i&gt;oi&lt;/i&gt;" in refused.text
    kept = [item["name"] for item in page.of("input") if "checked" in item]
    assert kept == ["speed", "stability", "support"]
    assert await rows(scene.house, survey_answers) == []
    assert (await anyone.post(path, data=given | {"price": "4"})).status_code == 200
    admin = await face.client()
    results = (await admin.get("/api/v1/surveys/results")).json()
    assert [item["mean_hundredths"] for item in results["satisfaction"]] == [500, 100, 300, 400]
    assert results["nps"]["nps"] is None
    large = await anyone.post(path, content=b"comment=" + b"a" * 20_000)
    assert large.status_code == 413
    assert (await anyone.post(path, content="score=é".encode())).status_code == 400
    headers = refused.headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_results_and_detractors_by_day_and_plan_and_page(
    scene: Rehearsal, face: Face
) -> None:
    links = await asked_by(scene, count=4)
    anyone, admin = await face.client(None), await face.client()
    for path, score in zip(links, ("10", "8", "6", "0"), strict=True):
        await anyone.post(path, data={"score": score, "comment": f"nota {score}"})
    results = (await admin.get("/api/v1/surveys/results?first_day=2026-09-02")).json()
    assert results["nps"] == {
        "answers": 4, "promoters": 1, "passives": 1, "detractors": 2, "nps": -25
    }  # fmt: skip
    none = (await admin.get("/api/v1/surveys/results?last_day=2026-09-01")).json()
    assert none["nps"]["nps"] is None
    first = (await admin.get("/api/v1/surveys/detractors?limit=1")).json()
    assert [item["score"] for item in first["items"]] == [6]
    rest = await admin.get(f"/api/v1/surveys/detractors?limit=1&after={first['next']}")
    assert [item["score"] for item in rest.json()["items"]] == [0]
    assert rest.json()["next"] is None
    plan_id = results["by_plan"][0]["plan_id"]
    other = (await admin.get(f"/api/v1/surveys/detractors?plan_id={plan_id + 1}")).json()
    assert other["items"] == []


async def test_moments_are_followed_from_the_first_version_on_once_and_not_too_often(
    scene: Rehearsal, face: Face
) -> None:
    plan_id = await add_plan(scene.house)
    old = await add_contract(scene.house, plan_id)
    await move_clock(scene.house, at("2026-08-10 10:00"))
    new = await add_contract(scene.house, plan_id)
    second = await add_contract(scene.house, plan_id, subscriber_id=new.subscriber_id)
    await follow(face, ASKED)
    await scene.move("2026-09-20 10:00")
    sent = await scene.sent("survey")
    # The person of two contracts is asked once; who was there before is not asked.
    assert [(row["reference"], row["wanted_at"]) for row in sent] == [
        (f"a_month:contract:{new.contract_id}", at("2026-09-09 09:00"))
    ]
    assert old.subscriber_id != new.subscriber_id
    assert {second.subscriber_id} == {row["subscriber_id"] for row in sent}


async def test_good_payers_are_thanked_for_every_second_invoice_in_time(
    scene: Rehearsal, face: Face
) -> None:
    added = await add_contract(scene.house, await add_plan(scene.house))
    await follow(face, ASKED | {"every_days": 1, "moments": [ASKED["moments"][1]]})
    days = ["2026-08-10", "2026-09-10", "2026-10-13", "2026-11-10"]
    for number, day in enumerate(days):
        due_on = at(f"{day} 00:00").date()
        invoice_id = await issue(scene.house, added.contract_id, due_on)
        await scene.move(f"{day} 10:00")
        await scene.pay(invoice_id, number=f"r-{number}")
        await scene.move(f"{day} 11:00")
    sent = await scene.sent("thanks")
    assert [row["wanted_at"] for row in sent] == [at("2026-09-10 10:00"), at("2026-11-10 10:00")]
    assert "Obrigado por pagar as suas faturas em dia." in sent[0]["plain"]


async def test_the_document_of_moments(face: Face) -> None:
    admin = await face.client()
    nobody = (await admin.get("/api/v1/moments")).json()
    assert (nobody["version"], nobody["moments"]) == (0, [])
    for _ in range(2):
        written = (await admin.put("/api/v1/moments", json=ASKED)).json()
        assert (written["version"], written["author"]) == (1, "admin-0")
    twice = await admin.put("/api/v1/moments", json=ASKED | {"moments": [ASKED["moments"][0]] * 2})
    assert twice.status_code == 422
    assert "names 'a_month' twice" in twice.json()["detail"]
    assert (await admin.put("/api/v1/moments", json={"moments": []})).json()["version"] == 2
    assert (await admin.get("/api/v1/moments?version=1")).json()["every_days"] == 60
    assert (await admin.get("/api/v1/moments?version=9")).status_code == 404


async def test_a_template_is_written_previewed_and_used(scene: Rehearsal, face: Face) -> None:
    admin = await face.client(name="ana")
    path = "/api/v1/templates/survey/pt_BR"
    standing = (await admin.get(path)).json()
    assert (standing["version"], standing["author"], standing["versions"]) == (0, "built-in", [])
    assert "link" in standing["fields"]
    own = {
        "subject": "Oi, {{name}}",
        "body": "{{occasion}}\n{{link}}\naté {{expires_on}}",
        "short": "{{link}}",
    }
    shown = (await admin.post(f"{path}/preview", json=own)).json()
    assert shown["subject"] == "Oi, Maria Exemplo da Silva & Filhos"
    assert "até 18/09/2026" in shown["plain"]
    assert shown["sms"] == 1
    for _ in range(2):
        written = (await admin.put(path, json=own)).json()
        assert (written["version"], written["author"], written["versions"]) == (1, "ana", [1])
    async with scene.house.uow("test", "seed") as uow:
        await uow.connection.execute(update(subscribers).values(name="{{link}}<i>"))
    (link,) = await asked_by(scene)
    (row,) = await scene.sent("survey")
    assert row["subject"].startswith("Oi, Assinante")
    assert f'<a href="http://127.0.0.1:8000{link}">' in row["html"]
    assert (await admin.get(f"{path}?version=0")).json()["author"] == "built-in"
    assert (await admin.get(path.replace("_", "-"))).json()["version"] == 1
    assert (await admin.get(f"{path}?version=2")).status_code == 404


@pytest.mark.parametrize("language", ["pt_BR", "en"])
@pytest.mark.parametrize("field", ["reason", "rules", "invoices", "total", "bureaus", "restoring"])
async def test_a_notice_without_one_of_its_items_is_refused(
    face: Face, language: str, field: str
) -> None:
    admin = await face.client()
    path = f"/api/v1/templates/notice/{language}"
    standing = (await admin.get(path)).json()
    texts = {part: standing[part] for part in ("subject", "body", "short")}
    texts["body"] = texts["body"].replace(f"{{{{{field}}}}}", "")
    for answer in (
        await admin.put(path, json=texts),
        await admin.post(f"{path}/preview", json=texts),
    ):
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:religa:template-refused"
        assert "of the notice" in answer.json()["detail"]
        assert f"put {{{{{field}}}}} where" in answer.json()["detail"]
    assert (await admin.get(path)).json()["version"] == 0


async def test_who_is_restored_or_had_a_dispute_answered_is_asked_once(
    scene: Rehearsal, face: Face
) -> None:
    """Full again after a cut, and a dispute that was closed: through the store, each told once."""
    moments = [
        {"name": "back", "after": "restore", "after_days": 1, "message": "survey", "form": "nps"},
        {"name": "heard", "after": "dispute_closed", "after_days": 1, "message": "survey",
         "form": "satisfaction"},
    ]  # fmt: skip
    client = await follow(face, {"moments": moments, "every_days": 1})
    plan_id = await add_plan(scene.house, "Fibra 300")
    cut, argued = [await add_contract(scene.house, plan_id) for _ in range(2)]
    owed = await issue(scene.house, cut.contract_id, at("2026-09-01 00:00").date())
    disputed = await issue(scene.house, argued.contract_id, at("2026-10-20 00:00").date())
    await scene.move("2026-09-21 10:00")
    assert (await client.get(f"/api/v1/contracts/{cut.contract_id}/access")).json()[
        "level"
    ] == "walled"
    body = {"reason": "não contratei isso"}
    opened = await client.post(f"/api/v1/invoices/{disputed}/disputes", json=body)
    assert opened.status_code == 201, opened.text
    await scene.pay(owed, cents=20_000)
    await scene.move("2026-09-22 10:00")
    (back,) = await scene.sent("survey")
    assert back["subscriber_id"] == cut.subscriber_id
    answer = {"outcome": "rejected", "answer": "está no contrato assinado"}
    path = f"/api/v1/disputes/{opened.json()['id']}/answer"
    answered = await client.post(path, json=answer)
    assert answered.status_code == 200, answered.text
    await scene.move("2026-09-25 10:00")
    _, heard = await scene.sent("survey")
    assert heard["subscriber_id"] == argued.subscriber_id
    kept = [(row["moment"], row["form"], row["contract_id"]) for row in await rows(
        scene.house, surveys
    )]  # fmt: skip
    assert kept == [("back", "nps", cut.contract_id), ("heard", "satisfaction", argued.contract_id)]
    await scene.move("2026-10-05 10:00")
    assert len(await scene.sent("survey")) == 2, "what happened is told of once"
