"""Settings from the environment. The only file that reads it."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

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
    provider_name: str = "Provedor"
    timezone: str = "America/Sao_Paulo"
    # State whose holidays bind cuts, as in "SP"; empty: national ones only.
    state: str = ""
    # IBGE's seven digits of the provider's city, for its holidays; empty: none.
    city_code: str = ""
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

    @field_validator("state")
    @classmethod
    def _state_exists(cls, value: str) -> str:
        return parse_place(value, None).state

    @field_validator("city_code")
    @classmethod
    def _city_is_of_the_state(cls, value: str, info: ValidationInfo) -> str:
        return parse_place(info.data.get("state"), value).city_code

    @property
    def place(self) -> Place:
        """Where the provider is: whose holidays bind the cuts of who has no address."""
        return parse_place(self.state, self.city_code)

    @property
    def bills_by_itself(self) -> bool:
        """Whether the recurring run is one of the jobs of the schedule."""
        return self.billing == "on" or (not self.billing and self.clock == "system")

    @property
    def zone(self) -> ZoneInfo:
        """The provider's own zone, in which business dates are read."""
        return ZoneInfo(self.timezone)
