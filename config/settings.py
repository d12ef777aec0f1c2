"""Settings from the environment. The only file that reads it."""

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from billing.guard import Limits
from billing.place import Place, parse_place

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Every setting is optional for `religa run`; each is named `RELIGA_` plus the field."""

    model_config = SettingsConfigDict(env_prefix="RELIGA_", frozen=True, extra="ignore")

    data_dir: Path = Path("var")
    # Empty: the embedded PostgreSQL under the data directory.
    database_url: SecretStr = SecretStr("")
    # 32 bytes as 64 hex digits. Empty: read from, or at first start made into, the data directory.
    secret_key: SecretStr = SecretStr("")

    http_host: str = "127.0.0.1"
    http_port: Port = 8000

    radius_host: str = "0.0.0.0"  # noqa: S104 -- NASes are elsewhere; they are told apart by secret
    radius_auth_port: Port = 1812
    radius_acct_port: Port = 1813
    # 0: one per processor.
    radius_workers: Annotated[int, Field(ge=0, le=256)] = 0
    # Bound of each worker's accounting journal on disk.
    radius_journal_mib: Annotated[int, Field(ge=1)] = 2048
    # Seconds between interim updates that Access-Accept asks for.
    radius_interim_s: Annotated[int, Field(ge=60)] = 300
    # Seconds that each Reject beyond three a minute for one name waits longer than the one before,
    # up to five times as long; it slows down guessing. 0: all are sent at once.
    radius_reject_step_s: Annotated[float, Field(ge=0, le=10)] = 1.0
    # RFC 5176 section 6.3 leaves pacing to the client; routers answer slowly under load.
    coa_per_s: Annotated[int, Field(ge=1)] = 50

    admin_password: SecretStr = SecretStr("")
    # smtp://user:password@host:25, smtps://, or smtp+starttls://. Empty: .eml files.
    smtp_url: SecretStr = SecretStr("")
    mail_from: str = "cobranca@provedor.invalid"
    # Signs what a mail server tells of bounces. Empty: only loopback may tell.
    mail_webhook_secret: SecretStr = SecretStr("")
    # Adapters of SMS and WhatsApp, which take one signed POST a message and sign their receipts
    # with the same secret. Empty URL: there is no such channel.
    sms_url: str = ""
    sms_secret: SecretStr = SecretStr("")
    whatsapp_url: str = ""
    whatsapp_secret: SecretStr = SecretStr("")
    # Hours that a channel has, to be accepted and confirmed, before the next one is tried.
    email_wait_h: Annotated[float, Field(gt=0, le=240)] = 24
    sms_wait_h: Annotated[float, Field(gt=0, le=240)] = 4
    whatsapp_wait_h: Annotated[float, Field(gt=0, le=240)] = 4
    # When people may be contacted, in local time; outside it, and on Sundays, it is quiet.
    contact_from: time = time(8)
    contact_until: time = time(21)
    contact_sundays: bool = False
    # How many messages a person gets in a day and in seven days; notices are never held back.
    contact_per_day: Annotated[int, Field(ge=1)] = 3
    contact_per_week: Annotated[int, Field(ge=1)] = 10
    provider_name: str = "Provedor"
    # Where payers reach this server, as in https://central.provedor.example; links in messages
    # begin so. Empty: the host and port above.
    public_url: str = ""
    timezone: str = "America/Sao_Paulo"
    # State whose holidays bind cuts, as in "SP"; empty: national ones only.
    state: str = ""
    # IBGE's seven digits of the provider's city, for its holidays; empty: none.
    city_code: str = ""
    clock: Literal["system", "manual"] = "system"
    # Whether invoices are issued by themselves every day. Empty: they are, but in rehearsal not
    # where somebody has billed by hand first.
    billing: Literal["on", "off", ""] = ""

    # Pix, at a provider that speaks Bacen's API. Empty URL: Pix is off.
    pix_url: str = ""
    pix_key: str = ""
    pix_client_id: str = ""
    pix_client_secret: SecretStr = SecretStr("")
    # PEM file with certificate and key for mTLS towards the provider.
    pix_certificate: Path | None = None
    # Required as ?token= on the webhook. Empty: only loopback may post (a proxy checks mTLS there).
    pix_webhook_token: SecretStr = SecretStr("")

    # Guards. A sweep cuts at most this share of the running contracts, or the floor if that is
    # more; a rolling day likewise, by whatever cuts. More is refused until two people release it.
    cuts_sweep_percent: Annotated[int, Field(ge=0, le=100)] = 2
    cuts_sweep_floor: Annotated[int, Field(ge=0)] = 20
    cuts_day_percent: Annotated[int, Field(ge=0, le=100)] = 5
    cuts_day_floor: Annotated[int, Field(ge=0)] = 50
    # Nor more than so many times what the last eight sweeps of this weekday cut (their median).
    cuts_usual_times: Annotated[int, Field(ge=1)] = 3
    # Nor more of any one NAS than this share of its contracts, or the floor if that is more; the
    # sweep's own share and floor hold for each NAS too.
    cuts_nas_percent: Annotated[int, Field(ge=0, le=100)] = 10
    cuts_nas_floor: Annotated[int, Field(ge=0)] = 20
    # A plan's first so many cuts are made alone; should one of them pay or complain within the
    # minutes, the rest waits for two people. 0: all are made at once. Minutes empty: five, and none
    # in rehearsal, where time stands still.
    cuts_canary: Annotated[int, Field(ge=0)] = 10
    cuts_canary_minutes: Annotated[int, Field(ge=0)] | None = None
    # The pace at which a sweep's cuts are made.
    cuts_per_minute: Annotated[int, Field(ge=1, le=60_000)] = 300
    # Nobody is cut while a payment provider was not heard of for longer.
    payment_feed_minutes: Annotated[int, Field(ge=1)] = 60
    # Nor while the clock is further than this past the last instant at which it was found right.
    clock_ahead_hours: Annotated[int, Field(ge=1)] = 48
    # How long a refused plan can be released.
    release_minutes: Annotated[int, Field(ge=1)] = 60

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # Rehearsal of crashes: the named point at which the process kills itself, once.
    crash_at: str = ""

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"no such time zone: {value!r}; try America/Sao_Paulo") from error
        return value

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[A-Za-z0-9._:\[\]/~-]+", value):
            raise ValueError(
                "RELIGA_PUBLIC_URL is http:// or https:// and a host, as in"
                " https://central.provedor.example"
            )
        return value

    @field_validator("state")
    @classmethod
    def _state_exists(cls, value: str) -> str:
        return parse_place(value, None).state

    @field_validator("city_code")
    @classmethod
    def _city_is_of_the_state(cls, value: str, info: ValidationInfo) -> str:
        return parse_place(info.data.get("state"), value).city_code

    @model_validator(mode="after")
    def _people_can_be_contacted(self) -> Self:
        if self.contact_from >= self.contact_until:
            raise ValueError(
                "RELIGA_CONTACT_FROM must be earlier than RELIGA_CONTACT_UNTIL; for example 08:00"
                " and 21:00"
            )
        return self

    @property
    def place(self) -> Place:
        """Where the provider is: whose holidays bind the cuts of who has no address."""
        return parse_place(self.state, self.city_code)

    @property
    def public_base(self) -> str:
        """What links in messages begin with, without a slash at its end."""
        here = f"http://{self.http_host}:{self.http_port}"
        return (self.public_url or here).rstrip("/")

    @property
    def contact(self) -> str:
        """Where payers turn to: the public address, if there is one, and the mail's sender."""
        return f"{self.public_url} / {self.mail_from}" if self.public_url else self.mail_from

    @property
    def limits(self) -> Limits:
        """How much the guards let through."""
        return Limits(
            sweep_basis_points=self.cuts_sweep_percent * 100,
            sweep_floor=self.cuts_sweep_floor,
            day_basis_points=self.cuts_day_percent * 100,
            day_floor=self.cuts_day_floor,
            usual_times=self.cuts_usual_times,
            nas_basis_points=self.cuts_nas_percent * 100,
            nas_floor=self.cuts_nas_floor,
            feed_age_max=timedelta(minutes=self.payment_feed_minutes),
            clock_ahead_max=timedelta(hours=self.clock_ahead_hours),
        )

    @property
    def canary_wait(self) -> timedelta:
        """How long a plan waits after its first cuts."""
        if self.cuts_canary_minutes is not None:
            return timedelta(minutes=self.cuts_canary_minutes)
        return timedelta(0) if self.clock == "manual" else timedelta(minutes=5)

    @property
    def zone(self) -> ZoneInfo:
        """The provider's own zone, in which business dates are read."""
        return ZoneInfo(self.timezone)
