"""SMS and WhatsApp by HTTP: one neutral call that any provider's adapter can take.

`POST` of `{"id", "to", "text", "kind", "template"}`, signed, with the id as `Idempotency-Key`. An
adapter that did the thing and did not answer in time is asked again under the same id with the
same bytes, so it can tell that it is the same message.
"""

import json

import httpx

from api.channels import signature
from api.channels.channel import BadAddress, Letter, Outcome, Outgoing, Postponed, Refused, Sent
from api.channels.phone import e164
from api.clock import wall
from api.notice_text import one_line

TIMEOUT_S = 10.0
ANSWER_BYTES_MAX = 64 * 1024
# Their load, or our set-up: nothing of it says that this person takes no message.
_OUR_TURN_AGAIN = frozenset({401, 403, 404, 405, 408, 425, 429})


class HttpChannel:
    """One channel behind an adapter. `transport` replaces the network in rehearsal."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        *,
        landline: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare the client; nothing is asked yet.

        Raises:
            ValueError: no http(s) URL, or no secret; the text names the setting.
        """
        setting = f"RELIGA_{name.upper()}"
        parsed = httpx.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"{setting}_URL is not an http(s) URL: {url!r}")
        if not secret:
            raise ValueError(f"{setting}_URL is set, but {setting}_SECRET is not; set both")
        self._name = name
        self._url = parsed
        self._secret = secret
        self._landline = landline
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_S,
            transport=transport,
            trust_env=False,  # a proxy of the environment must not see what people are told
            follow_redirects=False,
        )

    @property
    def name(self) -> str:
        return self._name

    def message_id(self, name: str, tag: str) -> str:
        return f"{name}-{self._name}.{tag}"

    def address(self, name: str, email: str | None, phone: str | None) -> str:
        if not phone:
            raise BadAddress("the subscriber has no phone number")
        return e164(phone, landline=self._landline)

    def write(self, letter: Letter) -> Outgoing:
        said = letter.wording.short or letter.wording.plain
        body: dict[str, str] = {
            "id": letter.id,
            "to": letter.address,
            "text": said,
            "kind": letter.kind,
            # By what WhatsApp's provider finds the template that it had approved.
            "template": letter.kind,
        }
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return Outgoing(letter.id, letter.address, content)

    async def send(self, outgoing: Outgoing) -> Outcome:
        timestamp_s = int(wall().timestamp())
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": outgoing.id,
            signature.TIMESTAMP: str(timestamp_s),
            signature.SIGNATURE: signature.sign(self._secret, timestamp_s, outgoing.content),
        }
        try:
            answer = await self._client.post(
                self._url, content=outgoing.content, headers=headers, timeout=TIMEOUT_S
            )
        except httpx.HTTPError as error:
            return Postponed(f"{type(error).__name__}: {one_line(str(error))}"[:300])
        return self._judged(answer)

    def _judged(self, answer: httpx.Response) -> Outcome:
        code = answer.status_code
        said = f"{code} {one_line(answer.text[:250])}".strip()
        if answer.is_success:
            provider_id = _provider_id(answer)
            if provider_id is None:
                return Postponed(f"answered {code} without the id that the provider gave it")
            return Sent(self._name, confirmed=False, provider_id=provider_id)
        if 400 <= code < 500 and code not in _OUR_TURN_AGAIN:
            return Refused(said)
        return Postponed(said)

    async def close(self) -> None:
        await self._client.aclose()


def _provider_id(answer: httpx.Response) -> str | None:
    if len(answer.content) > ANSWER_BYTES_MAX:
        return None
    try:
        told = answer.json()
    except ValueError:
        return None
    found = told.get("id") if isinstance(told, dict) else None
    text = str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else ""
    return text if text.isprintable() and 0 < len(text) <= 200 else None
