"""One street, one clock: what each neighbour's router and letter box saw, by the policy text.

Every date is worked out by hand from the rules, and the comment beside a story says how. 2037 has
the calendar of 2026, Easter included, so the policy text's worked example falls on the same days:
1 September is a Tuesday, 7 September, 12 October and 2 November are Mondays and holidays, and 20
November is a Friday and a holiday.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.postman import Postman
from tests.support.product import own_folder
from tests.support.street import Deed, Story, Street, texts

_AFTER_THE_END = [
    {"level": "bureau", "anchor": "rescind", "after_days": 0},
    {"level": "agency", "anchor": "rescind", "after_days": 30},
]
POLICIES: dict[str, dict[str, Any]] = {
    "staged": {
        "steps": [
            {"level": "reduced", "anchor": "maturity", "after_days": 0},
            {"level": "walled", "anchor": "reduced", "after_days": 15},
            {"level": "rescind", "anchor": "walled", "after_days": 60},
            *_AFTER_THE_END,
        ]
    },
    "by-payer": {
        "law": "none",
        "notice_after_days": 1,
        "notice_days": 5,
        "scope": "payer",
        "steps": [
            {"level": "reduced", "anchor": "maturity", "after_days": 0},
            {"level": "walled", "anchor": "reduced", "after_days": 5},
        ],
    },
    "mail-then-sms": {"channels": ["email", "sms"]},
    "sms": {"channels": ["sms"]},
    "changing": {},
    "from-30.00": {"min_debt_cents": 3_000},
    "on-first-payment": {"restore_on": "first_payment"},
}
MOMENTS = {
    "moments": [
        {"name": "thanks", "after": "paid_in_time", "after_days": 1, "invoices": 1,
         "message": "thanks"},
        {"name": "back", "after": "restore", "after_days": 3, "message": "survey",
         "form": "satisfaction"},
    ]
}  # fmt: skip
SAO_BERNARDO, SANTO_ANDRE = "3548708", "3547809"
NOTICE = ("2037-09-04 00:00", "notice")
WALLED = ("2037-09-21 08:00", "walled")
# Most of them pay on one noon, with the kill switch on.
RESTORED = ("2037-10-19 12:00", "full")
EVERYTHING = frozenset({"notice", "reminder", "receipt", "thanks", "survey"})


def _settle(street: Street, story: Story) -> None:
    for number in range(len(story.invoices)):
        if owed := street.owed(story, number):
            street.pay_by_hand(story, owed, number)


SETTLED = ("2037-10-19 12:00", _settle)


def _post(path: str, **body: object) -> Deed:
    """What somebody asks of a contract."""
    return lambda street, story: street.post(f"/contracts/{story.contract_id}/{path}", body)


def _put(path: str, **body: object) -> Deed:
    return lambda street, story: street.put(path, body)


def _pix(number: int = 0) -> Deed:
    return lambda street, story: street.pay_by_pix(story, number)


def _lives_in(city_code: str) -> Deed:
    def deed(street: Street, story: Story) -> None:
        address = {"state": "SP", "city_code": city_code}
        street.put(f"/subscribers/{story.subscriber_id}/address", address)

    return deed


def _promise(until_on: str) -> Deed:
    return _post("promises", until_on=until_on)


def _promise_refused(until_on: str) -> Deed:
    def deed(street: Street, story: Story) -> None:
        problem = street.refused(f"/contracts/{story.contract_id}/promises", {"until_on": until_on})
        assert problem["detail"]

    return deed


def _dispute(street: Street, story: Story) -> None:
    street.post(f"/invoices/{story.invoices[0]}/disputes", {"reason": "não contratei"})


def _reject(street: Street, story: Story) -> None:
    (found,) = street.product.get("/disputes", contract_id=story.contract_id)["items"]
    body = {"outcome": "rejected", "answer": "consta do contrato, cláusula 4"}
    street.post(f"/disputes/{found['id']}/answer", body)


def _agree(street: Street, story: Story) -> None:
    body = {"instalments": 2, "due_day": 5, "valid_until": "2037-09-28"}
    offered = street.post(f"/contracts/{story.contract_id}/agreements", body)
    assert [part["due_on"] for part in offered["parts"]] == ["2037-10-05", "2037-11-05"]
    street.post(f"/agreements/{offered['id']}/accept", {})


def _agree_on_one_part(street: Street, story: Story) -> None:
    body = {"instalments": 1, "due_day": 5, "valid_until": "2037-09-28"}
    offered = street.post(f"/contracts/{story.contract_id}/agreements", body)
    signed = street.post(f"/agreements/{offered['id']}/accept", {})
    story.invoices.append(signed["parts"][0]["invoice_id"])


def _correct(what: str, **body: object) -> Deed:
    """A note, a voiding or a write-off of the story's first invoice."""
    return lambda street, story: street.post(f"/invoices/{story.invoices[0]}/{what}", body)


def _charge_back(street: Street, story: Story) -> None:
    (paid,) = street.product.get("/payments", invoice_id=story.invoices[0])["items"]
    street.post(f"/payments/{paid['id']}/chargebacks", {"reference": "cb-1", "reason": "fraude"})


def _end_pause(street: Street, story: Story) -> None:
    (found,) = street.product.get("/pauses", contract_id=story.contract_id)["items"]
    street.post(f"/pauses/{found['id']}/end", {})


def _outage(street: Street, story: Story) -> None:
    body = {
        "started_at": "2037-09-20T22:00:00-03:00",
        "reason": "fibra rompida",
        "contract_ids": [story.contract_id],
    }
    street.post("/outages", body)


def _outage_over(street: Street, story: Story) -> None:
    (found,) = street.product.get("/outages", running=True)["items"]
    street.post(f"/outages/{found['id']}/end", {})
    street.move(street.now)


def _hospital(street: Street, story: Story) -> None:
    street.put("/classes/hospital", {"never_block": True, "note": "hospitais"})
    member = {"customer_class": "hospital", "reason": "pronto-socorro 24 h"}
    street.put(f"/subscribers/{story.subscriber_id}/class", member)


def _automatic(street: Street, story: Story) -> None:
    street.put(f"/contracts/{story.contract_id}/automatic-payment", {"automatic": True})


def _by_hand(cents: int) -> Deed:
    return lambda street, story: street.pay_by_hand(story, cents)


def _switch_on(street: Street, story: Story) -> None:
    street.put("/kill-switches/global", {"reason": "pagamentos não chegaram"})


def _switch_off(street: Street, story: Story) -> None:
    answer = street.product.client.delete("/kill-switches/global", params={"reason": "chegaram"})
    assert answer.status_code == 200, answer.text
    street.move(street.now)


def _bounced(street: Street, story: Story) -> None:
    street.bounce(story)


def _sms_arrived(street: Street, story: Story) -> None:
    street.confirm_sms()


def neighbours() -> list[Story]:
    """Who lives on the street."""
    day = "2037-08-20 10:00"
    owing = Story(
        "two contracts of one payer, scope contract: the one that owes",
        due=["2037-09-01"],
        line=[WALLED, RESTORED],
        told=[NOTICE],
        deeds=[SETTLED],
    )
    both = Story(
        "two contracts of one payer, scope payer: the one that owes",
        # simple's days: overdue 09-03, notice 09-03, N + 5 = Tue 09-08; reduced + 5 = Sun 09-13.
        policy="by-payer",
        due=["2037-09-01"],
        line=[
            ("2037-09-08 08:00", "reduced"),
            ("2037-09-14 08:00", "walled"),
            ("2037-09-16 22:00", "full"),
        ],
        told=[("2037-09-03 00:00", "notice")],
        deeds=[("2037-09-16 22:00", _pix())],
    )
    return [
        Story(
            "the worked example, paid on Saturday night",
            addresses={"static_ipv4": "100.64.9.9", "delegated_ipv6": "2001:db8:9::/56"},
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-26 23:10", "full")],
            told=[
                ("2037-08-27 09:00", "reminder"),
                ("2037-08-31 09:00", "reminder"),
                ("2037-09-02 09:00", "reminder"),
                NOTICE,
                ("2037-09-26 23:10", "receipt"),
                ("2037-09-29 09:00", "survey"),
            ],
            judged=EVERYTHING,
            deeds=[("2037-09-26 23:10", _pix())],
        ),
        Story(
            "the worked example, never paid",
            addresses={"static_ipv4": "100.64.9.10"},
            due=["2037-09-01"],
            # 60 days on is Friday 11-20, a holiday; after the weekend it is Monday.
            line=[WALLED, ("2037-11-23 08:00", "blocked"), ("2037-11-24 00:00", "gone")],
            told=[NOTICE],
        ),
        Story(
            "with the optional stage, never paid",
            # Reduced Mon 09-21; + 15 = Tue 10-06; + 60 = Sat 12-05, so Mon 12-07.
            policy="staged",
            due=["2037-09-01"],
            line=[
                ("2037-09-21 08:00", "reduced"),
                ("2037-10-06 08:00", "walled"),
                ("2037-12-07 08:00", "blocked"),
                ("2037-12-08 00:00", "gone"),
            ],
            told=[NOTICE],
        ),
        Story(
            "the older of two invoices is paid while walled",
            # The second is due Thu 09-10: overdue Mon 09-14, noticed then, matures Tue 09-29. Its
            # own dates: reduced 09-29, walled 15 days later, Wed 10-14.
            policy="staged",
            due=["2037-09-01", "2037-09-10"],
            line=[
                ("2037-09-21 08:00", "reduced"),
                ("2037-10-06 08:00", "walled"),
                ("2037-10-07 12:00", "reduced"),
                ("2037-10-14 08:00", "walled"),
                RESTORED,
            ],
            told=[NOTICE, ("2037-09-14 00:00", "notice")],
            deeds=[("2037-10-07 12:00", _pix()), SETTLED],
        ),
        Story(
            "the face value paid while walled: as much principal is left as there are charges",
            # Allocation is interest, fine, principal. A cent of debt is debt by the usual minimum.
            due=["2037-09-01"],
            line=[WALLED, RESTORED],
            told=[NOTICE],
            deeds=[("2037-09-22 10:00", _by_hand(9_990)), SETTLED],
        ),
        Story(
            "the same where less than 30.00 moves nothing",
            policy="from-30.00",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[NOTICE],
            deeds=[("2037-09-22 10:00", _by_hand(9_990))],
        ),
        Story(
            "a part disputed while walled: five days for the rest, then its dates again",
            # Due anew on Sun 09-27, in time until Mon 09-28: overdue Wed 09-30.
            due=["2037-09-01"],
            line=[
                WALLED,
                ("2037-09-22 10:00", "full"),
                ("2037-09-30 08:00", "walled"),
                RESTORED,
            ],
            told=[NOTICE],
            deeds=[
                (
                    "2037-09-22 10:00",
                    _correct("disputes", amount_cents=4_000, reason="não contratei"),
                ),
                SETTLED,
            ],
        ),
        Story(
            "a credit note of all of it while walled",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[NOTICE],
            deeds=[
                ("2037-09-22 10:00", _correct("credit-notes", amount_cents=9_990, reason="erro"))
            ],
        ),
        Story(
            "billed wrongly: void while walled",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[NOTICE],
            deeds=[("2037-09-22 10:00", _correct("void", reason="em duplicidade"))],
        ),
        Story(
            "a payment charged back: a new due date, a new notice, the ladder from its beginning",
            # Charged back Thu 09-10: due Tue 09-15, noticed on due + 3, Fri 09-18; N + 15 = Sat
            # 10-03, so Mon 10-05.
            due=["2037-09-01"],
            line=[("2037-10-05 08:00", "walled"), RESTORED],
            told=[("2037-09-18 00:00", "notice")],
            deeds=[
                ("2037-08-31 15:00", _by_hand(9_990)),
                ("2037-09-10 10:00", _charge_back),
                SETTLED,
            ],
        ),
        Story(
            "an agreement that restores with its first payment",
            policy="on-first-payment",
            due=["2037-09-01"],
            line=[WALLED, ("2037-10-05 08:00", "full")],
            told=[NOTICE],
            deeds=[("2037-09-23 10:00", _agree_on_one_part), ("2037-10-05 08:00", _pix(1))],
        ),
        Story(
            "a promise kept over a weekend",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-23 10:00", "full")],
            told=[NOTICE],
            deeds=[
                ("2037-09-23 07:59", _promise_refused("2037-09-27")),
                ("2037-09-23 10:00", _promise("2037-09-26")),
                ("2037-09-26 23:10", _pix()),
            ],
        ),
        Story(
            "a promise until Thursday, broken: no cut until Monday",
            due=["2037-09-01"],
            line=[
                WALLED,
                ("2037-09-22 10:00", "full"),
                ("2037-09-28 08:00", "walled"),
                RESTORED,
            ],
            told=[NOTICE],
            deeds=[
                ("2037-09-22 10:00", _promise("2037-09-24")),
                ("2037-09-30 07:59", _promise_refused("2037-10-01")),
                SETTLED,
            ],
        ),
        Story(
            "a holiday of the customer's city on Tuesday 22: not on its eve either",
            due=["2037-09-01"],
            line=[("2037-09-23 08:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[
                (day, _lives_in(SAO_BERNARDO)),
                (
                    day,
                    _put(
                        f"/holidays?city={SAO_BERNARDO}&year=2037",
                        days=[{"on": "2037-09-22", "name": "Aniversário da cidade"}],
                    ),
                ),
                SETTLED,
            ],
        ),
        Story(
            "the neighbour city works on that day",
            due=["2037-09-01"],
            line=[WALLED, RESTORED],
            told=[NOTICE],
            deeds=[(day, _lives_in(SANTO_ANDRE)), SETTLED],
        ),
        Story(
            "a dispute rejected: the notice's days go on from where they stopped",
            # Stood still from 09-10 to 09-16, six days: matures Fri 09-25. The new due date, five
            # days on, is Mon 09-21, overdue Wed 09-23. So Mon 09-28.
            due=["2037-09-01"],
            line=[("2037-09-28 08:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[("2037-09-10 10:00", _dispute), ("2037-09-16 10:00", _reject), SETTLED],
        ),
        Story(
            "an exemption with an end: no reminder, no cut, then one step",
            due=["2037-09-01"],
            line=[("2037-10-07 12:00", "walled"), RESTORED],
            told=[NOTICE],
            judged=frozenset({"notice", "reminder"}),
            deeds=[
                (
                    day,
                    _post(
                        "holds",
                        kind="exemption",
                        expires_at="2037-10-07T12:00:00-03:00",
                        reason="cliente internado",
                    ),
                ),
                SETTLED,
            ],
        ),
        Story(
            "an agreement signed while walled, then broken",
            # First part due Mon 10-05, noticed on due + 3; broken on the sixth day, Sun 10-11; Mon
            # 12 is a holiday: Tue 10-13.
            due=["2037-09-01"],
            line=[
                WALLED,
                ("2037-09-23 10:00", "full"),
                ("2037-10-13 08:00", "walled"),
                RESTORED,
            ],
            told=[NOTICE, ("2037-10-08 00:00", "notice")],
            deeds=[("2037-09-23 10:00", _agree), SETTLED],
        ),
        owing,
        Story("two contracts of one payer, scope contract: the other", [], [], payer=owing),
        both,
        Story(
            "two contracts of one payer, scope payer: the other",
            policy="by-payer",
            due=[],
            line=both.line,
            payer=both,
        ),
        Story(
            "the letter comes back within a day: the SMS of the next morning counts",
            # Due Fri 09-11: overdue and noticed Mon 09-14, which would have matured on 09-29. The
            # SMS goes out and arrives on 09-15: Wed 09-30.
            policy="mail-then-sms",
            phone="11987654321",
            due=["2037-09-11"],
            line=[("2037-09-30 08:00", "walled"), RESTORED],
            told=[("2037-09-14 00:00", "notice"), ("2037-09-15 08:00", "sms notice")],
            judged=frozenset({"notice", "sms notice"}),
            deeds=[("2037-09-14 22:00", _bounced), ("2037-09-15 08:00", _sms_arrived), SETTLED],
        ),
        Story(
            "an SMS rings at nobody's bed: eight in the morning",
            policy="sms",
            phone="11987654322",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[("2037-09-04 08:00", "sms notice")],
            judged=frozenset({"notice", "sms notice"}),
            deeds=[("2037-09-04 08:00", _sms_arrived), ("2037-09-22 10:00", _pix())],
        ),
        Story(
            "automatic payment: not nagged, a receipt, thanks",
            due=["2037-09-01"],
            line=[],
            told=[("2037-09-01 12:00", "receipt"), ("2037-09-02 09:00", "thanks")],
            judged=EVERYTHING,
            deeds=[(day, _automatic), ("2037-09-01 12:00", _by_hand(9_990))],
        ),
        Story(
            "a new version from 09-21 gives thirty days: nobody is cut before them",
            # 09-04 + 30 = Sun 10-04, so Mon 10-05.
            policy="changing",
            due=["2037-09-01"],
            line=[("2037-10-05 08:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[
                (
                    "2037-09-10 10:00",
                    _put("/policies/changing", notice_days=30, valid_from="2037-09-21"),
                ),
                SETTLED,
            ],
        ),
        Story(
            "who was walled under the version before is so only as far as the new one goes",
            # Noticed Fri 08-28, walled Mon 09-14. By thirty days: Sun 09-27, so Mon 09-28.
            policy="changing",
            due=["2037-08-25"],
            line=[
                ("2037-09-14 08:00", "walled"),
                ("2037-09-21 00:00", "full"),
                ("2037-09-28 08:00", "walled"),
                RESTORED,
            ],
            told=[("2037-08-28 00:00", "notice")],
            deeds=[SETTLED],
        ),
        Story(
            "the kill switch for a day: cut at the first allowed instant after it",
            # Due Mon 09-28: overdue Wed 09-30, due + 3 = Thu 10-01, N + 15 = Fri 10-16, so Mon
            # 10-19 at 08:00.
            due=["2037-09-28"],
            line=[("2037-10-20 09:15", "walled")],
            told=[("2037-10-01 00:00", "notice")],
            deeds=[("2037-10-19 07:59", _switch_on), ("2037-10-20 09:15", _switch_off)],
        ),
        Story(
            "the law before 2025-09: reduced, blocked, ended",
            # Reduced Mon 09-21; + 30 = Wed 10-21; + 30 = Fri 11-20, a holiday, so Mon 11-23.
            policy="anatel-632",
            due=["2037-09-01"],
            line=[
                ("2037-09-21 08:00", "reduced"),
                ("2037-10-21 08:00", "blocked"),
                ("2037-11-24 00:00", "gone"),
            ],
            told=[NOTICE],
        ),
        Story(
            "a hospital: told, and neither reminded nor cut",
            due=["2037-09-01"],
            line=[],
            told=[NOTICE],
            judged=frozenset({"notice", "reminder"}),
            deeds=[(day, _hospital)],
        ),
        Story(
            "pays on the day before: two reminders, a receipt, thanks",
            due=["2037-09-01"],
            line=[],
            told=[
                ("2037-08-27 09:00", "reminder"),
                ("2037-08-31 09:00", "reminder"),
                ("2037-08-31 15:00", "receipt"),
                ("2037-09-01 09:00", "thanks"),
            ],
            judged=EVERYTHING,
            deeds=[("2037-08-31 15:00", _pix())],
        ),
        Story(
            "an outage at the customer's place: cut once it is over",
            due=["2037-09-01"],
            line=[("2037-09-22 10:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[
                ("2037-09-21 07:59", _outage),
                ("2037-09-22 10:00", _outage_over),
                SETTLED,
            ],
        ),
        Story(
            "the customer's own suspension: thirty-one days, then full by itself",
            due=[],
            line=[("2037-09-10 00:00", "blocked"), ("2037-10-11 00:00", "full")],
            judged=EVERYTHING,
            deeds=[
                (
                    day,
                    _post("pauses", from_on="2037-09-10", until_on="2037-10-10"),
                )
            ],
        ),
        Story(
            "the customer's own suspension, undone when the customer asks",
            due=[],
            line=[("2037-09-10 00:00", "blocked"), ("2037-09-22 10:00", "full")],
            judged=EVERYTHING,
            deeds=[
                (day, _post("pauses", from_on="2037-09-10", until_on="2037-10-10")),
                ("2037-09-22 10:00", _end_pause),
            ],
        ),
    ]


@pytest.fixture
def street() -> Iterator[Callable[[list[Story]], Street]]:
    with own_folder() as folder, Postman() as postman:
        opened: list[Street] = []

        def build(stories: list[Story]) -> Street:
            opened.append(Street(folder, postman, stories))
            opened[0].build(POLICIES)
            opened[0].put("/moments", MOMENTS)
            return opened[0]

        yield build
        for one in opened:
            one.close()


def test_every_line_and_every_letter_is_as_the_policy_text_has_it(
    street: Callable[[list[Story]], Street],
) -> None:
    stories = neighbours()
    made = street(stories)
    made.live(until="2037-12-08 12:00")
    assert made.verdict() == []
    came = {story.name: made.came[story.username] for story in stories}
    (notice,) = texts(came["the worked example, never paid"], "notice")
    for item in (
        "A falta de pagamento é o motivo",
        "Nada muda no serviço antes de 15 dias contados deste aviso",
        "a partir de 19/09/2037, o serviço poderá ser suspenso",
        "60 dias depois da suspensão (a partir de 18/11/2037), o contrato poderá ser rescindido",
        # 2 % and three days of 1 % a month.
        "vencida em 01/09/2037: R$ 99,90; com multa e juros até hoje, R$ 102,00",
        "cadastros de proteção ao crédito",
        "restabelecido em até 1 dia",
    ):
        assert item in notice
    first, second = texts(came["the older of two invoices is paid while walled"], "notice")
    assert "já avisamos" not in first
    assert "já avisamos em 04/09/2037: os prazos dela contam daquele aviso" in second
    reminders = texts(came["the worked example, paid on Saturday night"], "reminder")
    assert all("Pix copia e cola: 000201" in said for said in reminders)
