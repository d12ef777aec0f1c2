"""A slip costs nothing, guessing costs time, and names cannot fill the memory."""

from radius.guesses import Guesses


def test_three_slips_are_free_then_each_waits_longer_up_to_a_bound() -> None:
    guesses = Guesses(1.0)
    waits = [guesses.delay_s(b"ana", 10.0 + number) for number in range(10)]
    assert waits == [0, 0, 0, 1, 2, 3, 4, 5, 5, 5]
    assert guesses.delay_s(b"bia", 20.0) == 0


def test_a_minute_later_it_is_a_slip_again() -> None:
    guesses = Guesses(1.0)
    for _ in range(5):
        guesses.delay_s(b"ana", 10.0)
    assert guesses.delay_s(b"ana", 69.9) == 3
    assert guesses.delay_s(b"ana", 70.0) == 0


def test_many_names_push_out_the_oldest_and_no_more_is_kept() -> None:
    guesses = Guesses(1.0)
    for _ in range(5):
        guesses.delay_s(b"ana", 1.0)
    for number in range(20_000):
        guesses.delay_s(b"%d" % number, 2.0)
    assert len(guesses._wrong) == 16_384
    assert guesses.delay_s(b"ana", 3.0) == 0
