"""Neighbours who owe alike: the place, the policy, the channel or the hour makes the difference.

Every date is worked out by hand from the rules, and the comment beside a story says how.
"""

from tests.support import deeds
from tests.support.lives import (
    DAY,
    EVERYTHING,
    NOTICE,
    RESTORED,
    SANTO_ANDRE,
    SAO_BERNARDO,
    SETTLED,
    WALLED,
)
from tests.support.street import Story


def others() -> list[Story]:
    """Whose circumstances are the story."""
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
        deeds=[("2037-09-16 22:00", deeds.pix())],
    )
    return [
        Story(
            "a holiday of the customer's city on Tuesday 22: not on its eve either",
            due=["2037-09-01"],
            line=[("2037-09-23 08:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[
                (DAY, deeds.lives_in(SAO_BERNARDO)),
                (
                    DAY,
                    deeds.put(
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
            deeds=[(DAY, deeds.lives_in(SANTO_ANDRE)), SETTLED],
        ),
        Story(
            "an exemption with an end: no reminder, no cut, then one step",
            due=["2037-09-01"],
            line=[("2037-10-07 12:00", "walled"), RESTORED],
            told=[NOTICE],
            judged=frozenset({"notice", "reminder"}),
            deeds=[
                (
                    DAY,
                    deeds.post(
                        "holds",
                        kind="exemption",
                        expires_at="2037-10-07T12:00:00-03:00",
                        reason="cliente internado",
                    ),
                ),
                SETTLED,
            ],
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
            deeds=[
                ("2037-09-14 22:00", deeds.bounced),
                ("2037-09-15 08:00", deeds.sms_arrived),
                SETTLED,
            ],
        ),
        Story(
            "an SMS rings at nobody's bed: eight in the morning",
            policy="sms",
            phone="11987654322",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[("2037-09-04 08:00", "sms notice")],
            judged=frozenset({"notice", "sms notice"}),
            deeds=[("2037-09-04 08:00", deeds.sms_arrived), ("2037-09-22 10:00", deeds.pix())],
        ),
        Story(
            "automatic payment: not nagged, a receipt, thanks",
            due=["2037-09-01"],
            line=[],
            told=[("2037-09-01 12:00", "receipt"), ("2037-09-02 09:00", "thanks")],
            judged=EVERYTHING,
            deeds=[(DAY, deeds.automatic), ("2037-09-01 12:00", deeds.by_hand(9_990))],
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
                    deeds.put("/policies/changing", notice_days=30, valid_from="2037-09-21"),
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
            deeds=[("2037-10-19 07:59", deeds.switch_on), ("2037-10-20 09:15", deeds.switch_off)],
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
            deeds=[(DAY, deeds.hospital)],
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
            deeds=[("2037-08-31 15:00", deeds.pix())],
        ),
        Story(
            "an outage at the customer's place: cut once it is over",
            due=["2037-09-01"],
            line=[("2037-09-22 10:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[
                ("2037-09-21 07:59", deeds.outage),
                ("2037-09-22 10:00", deeds.outage_over),
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
                    DAY,
                    deeds.post("pauses", from_on="2037-09-10", until_on="2037-10-10"),
                )
            ],
        ),
        Story(
            "the customer's own suspension, undone when the customer asks",
            due=[],
            line=[("2037-09-10 00:00", "blocked"), ("2037-09-22 10:00", "full")],
            judged=EVERYTHING,
            deeds=[
                (DAY, deeds.post("pauses", from_on="2037-09-10", until_on="2037-10-10")),
                ("2037-09-22 10:00", deeds.end_pause),
            ],
        ),
    ]
