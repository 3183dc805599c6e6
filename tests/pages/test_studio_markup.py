"""What the studio shows as HTML: whatever anybody typed is words, never markup."""

from bot.flows.differences import Change, Difference
from bot.flows.findings import Finding
from bot.flows.previews import Preview
from bot.pages.studio import markup
from bot.pages.words import LANGUAGES, TEXTS, Words
from bot.trials.trial import Row

EVIL = "<img src=x onerror=alert(1)>"
ENGLISH = Words("en")


def test_nothing_that_was_typed_becomes_markup() -> None:
    """Findings, messages, buttons, differences, tests: all of it comes from files that others write."""
    shown = Preview(EVIL, "ask", EVIL, ((EVIL,),), EVIL, EVIL, EVIL, 5000)
    found = Difference((EVIL,), (EVIL,), {EVIL: EVIL}, (Change(EVIL, EVIL, EVIL, EVIL, EVIL),), ())
    drawn = [
        markup.findings([Finding("error", EVIL, "x", hint=EVIL)], ENGLISH),
        markup.screen([shown], ENGLISH),
        markup.difference(found, ENGLISH),
        markup.texts_apart(EVIL, f"{EVIL}!", ENGLISH),
        markup.expected_and_actual([Row(EVIL, EVIL)], ENGLISH),
    ]
    for each in drawn:
        assert "<img" not in each
        assert "&lt;img" in each


def test_what_differs_in_a_text_is_marked_word_by_word() -> None:
    """Words that stayed are plain; those that went and came are marked on their side."""
    told = markup.difference(Difference(words=(Change("hi", "text", "Good to hear", "Glad to hear", "en"),)), ENGLISH)
    assert "<del>Good</del> to hear" in told
    assert "<ins>Glad</ins> to hear" in told
    assert "no customer notices" in markup.difference(Difference(), ENGLISH)


def test_a_finding_leads_to_its_place_and_says_what_it_is() -> None:
    """By mouse and keyboard alike it is a button; a screen reader hears error or warning, not a sign."""
    told = markup.findings([Finding("warning", "dead end", "x", 7, 3, "say a word")], ENGLISH)
    assert 'data-line="7" data-column="3"' in told
    assert '<span class="sr">Warning: </span>dead end' in told
    assert "→ say a word" in told


def test_a_message_that_would_be_cut_off_says_so() -> None:
    """How long it becomes and how much fits; one that fits says nothing of the kind."""
    long = Preview("hi", "say", "Hi", units=1100, limit=1024)
    assert "1100 characters, 1024 fit" in markup.screen([long], ENGLISH)
    assert "fit" not in markup.screen([Preview("hi", "say", "Hi", units=2)], ENGLISH)


def test_every_text_of_the_studio_is_there_in_both_languages() -> None:
    """And with the same names to be filled in."""
    for key, texts in TEXTS.items():
        assert len(texts) == len(LANGUAGES), key
        names = [sorted(part.partition("}")[0] for part in text.split("{")[1:]) for text in texts]
        assert names[0] == names[1], key
