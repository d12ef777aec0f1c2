"""What the notice says: the five items, dates, amounts; what a subscriber typed stays text."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, date, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import mail
from api.channels.channel import BadAddress
from api.notice_text import (
    Deadline,
    Language,
    Letter,
    OwedInvoice,
    ToldBefore,
    Wording,
    deadlines,
    one_line,
    render,
    rescission_days,
    soonest,
)
from billing.access import Level
from billing.policy import parse
from config.policies import shipped

STEPS = [
    {"level": "reduced", "anchor": "maturity", "after_days": 0},
    {"level": "walled", "anchor": "reduced", "after_days": 15},
]
LETTER = Letter(
    notice_id=7,
    provider="Provedor Exemplo",
    name="Ana Assinante",
    document="***.456.789-**",
    written_on=date(2026, 9, 4),
    notice_days=15,
    deadlines=(Deadline(Level.WALLED, date(2026, 9, 19)),),
    invoices=(
        OwedInvoice(12, 3, date(2026, 9, 1), 9990, 10203, "00020101-pix"),
        OwedInvoice(15, 3, date(2026, 10, 1), 123456, 123456, None),
    ),
)


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("part", ["plain", "html"])
def test_the_five_legal_items_are_there(part: str) -> None:
    said = squeezed(getattr(render(LETTER), part))
    # 1 reasons, 2 rules and limits, 3 amount and month, 4 bureaus after rescission, 5 restoring
    for item in [
        "A falta de pagamento é o motivo",
        "Nada muda no serviço antes de 15 dias contados deste aviso",
        "a partir de 19/09/2026, o serviço poderá ser suspenso",
        "60 dias depois da suspensão (a partir de 18/11/2026), o contrato poderá ser rescindido",
        "referência 09/2026",
        "vencida em 01/09/2026",
        "R$ 99,90",
        "R$ 102,03",
        "R$ 1.234,56",
        "Total para pagamento hoje:",
        "R$ 1.336,59",
        "00020101-pix",
        "Depois da rescisão do contrato, o débito poderá ser registrado em cadastros de proteção",
        "restabelecido em até 1 dia contado do conhecimento do pagamento",
        "***.456.789-**",
    ]:
        assert item in said, item


def test_the_english_text_says_the_same() -> None:
    said = squeezed(render(LETTER, "en").plain)
    for item in [
        "from 2026-09-19, the service may be suspended",
        "(from 2026-11-18), the contract may be rescinded",
        "month 2026-09, due on 2026-09-01: R$ 99.90; with fine and interest up to today, R$ 102.03",
        "To pay today: R$ 1,336.59",
        "restored within 1 day",
    ]:
        assert item in said, item


def test_what_an_older_notice_told_of_keeps_its_own_days() -> None:
    """A letter that says "nothing before 15 days" of a line that is cut next week is untrue."""
    told = ToldBefore(date(2026, 8, 25), date(2026, 9, 9), (12,))
    letter = replace(LETTER, told_before=(told,))
    wording = render(letter)
    plain = squeezed(wording.plain)
    assert "Nada muda" not in plain
    assert "Pelas faturas avisadas agora, nada muda no serviço antes de 15 dias" in plain
    assert "- da fatura 12 já avisamos em 25/08/2026" in plain
    assert "as medidas podem valer desde 09/09/2026" in plain
    assert "a partir de 19/09/2026, o serviço poderá ser suspenso" in plain
    assert "a partir de 09/09/2026 (15 dias de cada aviso)" in wording.short
    english = render(letter, "en")
    assert "of invoice 12 we told on 2026-08-25" in squeezed(english.plain)
    assert "from 2026-09-09 (15 days from each notice)" in english.short


@pytest.mark.parametrize(
    ("language", "said", "never"),
    [
        (
            "pt_BR",
            [
                "A falta de pagamento é o motivo",
                "O contrato 3 terminou, e 24/11/2026 foi o primeiro dia sem serviço: não há serviço"
                " a suspender nem contrato a rescindir",
                "referência 09/2026",
                "Total para pagamento hoje: R$ 1.336,59",
                "o débito poderá ser registrado em cadastros de proteção ao crédito, depois de"
                " comunicação própria",
                "O pagamento não restabelece um contrato encerrado",
                "retirado em até cinco dias úteis",
            ],
            ["poderá ser suspenso", "poderá ser rescindido", "é restabelecido em até 1 dia"],
        ),
        (
            "en",
            [
                "Contract 3 has ended, and 2026-11-24 was the first day without service",
                "may be entered in credit-protection registers, after a letter of its own",
                "Payment does not restore an ended contract",
            ],
            ["may be suspended", "may be rescinded", "is restored within"],
        ),
    ],
)
def test_no_line_that_is_gone_is_threatened(
    language: Language, said: list[str], never: list[str]
) -> None:
    ended = tuple(replace(item, ended_on=date(2026, 11, 24)) for item in LETTER.invoices)
    for letter, mixed in (
        (replace(LETTER, invoices=ended), False),
        (replace(LETTER, invoices=(ended[0], replace(LETTER.invoices[1], contract_id=4))), True),
    ):
        wording = render(letter, language)
        plain = squeezed(wording.plain)
        if mixed:
            # The running contract keeps its five items, and the ended one is told of beside them.
            assert said[1 if language == "pt_BR" else 0] in plain
            assert all(item in plain for item in never)
            told = "Contrato 3: ja encerrado" if language == "pt_BR" else "Contract 3: ended"
            assert told in wording.short
        else:
            assert all(item in plain for item in said)
            assert not any(item in plain for item in never)
            assert not any(item in wording.short for item in never)
            assert "R$ 1" in wording.short


def test_steps_are_dated_one_from_the_other() -> None:
    staged = parse("p", 1, {"steps": STEPS})
    assert deadlines(staged, date(2026, 9, 4)) == (
        Deadline(Level.REDUCED, date(2026, 9, 19)),
        Deadline(Level.WALLED, date(2026, 10, 4)),
    )


def test_rescission_counts_from_the_suspension_and_not_from_the_slowing() -> None:
    staged = parse("p", 1, {"steps": STEPS})
    letter = replace(LETTER, deadlines=deadlines(staged, date(2026, 9, 4)))
    assert letter.rescission_on == date(2026, 12, 3)
    slowed_only = parse("p", 1, {"steps": STEPS[:1]})
    assert replace(LETTER, deadlines=deadlines(slowed_only, date(2026, 9, 4))).rescission_on is None


@pytest.mark.parametrize(
    ("name", "document", "days"),
    [
        ("anatel-765", {}, 60),
        ("anatel-632", {"law": "anatel-632"}, 30),
        ("gentle", shipped()["gentle"], 90),
        # What says nothing of the end may end as the law lets it.
        ("walled", {"steps": [{"level": "walled"}]}, 60),
        ("simple", shipped()["simple"], 60),
    ],
)
def test_the_days_to_rescission_are_the_policys(
    name: str, document: dict[str, object], days: int
) -> None:
    policy = parse(name, 1, document)
    assert rescission_days(policy) == days
    letter = replace(
        LETTER,
        deadlines=deadlines(policy, date(2026, 9, 4)),
        rescission_after_days=rescission_days(policy),
    )
    assert f"{days} dias depois da suspensão" in squeezed(render(letter).plain)
    assert all(deadline.level is not Level.FULL for deadline in letter.deadlines)


def test_of_several_policies_the_notice_tells_the_one_that_cuts_first() -> None:
    slow, quick = parse("slow", 1, {"notice_days": 20}), parse("quick", 1, {})
    assert soonest([slow, quick], date(2026, 9, 4)) is quick


@pytest.mark.parametrize("language", ["pt_BR", "en"])
def test_markup_in_a_name_is_text(language: Language) -> None:
    said = render(replace(LETTER, name="<img src=x onerror=alert(1)> & {{ 7*7 }}"), language)
    assert "<img" not in said.html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp; {{ 7*7 }}" in said.html


def test_a_name_cannot_add_lines() -> None:
    said = render(replace(LETTER, name="Ana\n\n3. Valor\nR$ 0,00"))
    assert said.plain.splitlines()[0] == "Ana 3. Valor R$ 0,00 (CPF/CNPJ ***.456.789-**),"


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


@given(name=st.text(max_size=60), subject=st.text(max_size=60))
def test_no_text_becomes_a_header(name: str, subject: str) -> None:
    content = mail.compose(
        sender=mail.address("Provedor", "cobranca@provedor.invalid"),
        to=mail.address(name + "\r\nBcc: outro@example.invalid", "ana@example.invalid"),
        wording=Wording(one_line(subject), "texto", "<p>texto</p>"),
        message_id="notice-7.ab@provedor.invalid",
        at=datetime(2026, 9, 4, 12, tzinfo=UTC),
    )
    message = parsed(content)
    assert message["Bcc"] is None
    assert [a.addr_spec for a in message["To"].addresses] == ["ana@example.invalid"]
    assert message["Message-ID"] == "<notice-7.ab@provedor.invalid>"


@pytest.mark.parametrize(
    "mailbox",
    [
        "",
        "ana",
        "ana@",
        "@example.invalid",
        "ana@example.invalid, outro@example.invalid",
        "ana@example.invalid\r\nBcc: outro@example.invalid",
        "ana maria@example.invalid",
        "aná@example.invalid",
        "<ana@example.invalid>",
    ],
)
def test_what_is_no_address_is_refused(mailbox: str) -> None:
    with pytest.raises(BadAddress):
        mail.address("Ana", mailbox)


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("smtp://127.0.0.1", mail.Route("smtp", "127.0.0.1", 25, None, None)),
        ("smtps://mail.example", mail.Route("smtps", "mail.example", 465, None, None)),
        (
            "smtp+starttls://u%40x:p%2Fw@mail.example:2525",
            mail.Route("smtp+starttls", "mail.example", 2525, "u@x", "p/w"),
        ),
    ],
)
def test_smtp_urls(url: str, route: mail.Route) -> None:
    assert mail.parse_route(url) == route


@pytest.mark.parametrize("url", ["http://u:hunter2@mail.example", "smtp://", "mail.example:25"])
def test_a_wrong_smtp_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="RELIGA_SMTP_URL") as told:
        mail.parse_route(url)
    assert "hunter2" not in str(told.value)
