"""What a customer would see of a flow, message by message."""

from dataclasses import replace

from bot.flows.parse import parse_flow
from bot.flows.previews import USUAL, languages_in, longest_for, previews, values_for

FLOW = parse_flow(
    """
flow: x
purpose: result
start: { on: order.delivered }
steps:
  arrived:
    ask: { en: "Hi {{ customer.first_name }}, did {{ sale.summary }} come to you?", da: "Hej {{ customer.first_name }}" }
    choices:
      yes: { label: { en: "Yes", da: "Ja" }, factors: { promise: 1 }, next: taste }
      no: { label: { en: "No", da: "Nej" }, factors: { promise: 0 } }
    for: { tag: wine, ask: { en: "Did the wine come?" } }
    remind: { after: 2d }
    silence: { after: 7d }
  taste:
    rate: { en: "How was it at {{ shop.name }}?" }
    factor: quality
    photo: https://example.com/x.jpg
    silence: { after: 7d }
    next: tell
  tell:
    offer: review
    text: { en: "Tell others." }
    label: { en: "Write" }
""",
    file="x.yaml",
)
SPEAKING = replace(FLOW, phrases={"reminder": {"en": "Once more: {{ text }}"}})
VALUES = values_for(FLOW, USUAL, {"name": "Nordlys"})


def test_each_message_is_shown_as_it_would_be_seen() -> None:
    """The words with values, buttons below each other or in a row, the words for some products, and the reminder."""
    found = previews(SPEAKING, "en", VALUES, "Europe/Copenhagen")
    told = [(each.step, each.sort, each.text, each.only_for) for each in found]
    assert told == [
        ("arrived", "ask", "Hi Freja, did two bottles of Barolo come to you?", ""),
        ("arrived", "ask", "Did the wine come?", "tag wine"),
        ("arrived", "remind", "Once more: Hi Freja, did two bottles of Barolo come to you?", ""),
        ("taste", "ask", "How was it at Nordlys?", ""),
        ("tell", "offer", "Tell others.", ""),
    ]
    assert found[0].buttons == (("Yes",), ("No",))
    assert [len(row) for row in found[3].buttons] == [5]
    assert found[3].photo == "https://example.com/x.jpg"


def test_what_is_missing_in_a_language_says_in_which_it_is_told() -> None:
    """A customer who reads Danish gets English where nobody wrote Danish; the preview says so."""
    found = previews(FLOW, "da", VALUES, "Europe/Copenhagen")
    assert [(each.text, each.instead) for each in found][:2] == [("Hej Freja", ""), ("Did the wine come?", "en")]
    assert languages_in(FLOW, ["da"]) == ["da", "en"]


def test_the_longest_values_show_what_would_be_cut_off() -> None:
    """A text that fits on most days does not with a summary that is as long as summaries get."""
    long = replace(FLOW, steps={"arrived": replace(FLOW.steps["arrived"], photo="https://example.com/x.jpg")})
    text = {"en": "{{ sale.summary }}{{ case.said }}{{ case.said }}{{ case.said }}"}
    long = replace(long, steps={"arrived": replace(long.steps["arrived"], texts=text)})
    assert not previews(long, "en", VALUES, "UTC")[0].is_too_long
    assert previews(long, "en", longest_for(long), "UTC")[0].is_too_long
