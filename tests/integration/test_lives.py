"""One street, one clock: what each neighbour's router and letter box saw, by the policy text."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.lives import MOMENTS, POLICIES
from tests.support.lives_of_debt import debtors
from tests.support.lives_of_rules import others
from tests.support.postman import Postman
from tests.support.product import own_folder
from tests.support.street import Story, Street, texts


@pytest.fixture
def street() -> Iterator[Callable[[list[Story]], Street]]:
    with own_folder() as folder, Postman() as postman:
        opened: list[Street] = []

        def build(stories: list[Story]) -> Street:
            opened.append(Street(folder, postman, stories))
            opened[0].build(POLICIES)
            opened[0].put("/moments", MOMENTS)
            return opened[0]

        yield build
        for one in opened:
            one.close()


def test_every_line_and_every_letter_is_as_the_policy_text_has_it(
    street: Callable[[list[Story]], Street],
) -> None:
    stories = [*debtors(), *others()]
    made = street(stories)
    made.live(until="2037-12-08 12:00")
    assert made.verdict() == []
    came = {story.name: made.came[story.username] for story in stories}
    (notice,) = texts(came["the worked example, never paid"], "notice")
    for item in (
        "A falta de pagamento é o motivo",
        "Nada muda no serviço antes de 15 dias contados deste aviso",
        "a partir de 19/09/2037, o serviço poderá ser suspenso",
        "60 dias depois da suspensão (a partir de 18/11/2037), o contrato poderá ser rescindido",
        # 2 % and three days of 1 % a month.
        "vencida em 01/09/2037: R$ 99,90; com multa e juros até hoje, R$ 102,00",
        "cadastros de proteção ao crédito",
        "restabelecido em até 1 dia",
    ):
        assert item in notice
    first, second = texts(came["the older of two invoices is paid while walled"], "notice")
    assert "já avisamos" not in first
    assert "já avisamos em 04/09/2037: os prazos dela contam daquele aviso" in second
    reminders = texts(came["the worked example, paid on Saturday night"], "reminder")
    assert all("Pix copia e cola: 000201" in said for said in reminders)
