"""Neighbours who owe: what they pay, promise, dispute or agree, and what becomes of their line.

Every date is worked out by hand from the rules, and the comment beside a story says how.
"""

from tests.support import deeds
from tests.support.lives import EVERYTHING, NOTICE, RESTORED, SETTLED, WALLED
from tests.support.street import Story


def debtors() -> list[Story]:
    """Whose own debt is the story."""
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
            deeds=[("2037-09-26 23:10", deeds.pix())],
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
            deeds=[("2037-10-07 12:00", deeds.pix()), SETTLED],
        ),
        Story(
            "the face value paid while walled: as much principal is left as there are charges",
            # Allocation is interest, fine, principal. A cent of debt is debt by the usual minimum.
            due=["2037-09-01"],
            line=[WALLED, RESTORED],
            told=[NOTICE],
            deeds=[("2037-09-22 10:00", deeds.by_hand(9_990)), SETTLED],
        ),
        Story(
            "the same where less than 30.00 moves nothing",
            policy="from-30.00",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[NOTICE],
            deeds=[("2037-09-22 10:00", deeds.by_hand(9_990))],
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
                    deeds.correct("disputes", amount_cents=4_000, reason="não contratei"),
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
                (
                    "2037-09-22 10:00",
                    deeds.correct("credit-notes", amount_cents=9_990, reason="erro"),
                )
            ],
        ),
        Story(
            "billed wrongly: void while walled",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-22 10:00", "full")],
            told=[NOTICE],
            deeds=[("2037-09-22 10:00", deeds.correct("void", reason="em duplicidade"))],
        ),
        Story(
            "a payment charged back: a new due date, a new notice, the ladder from its beginning",
            # Charged back Thu 09-10: due Tue 09-15, noticed on due + 3, Fri 09-18; N + 15 = Sat
            # 10-03, so Mon 10-05.
            due=["2037-09-01"],
            line=[("2037-10-05 08:00", "walled"), RESTORED],
            told=[("2037-09-18 00:00", "notice")],
            deeds=[
                ("2037-08-31 15:00", deeds.by_hand(9_990)),
                ("2037-09-10 10:00", deeds.charge_back),
                SETTLED,
            ],
        ),
        Story(
            "an agreement that restores with its first payment",
            policy="on-first-payment",
            due=["2037-09-01"],
            line=[WALLED, ("2037-10-05 08:00", "full")],
            told=[NOTICE],
            deeds=[
                ("2037-09-23 10:00", deeds.agree_on_one_part),
                ("2037-10-05 08:00", deeds.pix(1)),
            ],
        ),
        Story(
            "a promise kept over a weekend",
            due=["2037-09-01"],
            line=[WALLED, ("2037-09-23 10:00", "full")],
            told=[NOTICE],
            deeds=[
                ("2037-09-23 07:59", deeds.promise_refused("2037-09-27")),
                ("2037-09-23 10:00", deeds.promise("2037-09-26")),
                ("2037-09-26 23:10", deeds.pix()),
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
                ("2037-09-22 10:00", deeds.promise("2037-09-24")),
                ("2037-09-30 07:59", deeds.promise_refused("2037-10-01")),
                SETTLED,
            ],
        ),
        Story(
            "a dispute rejected: the notice's days go on from where they stopped",
            # Stood still from 09-10 to 09-16, six days: matures Fri 09-25. The new due date, five
            # days on, is Mon 09-21, overdue Wed 09-23. So Mon 09-28.
            due=["2037-09-01"],
            line=[("2037-09-28 08:00", "walled"), RESTORED],
            told=[NOTICE],
            deeds=[
                ("2037-09-10 10:00", deeds.dispute),
                ("2037-09-16 10:00", deeds.reject),
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
            deeds=[("2037-09-23 10:00", deeds.agree), SETTLED],
        ),
    ]
