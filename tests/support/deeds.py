"""What people do on the street: pay, promise, dispute, agree; and what befalls them."""

import json

from tests.support.adapter import bounce, receipt_headers
from tests.support.street import Deed, Story, Street


def settle(street: Street, story: Story) -> None:
    for number in range(len(story.invoices)):
        if owed := _owed(street, story, number):
            _pay(street, story, owed, number)


def post(path: str, **body: object) -> Deed:
    """What somebody asks of a contract."""
    return lambda street, story: street.post(f"/contracts/{story.contract_id}/{path}", body)


def put(path: str, **body: object) -> Deed:
    return lambda street, story: street.put(path, body)


def pix(number: int = 0) -> Deed:
    """What is asked for on that day, by Pix."""

    def deed(street: Street, story: Story) -> None:
        txid = street.post(f"/invoices/{story.invoices[number]}/pix", {})["txid"]
        street.psp.pay(str(txid))

    return deed


def lives_in(city_code: str) -> Deed:
    def deed(street: Street, story: Story) -> None:
        address = {"state": "SP", "city_code": city_code}
        street.put(f"/subscribers/{story.subscriber_id}/address", address)

    return deed


def promise(until_on: str) -> Deed:
    return post("promises", until_on=until_on)


def promise_refused(until_on: str) -> Deed:
    def deed(street: Street, story: Story) -> None:
        problem = street.refused(f"/contracts/{story.contract_id}/promises", {"until_on": until_on})
        assert problem["detail"]

    return deed


def dispute(street: Street, story: Story) -> None:
    street.post(f"/invoices/{story.invoices[0]}/disputes", {"reason": "não contratei"})


def reject(street: Street, story: Story) -> None:
    (found,) = street.product.get("/disputes", contract_id=story.contract_id)["items"]
    body = {"outcome": "rejected", "answer": "consta do contrato, cláusula 4"}
    street.post(f"/disputes/{found['id']}/answer", body)


def agree(street: Street, story: Story) -> None:
    body = {"instalments": 2, "due_day": 5, "valid_until": "2037-09-28"}
    offered = street.post(f"/contracts/{story.contract_id}/agreements", body)
    assert [part["due_on"] for part in offered["parts"]] == ["2037-10-05", "2037-11-05"]
    street.post(f"/agreements/{offered['id']}/accept", {})


def agree_on_one_part(street: Street, story: Story) -> None:
    body = {"instalments": 1, "due_day": 5, "valid_until": "2037-09-28"}
    offered = street.post(f"/contracts/{story.contract_id}/agreements", body)
    signed = street.post(f"/agreements/{offered['id']}/accept", {})
    story.invoices.append(signed["parts"][0]["invoice_id"])


def correct(what: str, **body: object) -> Deed:
    """A note, a voiding or a write-off of the story's first invoice."""
    return lambda street, story: street.post(f"/invoices/{story.invoices[0]}/{what}", body)


def charge_back(street: Street, story: Story) -> None:
    (paid,) = street.product.get("/payments", invoice_id=story.invoices[0])["items"]
    street.post(f"/payments/{paid['id']}/chargebacks", {"reference": "cb-1", "reason": "fraude"})


def end_pause(street: Street, story: Story) -> None:
    (found,) = street.product.get("/pauses", contract_id=story.contract_id)["items"]
    street.post(f"/pauses/{found['id']}/end", {})


def outage(street: Street, story: Story) -> None:
    body = {
        "started_at": "2037-09-20T22:00:00-03:00",
        "reason": "fibra rompida",
        "contract_ids": [story.contract_id],
    }
    street.post("/outages", body)


def outage_over(street: Street, story: Story) -> None:
    (found,) = street.product.get("/outages", running=True)["items"]
    street.post(f"/outages/{found['id']}/end", {})
    street.move(street.now)


def hospital(street: Street, story: Story) -> None:
    street.put("/classes/hospital", {"never_block": True, "note": "hospitais"})
    member = {"customer_class": "hospital", "reason": "pronto-socorro 24 h"}
    street.put(f"/subscribers/{story.subscriber_id}/class", member)


def automatic(street: Street, story: Story) -> None:
    street.put(f"/contracts/{story.contract_id}/automatic-payment", {"automatic": True})


def by_hand(cents: int) -> Deed:
    return lambda street, story: _pay(street, story, cents)


def switch_on(street: Street, story: Story) -> None:
    street.put("/kill-switches/global", {"reason": "pagamentos não chegaram"})


def switch_off(street: Street, story: Story) -> None:
    answer = street.product.client.delete("/kill-switches/global", params={"reason": "chegaram"})
    assert answer.status_code == 200, answer.text
    street.move(street.now)


def bounced(street: Street, story: Story) -> None:
    """The last letter comes back: the mail server hands in its report."""
    message_id = street.came[story.username][-1].message_id.strip("<>")
    report = {"Content-Type": "message/rfc822"}
    told = street.knock("email", bounce(message_id).decode(), report)
    assert told["taken"] == 1, told


def sms_arrived(street: Street, story: Story) -> None:
    """The provider tells that every SMS was delivered."""
    ids = [{"id": ours, "state": "delivered"} for ours in street.postman.sms.delivered]
    body = json.dumps({"receipts": ids})
    street.knock("sms", body, receipt_headers(body.encode()))


def _owed(street: Street, story: Story, number: int) -> int:
    shown = street.product.get(f"/invoices/{story.invoices[number]}")
    return int(shown["amount_due_cents"])


def _pay(street: Street, story: Story, cents: int, number: int = 0) -> None:
    body = {
        "invoice_id": story.invoices[number],
        "amount_cents": cents,
        "method": "cash",
        "reference": f"receipt-{story.index}-{number}-{street.now.isoformat()}",
    }
    street.post("/payments", body)
