"""What the stories of the street have in common: policies, and dates of the worked example.

2037 has the calendar of 2026, Easter included, so the policy text's worked example falls on the
same days: 1 September is a Tuesday, 7 September, 12 October and 2 November are Mondays and
holidays, and 20 November is a Friday and a holiday.
"""

from typing import Any

from tests.support import deeds

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
# When everybody moves in.
DAY = "2037-08-20 10:00"
EVERYTHING = frozenset({"notice", "reminder", "receipt", "thanks", "survey"})
SETTLED = ("2037-10-19 12:00", deeds.settle)
