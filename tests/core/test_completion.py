"""What is offered to whoever types a flow: by the place where they are, and by the names that there are."""

import pytest

from bot.flows.completion import Around, offered, steps_in

AROUND = Around(languages=("en", "da"), touchpoints=("site", "delivery"), teams=("wine",))
HEAD = "flow: x\npurpose: service\nstart: { on: order.delivered, after: 2d }\nsteps:\n"
ONE = HEAD + "  arrived:\n    ask: { en: Hi }\n    choices:\n      yes: { label: { en: A } }\n"


def labels(before: str, after: str = "", *, phrases: bool = False) -> list[str]:
    return [each.label for each in offered(before, after, AROUND, phrases=phrases).options]


@pytest.mark.parametrize(
    ("before", "after", "some"),
    [
        ("", "", ["flow", "purpose", "start", "steps"]),
        ("flow: x\npur", "", ["purpose"]),
        ("flow: x\npurpose: ", "", ["service", "result", "story"]),
        ("flow: x\nstart: { on: ", "", ["order.placed", "remedy.done"]),
        ("flow: x\nstart: { on: order.delivered, unless: [case.open, ", "", ["order.cancelled"]),
        ("flow: x\nstart: { on: order.delivered, ", " }", ["after", "unless"]),
        ("flow: x\nstart:\n  - on: order.delivered\n    ", "", ["after", "unless", "step"]),
        (HEAD + "  arrived:\n    ", "", ["ask", "say", "wait", "rate"]),
        (HEAD + "  arrived:\n    ask: { en: Hi }\n    ", "", ["choices", "silence", "remind"]),
        (HEAD + "  arrived:\n    ask:\n      ", "", ["en", "da"]),
        (ONE + "      no: { label: No, ", " }", ["factors", "touchpoint", "next"]),
        (ONE + "      no: { label: No, next: ", " }\n  thanks: { say: Hi }\n", ["arrived", "thanks", "end"]),
        (ONE + "      no: { label: No, touchpoint: ", " }", ["delivery", "site"]),
        (ONE + "      no: { label: No, factors: { ", " } }", ["promise", "quality"]),
        (ONE + "      no: { label: No, factors: { promise: ", " } }", ["0", "1"]),
        (ONE + "  look: { case: Look, team: ", " }", ["wine"]),
        (ONE + "    silence: { after: ", " }", ["7d"]),
        (HEAD + "  hi:\n    say:\n      en: Hi {{ cu", "", ["customer", "sale"]),
        (HEAD + "  hi:\n    say:\n      en: >-\n        Hi {{ customer.", " }}", ["first_name"]),
        (HEAD + "  hi:\n    say:\n      en: By {{ case.due_at | mo", " }}", ["moment"]),
        (HEAD + "  hi:\n    say: { en: '{% for item in items %}{{ item.", "", ["name", "sku"]),
    ],
)
def test_what_can_stand_there_is_offered(before: str, after: str, some: list[str]) -> None:
    """Keys of the form that one is in, words and names of the value that one writes, names within a text."""
    found = labels(before, after)
    assert [each for each in some if each not in found] == []


def test_what_stands_there_already_is_not_offered_again() -> None:
    """A key can be written once, above and below the cursor alike, and within braces."""
    assert "purpose" not in labels("flow: x\n", "\npurpose: service\n")
    assert "on" not in labels("start: { on: order.placed, ", " }")
    assert labels(HEAD + "  hi:\n    say:\n      en: Hi\n      ") == ["da"]


def test_within_words_nothing_is_offered() -> None:
    """Neither in a comment nor in the middle of what is said to a customer."""
    assert labels(HEAD + "  hi:\n    say:\n      en: >-\n        Hello the") == []
    assert labels("# flo") == []


def test_the_step_is_known_by_what_makes_it_one() -> None:
    """Of a pause, what belongs to a pause; of a question, what belongs to a question."""
    assert "choices" not in labels(HEAD + "  pause:\n    wait: 2d\n    ")
    assert "otherwise" in labels(HEAD + "  pause:\n    wait: 2d\n    ")


def test_only_the_word_that_is_being_written_is_replaced() -> None:
    """What stands before it stays."""
    assert offered("flow: x\npur", "", AROUND).back == len("pur")
    assert offered(HEAD + "  hi: { say: 'Hi {{ customer.fi", "", AROUND).back == len("fi")


def test_the_sentences_of_the_bot_are_known_by_name() -> None:
    """In phrases.yaml the names of the sentences, and their languages."""
    assert "hello_consent" in labels("hel", phrases=True)
    assert labels("hello_consent:\n  ", phrases=True) == ["en", "da"]


def test_steps_are_found_in_a_text_that_cannot_be_read() -> None:
    """Whoever types a flow has a broken one most of the time."""
    assert steps_in(ONE + "  thanks: { say: \n# x\nafter: x\n  no: 1\n") == {"arrived": 5, "thanks": 9}
    assert steps_in("flow: x") == {}
