"""Hints before a reply: what promises too much or blames the customer is pointed out, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.desk.honesty import hints


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("We guarantee that it arrives tomorrow.", "en", [("promise", "guarantee")]),
        ("I can guaranteed never be wrong", "en", [("promise", "guaranteed"), ("absolute", "never")]),
        ("You should  have read the label.", "en", [("blame", "You should  have")]),
        ("That is our policy.", "en", [("pressure", "our policy")]),
        (
            "Vi garanterer det, og du burde have læst det.",
            "da",
            [("promise", "garanterer"), ("blame", "du burde have")],
        ),
        ("Den kommer altid til tiden.", "da-DK", [("absolute", "altid")]),
        ("I am sorry. I look into it and write again by four.", "en", []),
        ("Jeg undersøger det og skriver igen inden kl. 16.", "da", []),
        ("The guarantor neverland is not meant", "en", []),
        ("always", "da", []),
    ],
)
def test_words_that_may_mislead_or_hurt_are_found_in_their_language(
    text: str, language: str, found: list[tuple[str, str]]
) -> None:
    """Whole words, whatever their case, with any white space between; those of another language mean nothing."""
    assert [(hint.kind, hint.words) for hint in hints(text, language=language)] == found


def test_in_a_language_that_is_not_known_both_lists_are_looked_through() -> None:
    """Better a hint too many than a promise that nobody saw."""
    assert [hint.kind for hint in hints("guarantee altid", language="de")] == ["promise", "absolute"]


def test_the_advice_is_in_the_language_of_the_staff() -> None:
    """Whoever writes English to a customer may be a Dane."""
    (hint,) = hints("We guarantee it", language="en", staff_language="da")
    assert hint.advice.startswith("Det her er et løfte.")


@given(st.text(), st.sampled_from(["en", "da", "fr", ""]))
def test_hints_point_into_the_text_in_its_order(text: str, language: str) -> None:
    """Whatever is written, each hint quotes the text at its place, and none comes twice."""
    found = hints(text, language=language)
    assert [hint.start for hint in found] == sorted({hint.start for hint in found})
    assert all(text[hint.start :].startswith(hint.words) for hint in found)
