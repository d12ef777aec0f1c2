import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.cursor import ID_MAX, decode, encode
from api.http.problems import Problem


@given(st.sampled_from(["invoices", "audit"]), st.integers(0, ID_MAX))
def test_a_cursor_reads_back_as_the_id_it_was_made_of(kind: str, last_id: int) -> None:
    assert decode(kind, encode(kind, last_id)) == last_id


def test_a_cursor_says_nothing_that_a_url_must_escape() -> None:
    assert encode("subscribers", ID_MAX).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "17",
        "????",
        "é",
        encode("payments", 17),
        encode("invoices", ID_MAX + 1),
        encode("invoices", -1),
        encode("invoices", 17) + "!",
    ],
)
def test_another_lists_cursor_or_none_at_all_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(Problem) as refused:
        decode("invoices", cursor)
    assert refused.value.status == 422
    assert refused.value.errors[0].field == "query.after"


@given(st.text(max_size=40))
def test_any_text_is_a_cursor_or_a_problem_and_never_anything_else(text: str) -> None:
    with contextlib.suppress(Problem):
        assert decode("invoices", text) <= ID_MAX
