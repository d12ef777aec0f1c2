from pydantic import BaseModel

from api.http.idempotency import fingerprint
from api.http.models import NewLine, NewPayment


def _payment(**changed: object) -> BaseModel:
    whole = {"invoice_id": 1, "amount_cents": 100, "method": "pix", "reference": "a"}
    return NewPayment.model_validate(whole | changed)


def test_the_order_of_fields_does_not_change_what_was_asked() -> None:
    one = NewPayment.model_validate_json(
        '{"invoice_id":1, "amount_cents":100,"method":"pix","reference":"a"}'
    )
    assert fingerprint("/payments", one) == fingerprint("/payments", _payment())


def test_every_field_and_the_path_change_what_was_asked() -> None:
    asked = {
        fingerprint("/payments", _payment()),
        fingerprint("/payments", _payment(amount_cents=101)),
        fingerprint("/payments", _payment(reference="b")),
        fingerprint("/payments", _payment(paid_at="2026-09-01T10:00:00Z")),
        fingerprint("/other", _payment()),
        fingerprint("/payments", None),
    }
    assert len(asked) == 6


def test_text_that_looks_like_structure_is_still_text() -> None:
    plain = NewLine(description="a", amount_cents=1)
    tricky = NewLine(description='a","amount_cents":1', amount_cents=1)
    assert fingerprint("/x", plain) != fingerprint("/x", tricky)
