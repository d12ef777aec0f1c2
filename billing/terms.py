"""The terms of billing: what the provider's settings add to the rules of money.

Source: money rules 1, 8, 10, 12, 15 and 16, which name each setting and its default.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Terms:
    """Settings of the whole provider. Days are local dates.

    Attributes:
        issue_days_before: an invoice is issued so many days before its due date (rule 1).
        reduced_credit_percent: what a day of reduced speed gives back, 0 to 100 (rule 8).
        agreement_grace_days: an instalment unpaid for more days breaks its agreement (rule 10).
        agreement_instalments_max: into so many instalments an agreement may go.
        agreement_charges_percent: so much of the late charges may be forgiven.
        agreement_principal_percent: so much of the principal, with a second person's approval.
        chargeback_grace_days: from a chargeback to the reopened invoice's new due date (rule 12).
        reward_invoices: so many invoices in a row paid in time make a good payer (rule 15).
        reward_basis_points: what a good payer has off the price (rule 15); 0: nothing.
        reward_service: code of a product that a good payer has for nothing; empty: none.
        reward_speed_percent: what a good payer's full rates are raised by, 0 to 100 (rule 15).
        bound_factor: an invoice above so many monthly prices is parked (rule 16).
        bound_lines: and so is one with more lines for one service (rule 16).
        outage_minutes: a longer outage is credited (rule 14).
        hold_days: a hold or an exemption lasts at most so many days (ladder rule 10).
        due_days: the days that a change of the due day may choose from; six at least (Lei 9.791).
    """

    issue_days_before: int = 10
    reduced_credit_percent: int = 0
    agreement_grace_days: int = 5
    agreement_instalments_max: int = 24
    agreement_charges_percent: int = 100
    agreement_principal_percent: int = 50
    chargeback_grace_days: int = 5
    reward_invoices: int = 6
    reward_basis_points: int = 0
    reward_service: str = ""
    reward_speed_percent: int = 0
    bound_factor: int = 3
    bound_lines: int = 15
    outage_minutes: int = 30
    hold_days: int = 366
    due_days: tuple[int, ...] = (1, 5, 10, 15, 20, 25)


USUAL_TERMS: Final = Terms()
