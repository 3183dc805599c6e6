"""The program's own sentences in Danish, as the pages show them."""

import re

import pytest

from bot.app.log_words import _FIXED
from bot.app.story import _MESSAGE_NAMES
from bot.guards import WAITS_ITS_TURN
from bot.pages.told import _DANISH, told


@pytest.mark.parametrize(
    ("english", "danish"),
    [
        ("tapped “🤔 Not quite”  (promise 0.5)", "trykkede på »🤔 Not quite«  (promise 0.5)"),
        ("wrote “the order was placed”", "skrev »the order was placed«"),
        ("as things stand, it would be held: a case is open", "som det står, ville den blive holdt: en sag er åben"),
        ("the case changed; Wed 25 Nov 2026 10:00", "sagen ændrede sig; Wed 25 Nov 2026 10:00"),
        ("the order was delivered (on Mon 23 Nov 2026 10:00)", "ordren blev leveret (Mon 23 Nov 2026 10:00)"),
        (
            "opened for team wine (tag wine → wine); first answer due Thu 26 Nov 2026 10:00: “a (b); c: “d””",
            "åbnet for hold wine (tag wine → wine); første svar senest Thu 26 Nov 2026 10:00: »a (b); c: “d”«",
        ),
        ("something nobody foresaw; today", "something nobody foresaw; today"),
        ("", ""),
    ],
)
def test_a_sentence_is_put_into_danish_and_what_people_wrote_is_left_alone(english: str, danish: str) -> None:
    """Sentences within sentences are translated, quoted words never, and what is not known stays as it was told."""
    assert told(english, "da") == danish
    assert told(english, "en") == english


def test_everything_that_the_story_can_say_in_fixed_words_is_known() -> None:
    """No fixed line of the log, and no kind of message that customers or staff get, is left in English."""
    fixed = {what for _, what in _FIXED.values()} | {who for who, _ in _FIXED.values()}
    kinds = set(_MESSAGE_NAMES.values()) - {"change of an earlier message", "alarm for whoever runs the program"}
    assert {each for each in fixed | kinds | {WAITS_ITS_TURN} if told(each, "da") == each} == set()


def test_both_languages_leave_the_same_things_open() -> None:
    """Every sentence has in Danish as many holes of each kind as in English, in the same order."""
    for english, danish in _DANISH.items():
        assert re.findall(r"\{\}|\[\]", english) == re.findall(r"\{\}|\[\]", danish), english
