"""Settings from the environment. The only file that reads it."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from billing.guard import Limits

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
    provider_name: str = "Provedor"
    timezone: str = "America/Sao_Paulo"
    # State whose holidays bind cuts, as in "SP"; empty: national ones only.
    state: str = ""
    clock: Literal["system", "manual"] = "system"
    # Whether invoices are issued by themselves every day. Empty: not in rehearsal, else they are.
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

    @property
    def bills_by_itself(self) -> bool:
        """Whether the recurring run is one of the jobs of the schedule."""
        return self.billing == "on" or (not self.billing and self.clock == "system")

    @property
    def limits(self) -> Limits:
        """How much the guards let through."""
        return Limits(
            sweep_basis_points=self.cuts_sweep_percent * 100,
            sweep_floor=self.cuts_sweep_floor,
            day_basis_points=self.cuts_day_percent * 100,
            day_floor=self.cuts_day_floor,
            feed_age_max=timedelta(minutes=self.payment_feed_minutes),
            clock_ahead_max=timedelta(hours=self.clock_ahead_hours),
        )

    @property
    def zone(self) -> ZoneInfo:
        """The provider's own zone, in which business dates are read."""
        return ZoneInfo(self.timezone)
