"""The channels that this house has, by name."""

from collections.abc import Mapping
from datetime import timedelta

from api.channels.channel import Channel
from api.channels.email import EmailChannel
from config.settings import Settings


def open_channels(settings: Settings) -> Mapping[str, Channel]:
    """Every channel that is set up, e-mail first.

    Raises:
        ValueError: a setting is not usable; the text names it.
    """
    fleet: dict[str, Channel] = {"email": EmailChannel(settings)}
    # WhatsApp reaches a business at its landline; SMS does not.
    for name, url, secret, landline in (
        ("sms", settings.sms_url, settings.sms_secret, False),
        ("whatsapp", settings.whatsapp_url, settings.whatsapp_secret, True),
    ):
        if url:
            # Half of a role's start is imports; who has neither does not wait for an HTTP client.
            from api.channels.http import HttpChannel

            fleet[name] = HttpChannel(name, url, secret.get_secret_value(), landline=landline)
    return fleet


def patience(settings: Settings, channel: str) -> timedelta:
    """How long a channel has, to be accepted and confirmed, before the next one is tried."""
    hours = {
        "email": settings.email_wait_h,
        "sms": settings.sms_wait_h,
        "whatsapp": settings.whatsapp_wait_h,
    }
    return timedelta(hours=hours[channel])
