"""Message texts: language, values, dates, limits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.flows.render import TEXT_MAX_CHARS, VARIABLES, faults, full_length, name_of_language, pick_language, render

AT = datetime(2026, 11, 23, 9, 5, tzinfo=UTC)
CONTEXT = {
    "customer": {"first_name": "Freja"},
    "case": {"due_at": AT, "said": "{{ 7 * 7 }} <b>"},
    "items": [{"name": "Barolo"}, {"name": "Chianti"}],
}


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (["da-DK"], "da"),
        (["da_DK", "en"], "da"),
        (["fr", "de-AT"], "de"),
        (["fr"], "en"),
        ([], "en"),
        (["pt-BR"], "pt-BR"),
    ],
)
def test_the_first_language_that_there_is(languages: list[str], expected: str) -> None:
    """A regional code takes its language; where nothing fits, English."""
    assert pick_language({"da": "", "en": "", "de": "", "pt-BR": ""}, languages) == expected


def test_any_language_is_better_than_none() -> None:
    """Without English the first text serves; without any text, nothing."""
    assert render({"sv": "Hej"}, ["fr"], {}) == "Hej"
    assert render({}, ["fr"], {}) == ""


@pytest.mark.parametrize(
    ("language", "filter_name", "expected"),
    [
        ("en", "moment", "Monday 23 November at 10:05"),
        ("en", "date", "Monday 23 November"),
        ("en", "time", "10:05"),
        ("da", "moment", "mandag den 23. november kl. 10.05"),
        ("da", "date", "mandag den 23. november"),
        ("da", "time", "10.05"),
        ("de", "date", "Montag, 23. November 2026"),
    ],
)
def test_moments_in_the_customers_language_and_zone(language: str, filter_name: str, expected: str) -> None:
    """Dates read as people there write them, in the customer's own zone."""
    text = f"{{{{ case.due_at | {filter_name} }}}}"
    assert render({language: text}, [language], CONTEXT, zone="Europe/Copenhagen") == expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "{{ sale.total | money }}", "DKK 1,249.50"),
        ("da", "{{ sale.total | money }}", "1.249,50 kr."),
        ("de", "{{ sale.total | money('EUR') }}", "1.249,50 €"),
        ("da", "{{ sale.total | number }}", "1.249,5"),
        ("en", "{{ sale.summary | number }}{{ sale.nothing | money }}{{ sale.summary | money }}", ""),
        ("en", "{{ items | length }} {{ items | length | plural(one='bottle', other='bottles') }}", "2 bottles"),
        (
            "pl",
            "{{ items | length | plural(one='butelka', few='butelki', many='butelek', other='butelki') }}",
            "butelki",
        ),
        ("en", "{{ sale.summary | plural(one='a', other='b') }}", "b"),
        ("en", "{{ '1e999999999' | number }}{{ '1e999999999' | plural(one='a', other='b') }}", "b"),
        ("en", "{{ '0e999999999' | number }}{{ '1e-999999999' | money }}", "0"),
    ],
)
def test_amounts_and_plurals_as_people_write_them_there(language: str, text: str, expected: str) -> None:
    """Numbers, money and the form of a word come right in every language; what is no number is nothing."""
    context = {**CONTEXT, "sale": {"total": "1249.50", "currency": "dkk", "summary": "wine"}}
    assert faults(text, language=language) == [] or "sale.nothing" in text
    assert render({language: text}, [language], context).replace("\xa0", " ") == expected


def test_a_language_needs_its_own_forms_of_a_plural() -> None:
    """What a text lacks is named by the language's own rules; without names for the forms nobody could tell them apart."""
    assert faults("{{ items | length | plural(one='a', other='b') }}", language="pl") == [
        "plural lacks few and many: 'pl' has few, many, one, other"
    ]
    assert "needs its forms by name" in faults("{{ items | length | plural('a', 'b') }}", language="en")[0]
    assert faults("{{ items | length | plural(other='b') }}") == []


def test_languages_name_themselves() -> None:
    """The buttons that choose a language bear its own name, without a list of ours; an unknown code is shown as it is."""
    assert [name_of_language(code) for code in ("da", "sv", "pt-BR", "xx")] == [
        "Dansk",
        "Svenska",
        "Português (Brasil)",
        "xx",
    ]


def test_what_a_text_becomes_is_measured_before_it_is_cut() -> None:
    """A text is as long as it becomes with its values, in the units in which Telegram counts."""
    assert full_length("{{ case.said }}🍷", "en", {"case": {"said": "x" * 9999}}) == 10001


def test_moments_from_odd_values() -> None:
    """A text in ISO form is a moment; what is no moment is nothing; an unknown zone is UTC."""
    text = {"en": "{{ case.due_at | time }}"}
    assert render(text, [], {"case": {"due_at": "2026-11-23T09:05:00Z"}}, zone="Mars/Phobos") == "09:05"
    assert render(text, [], {"case": {"due_at": "soon"}}) == ""
    assert render(text, [], {}) == ""


def test_what_customers_wrote_is_a_value() -> None:
    """Template marks and markup in a value come out as they went in: nothing is run, nothing escaped here."""
    assert render({"en": "“{{ case.said }}”"}, [], CONTEXT) == "“{{ 7 * 7 }} <b>”"


def test_lists_and_conditions() -> None:
    """A text can go through the items and leave a sentence out."""
    text = "{% for item in items %}{{ item.name }}{% if not loop.last %}, {% endif %}{% endfor %}{% if promise.text %}!{% endif %}"
    assert faults(text) == []
    assert render({"en": text}, [], CONTEXT) == "Barolo, Chianti"


def test_missing_values_are_nothing() -> None:
    """What nobody gave renders as nothing, also behind a dot, and None is nothing too."""
    assert (
        render({"en": "a{{ promise.text }}b{{ remedy.kind.x.y }}c{{ expected.at }}"}, [], {"expected": {"at": None}})
        == "abc"
    )


def test_long_texts_are_cut_for_telegram() -> None:
    """A text that became too long through its values ends in an ellipsis at the limit."""
    got = render({"en": "{{ case.said }}"}, [], {"case": {"said": "x" * 9999}})
    assert len(got) == TEXT_MAX_CHARS
    assert got.endswith("x…")


@pytest.mark.parametrize(
    "text",
    [
        "{{ 9**9**9 }}",
        "{{ 'x' * 10**9 }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for a in items %}{% for b in items %}x{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% set x = 1 %}",
        "{{ customer.__class__.__mro__ }}",
        "{{ '%s' | format(1) }}",
        "{{ items | join('x' | center(10**9)) }}",
        "{% include 'x' %}",
        "{{ customer['name'] }}",
        "{{ customer.name.first }}",
        "{{ nobody }}",
        "{{ sale.sumary }}",
        "{{ oops",
        "{{" * 1900,
        "x" * 4001,
    ],
)
def test_what_a_text_may_not_contain(text: str) -> None:
    """Whatever could keep a processor busy, or names what is not there, is told to its author, and still renders at once."""
    assert faults(text)
    assert len(render({"en": text}, [], CONTEXT)) <= TEXT_MAX_CHARS


def test_every_documented_name_is_known() -> None:
    """The list that the documentation is made from is the list that texts are checked against."""
    for name, fields in VARIABLES.items():
        for field in fields:
            assert faults(f"{{{{ {name}.{field} }}}}") == []


parts = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "if",
        "for",
        "items",
        "case.said",
        "|",
        "date",
        "moment",
        " ",
        "x",
        "(",
        "1",
        ".",
        "in",
        "endif",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(parts, max_size=12).map("".join), st.sampled_from([{}, CONTEXT, {"case": 3, "items": 4}]))
def test_rendering_never_raises(text: str, context: dict[str, object]) -> None:
    """Whatever the text and the values, something printable comes out."""
    assert isinstance(render({"en": text}, ["da"], context), str)
    assert isinstance(faults(text), list)
