"""What the routes answer. Instants carry the provider's offset; amounts are cents."""

from datetime import date, datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from api.http.fields import Level
from billing.payer import HoldKind

ItemT = TypeVar("ItemT")


class Page(BaseModel, Generic[ItemT]):
    """`next` is what to pass as `after` for the following page; null at the end."""

    items: list[ItemT]
    next: str | None = Field(examples=["aW52b2ljZXM6NTA"])


class PlanAnswer(BaseModel):
    id: int
    name: str
    down_bps: int
    up_bps: int
    reduced_down_bps: int
    reduced_up_bps: int
    price_cents: int
    ipv4_pool: str | None
    ipv6_pool: str | None
    simultaneous_use: int
    simultaneous_policy: str = Field(examples=["reject"])
    quota_octets: int | None
    quota_down_bps: int | None
    quota_up_bps: int | None
    withdrawn_on: date | None = Field(
        default=None, description="From this day it is sold no more; who has it keeps it"
    )


class NasAnswer(BaseModel):
    """Without the secret: it is written and never read back."""

    id: int
    name: str
    address: str
    dialect: str
    coa_port: int
    require_message_authenticator: str
    wraps_at_4_gib: bool
    input_is_upload: bool


class SubscriberAnswer(BaseModel):
    id: int
    name: str
    document: str
    email: str | None
    phone: str | None
    created_at: datetime


class SubscriberMade(SubscriberAnswer):
    """`contract_id` and `login_id` are null where the subscriber was made alone."""

    contract_id: int | None
    login_id: int | None


class ContractItem(BaseModel):
    """`debt_cents` is the unpaid principal of open invoices; null for who may not see debt."""

    id: int
    subscriber: str
    plan: str
    due_day: int
    username: str | None
    level: Level
    debt_cents: int | None


class ContractAnswer(ContractItem):
    subscriber_id: int
    plan_id: int
    policy: str
    created_at: datetime
    ended_on: date | None
    generation: int
    reason: str
    since: datetime
    review_on: datetime | None
    quota_reset_day: int | None = Field(description="null: the due day")
    mac: str | None
    circuit_id: str | None
    remote_id: str | None
    static_ipv4: str | None
    delegated_ipv6: str | None


class LineAnswer(BaseModel):
    """`conditional`: a discount for payment in time, no part of the invoice's `amount_cents`."""

    description: str
    amount_cents: int
    kind: str = Field(examples=["scm"])
    service: str
    from_on: date | None
    until_on: date | None = Field(description="the day after the last")
    conditional: bool


class InvoiceAnswer(BaseModel):
    """`amount_due_cents` is what settles it now: unpaid principal, fine and interest.

    While a conditional discount can still be earned, less the discount; `discount_cents` is what
    was earned. Lines of kind `credit` show customer credit that paid, and are no part of
    `amount_cents` either.
    """

    id: int
    contract_id: int
    bill_id: int | None
    due_on: date
    state: str = Field(examples=["open"])
    amount_cents: int
    paid_cents: int
    discount_cents: int
    amount_due_cents: int
    lines: list[LineAnswer]


class PaymentAnswer(BaseModel):
    """In `suspense` nobody was credited yet; `suspense_reason` says why."""

    id: int
    provider: str
    external_id: str
    invoice_id: int | None
    subscriber_id: int | None
    amount_cents: int
    method: str
    reference: str
    paid_at: datetime
    cleared_at: datetime
    credit_cents: int
    state: str = Field(examples=["posted"])
    suspense_reason: str | None
    correlation_id: str
    bill_id: int | None


class PaymentTaken(PaymentAnswer):
    """`detail` says what happened and, for suspense, where it is listed."""

    detail: str


class PixCharge(BaseModel):
    txid: str
    amount_cents: int
    copy_and_paste: str


class SessionAnswer(BaseModel):
    id: int
    acct_session_id: str
    username: str
    contract_id: int | None
    nas: str
    ipv4: str | None
    ipv6: str | None
    mac: str | None
    started_at: datetime
    updated_at: datetime
    stopped_at: datetime | None
    input_octets: int
    output_octets: int
    terminate_cause: str | None
    state: str = Field(examples=["observed"], description="pending, applied, observed or failed")
    stale: bool = Field(description="open, but not heard of for three interims and a minute")


class AccessSession(BaseModel):
    id: int
    nas: str
    ipv4: str | None
    state: str = Field(examples=["applied"], description="pending, applied, observed or failed")
    generation: int
    last_outcome: str | None
    stale: bool = Field(description="open, but not heard of for three interims and a minute")


class QuotaAnswer(BaseModel):
    """Traffic of both directions in the cycle that runs now. `spent_until` null: not used up."""

    octets: int
    used_octets: int
    cycle_ends_on: date
    spent_until: date | None


class AccessAnswer(BaseModel):
    """`quota` is null where the plan has none."""

    level: Level
    step: str | None = Field(
        examples=["walled"], description="the last stage of the ladder that was entered"
    )
    generation: int
    reason: str
    since: datetime
    review_on: datetime | None
    quota: QuotaAnswer | None
    sessions: list[AccessSession]


class TimelineFact(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    at: datetime
    kind: str = Field(examples=["access_decided"])
    data: dict[str, Any]
    sentence: str


class Timeline(BaseModel):
    items: list[TimelineFact]


class NoticeAnswer(BaseModel):
    id: int
    subscriber_id: int
    drawn_at: datetime
    amounts_cents: dict[str, int]
    state: str
    channel: str | None
    address: str | None
    message_id: str | None
    content_sha256: str | None
    proven_at: datetime | None
    failed_at: datetime | None
    wait_until: datetime | None
    attempts: int
    last_error: str | None


class ReceiptAnswer(BaseModel):
    """What a provider told of an attempt. `at` is when they say that it happened."""

    state: str
    at: datetime | None
    received_at: datetime
    reason: str | None


class AttemptAnswer(BaseModel):
    """One channel tried: the proof of what went out, when, where to, and what became of it."""

    id: int
    channel: str = Field(examples=["sms"])
    address: str
    external_id: str = Field(description="The id under which the other side was asked; ours")
    provider_id: str | None = Field(description="What the other side calls it")
    content_sha256: str
    state: str = Field(
        description="sending, accepted, confirmed, refused, failed, bounced or unconfirmed"
    )
    started_at: datetime
    deadline_at: datetime
    accepted_at: datetime | None
    confirmed_at: datetime | None
    ended_at: datetime | None
    tries: int
    reason: str | None
    receipts: list[ReceiptAnswer] = []


class NoticeDetails(NoticeAnswer):
    """A notice with every attempt to deliver it, in their order."""

    attempts_made: list[AttemptAnswer]


class MessageAnswer(BaseModel):
    """What a person is sent besides notices, without its text."""

    id: int
    subscriber_id: int
    contract_id: int | None
    kind: str = Field(examples=["reminder"])
    reference: str
    language: str = Field(examples=["pt-BR"])
    wanted_at: datetime
    useful_until: datetime | None
    state: str = Field(description="queued, proven or failed")
    channel: str | None = Field(description="The one by which it was delivered")
    address: str | None
    content_sha256: str | None
    proven_at: datetime | None
    failed_at: datetime | None
    wait_until: datetime | None
    attempts: int
    last_error: str | None


class MessageDetails(MessageAnswer):
    """A message with every attempt to deliver it, in their order."""

    attempts_made: list[AttemptAnswer]


class ActionAnswer(BaseModel):
    """One exchange with a NAS. Times are real time."""

    id: int
    session_id: int
    contract_id: int
    nas: str
    generation: int
    kind: str
    reason: str = Field(
        examples=["access"],
        description="access; surplus: one line too many; ended: of an ended contract",
    )
    outcome: str
    error_cause: int | None
    sends: int
    sent_wall: datetime
    answered_wall: datetime | None
    correlation_id: str


class AuditAnswer(BaseModel):
    seq: int
    version: int
    at: datetime
    actor: str
    action: str
    subject: str
    data: dict[str, Any]
    correlation_id: str
    previous: str
    hash: str


class PromiseAnswer(BaseModel):
    id: int
    contract_id: int
    made_at: datetime
    until_on: date
    author: str
    level: Level


class HoldAnswer(BaseModel):
    id: int
    contract_id: int
    placed_at: datetime
    expires_at: datetime
    kind: HoldKind
    author: str
    reason: str
    level: Level


class PolicyAnswer(BaseModel):
    name: str
    version: int
    document: dict[str, Any]
    author: str
    created_at: datetime
    valid_from: date | None = Field(description="the first day on which it may rule")
    in_force: bool = Field(description="whether it rules today")
    versions: list[int]


class PolicyItem(BaseModel):
    """One version of a dunning ladder."""

    name: str = Field(examples=["anatel-765"])
    version: int
    document: dict[str, Any]
    author: str = Field(examples=["shipped"])
    created_at: datetime
    valid_from: date | None
    in_force: bool


class StageItem(BaseModel):
    """A stage beyond the line, with the verdict that it was entered by."""

    id: int
    contract_id: int
    stage: str = Field(examples=["rescind"], description="rescind, bureau, agency")
    entered_at: datetime
    invoice_ids: list[int]
    amounts_cents: list[int] = Field(description="counted principal, in the order of invoice_ids")
    counted_cents: int
    notice_id: int | None
    policy: str
    policy_version: int
    left_at: datetime | None
    left_reason: str | None = Field(examples=["no_debt"])


class UsageItem(BaseModel):
    """Octets of one hour or day, which begins at `begins_at`."""

    begins_at: datetime
    down_octets: int
    up_octets: int


class UsagePeriod(BaseModel):
    """The contract's current cycle: from `starts_on` to before `ends_on`, as used until now."""

    starts_on: date
    ends_on: date
    down_octets: int
    up_octets: int


class UsageAnswer(Page[UsageItem]):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "begins_at": "2026-09-01T00:00:00-03:00",
                            "down_octets": 48318382080,
                            "up_octets": 2147483648,
                        }
                    ],
                    "next": None,
                    "period": {
                        "starts_on": "2026-08-10",
                        "ends_on": "2026-09-10",
                        "down_octets": 901943132160,
                        "up_octets": 40802189312,
                    },
                }
            ]
        }
    )

    period: UsagePeriod
