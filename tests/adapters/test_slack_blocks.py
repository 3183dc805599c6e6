"""What staff see: within Slack's limits whatever comes in, and harmless whatever a customer writes."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.sandbox.slack.blocks import MESSAGE_BLOCKS_TEXT_MAX_CHARS, message_problems, view_problems
from bot.adapters.slack import blocks
from bot.ports.channels import Card

CARD = Card(
    case_id="k1k1k1k1k1k1k1k1",
    status="open",
    team="Wine desk",
    why_team="answers for delivery",
    customer="Freja Holm",
    language="da",
    sale_id="1001",
    bought="two bottles of Barolo",
    promise="Delivered before the weekend",
    said="It never came",
    factor="promise",
    touchpoint="delivery",
    cycle=1,
    due="Mon 23 Nov 10:00",
    due_reason="2 working hours",
    overdue=False,
    claimed_by=None,
    remedy=None,
    reachable=True,
    history="order.delivered; first reply",
)

# Everything that grows when escaped or counts double, and blanks, much more often than chance would bring them.
texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet='&<>🍷 \n"a', max_size=6_000),
    st.sampled_from(["", " ", "\n", "<!channel>", "&" * 5_000, "🍷" * 4_096, " " * 4_096]),
)
cards = st.builds(
    Card,
    case_id=st.just("k1k1k1k1k1k1k1k1"),
    status=st.sampled_from([*blocks.STATES, "something new"]),
    team=texts,
    why_team=texts,
    customer=texts,
    language=st.one_of(st.sampled_from(["da", "en-GB", "", "xx", "no-such-tongue"]), st.text(max_size=10)),
    sale_id=texts,
    bought=texts,
    promise=st.none() | texts,
    said=texts,
    factor=st.none() | texts,
    touchpoint=st.none() | texts,
    cycle=st.integers(1, 9),
    due=texts,
    due_reason=texts,
    overdue=st.booleans(),
    claimed_by=st.sampled_from([None, "U0001"]),
    remedy=st.none() | texts,
    reachable=st.booleans(),
    history=texts,
)


def shown(built):
    return json.dumps(built, ensure_ascii=False)


def labels(built):
    return [each["text"]["text"] for block in built if block["type"] == "actions" for each in block["elements"]]


def units_in(value):
    if isinstance(value, dict):
        own = blocks.size(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(units_in(each) for each in value.values())
    return sum(units_in(each) for each in value) if isinstance(value, list) else 0


@given(cards)
def test_a_card_stays_within_slacks_limits_whatever_stands_in_it(card):
    """Any texts, however long and however much they grow by escaping, give a card that Slack takes."""
    text, built, metadata = blocks.card_blocks(card)
    assert message_problems(built) == []
    assert units_in(built) <= MESSAGE_BLOCKS_TEXT_MAX_CHARS
    assert 0 < blocks.size(text) <= 3_000
    assert metadata == {"event_type": "aftersale_case", "event_payload": {"case_id": card.case_id}}


@given(name=texts, text=texts.filter(str.strip), label=texts)
def test_forms_stay_within_slacks_limits_whatever_stands_in_them(name, text, label):
    """Any name, text or label gives forms that Slack takes, and the preview gives back what it carries."""
    written = blocks.fit(text.strip(), blocks.REPLY_MAX_CHARS)
    person = blocks.fit(name, 100)
    preview = blocks.preview_view("k1", name=person, text=written, signed=f"{written}\n– {person}", problem=label)
    views = [
        blocks.reply_view("k1", name, "da", signed_as=name),
        preview,
        blocks.remedy_view("k1", {"refund": label}, {"carrier": label}),
        blocks.hand_over_view("k1", dict.fromkeys(map(str, range(150)), label)),
    ]
    assert [view_problems(view) for view in views] == [[], [], [], []]
    assert blocks.carried_by_preview(preview["private_metadata"]) == ("k1", " ".join(person.split()), written)


def test_a_customers_words_call_nobody():
    """What a customer writes stands in plain text or escaped, so that no mention of theirs works."""
    evil = "<!channel> <@U0001> & <https://evil.example|click>"
    text, built, _ = blocks.card_blocks(dataclasses.replace(CARD, said=evil, customer=evil, bought=evil, history=evil))
    assert "<!channel>" not in text
    assert "<@U0001>" not in text
    for block in built:
        for each in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if each and each["type"] == "mrkdwn":
                assert "<!" not in each["text"]
                assert "<@" not in each["text"]
    assert any(evil in each["text"]["text"] for each in built if each["type"] == "section" and "text" in each)


def test_mentions_of_our_own_survive_and_nothing_else_does():
    """Our way of naming a user becomes a mention; every sign of Slack's own, which anybody may type, is escaped."""
    assert (
        blocks.mrkdwn("{user:U1} and <@W2>: a < b & <!here>") == "<@U1> and &lt;@W2&gt;: a &lt; b &amp; &lt;!here&gt;"
    )


def test_the_longest_telegram_message_is_shown_whole():
    """4,096 characters, Telegram's most, fit on the card without a cut."""
    words = "".join(chr(ord("a") + index % 26) for index in range(4_096))
    _, built, _ = blocks.card_blocks(dataclasses.replace(CARD, said=words))
    texts_of_sections = [block["text"] for block in built if block["type"] == "section" and "text" in block]
    told = "".join(each["text"] for each in texts_of_sections if each["type"] == "plain_text")
    assert told == f"“{words}”"


def test_longer_words_say_where_they_go_on():
    """What does not fit ends with a pointer to the thread."""
    _, built, _ = blocks.card_blocks(dataclasses.replace(CARD, said="word " * 2_000))
    assert "… (continued in the thread)" in shown(built)


@pytest.mark.parametrize(
    ("status", "claimed_by", "reachable", "expected"),
    [
        ("open", None, True, ["Claim", "Reply to customer", "Remedy done", "Hand over"]),
        ("claimed", "U1", True, ["Reply to customer", "Remedy done", "Hand over"]),
        ("remedied", "U1", True, ["Reply to customer", "Remedy done", "Hand over"]),
        ("call", None, True, ["Claim", "Reply to customer", "Remedy done", "Hand over"]),
        ("call", "U1", True, ["Reply to customer", "Remedy done", "Hand over"]),
        ("unconfirmed", "U1", True, ["Reply to customer", "Remedy done", "Hand over"]),
        ("confirmed", "U1", True, ["Reply to customer"]),
        ("confirmed", "U1", False, []),
        ("open", None, False, ["Claim", "Remedy done", "Hand over"]),
    ],
)
def test_a_card_offers_what_makes_sense(status, claimed_by, reachable, expected):
    """Each state has its own buttons, and none of them closes a case (rule 1)."""
    card = dataclasses.replace(CARD, status=status, claimed_by=claimed_by, reachable=reachable)
    _, built, _ = blocks.card_blocks(card)
    assert labels(built) == expected
    values = [each["value"] for block in built if block["type"] == "actions" for each in block["elements"]]
    assert set(values) <= {CARD.case_id}


def test_a_card_says_in_words_how_the_case_stands():
    """State, who has it, lateness and an unreachable customer are words, not only colours."""
    card = dataclasses.replace(CARD, status="claimed", claimed_by="U1", overdue=True, reachable=False, cycle=2)
    text, built, _ = blocks.card_blocks(card)
    assert built[0]["text"]["text"] == "🟠 Claimed – round 2"
    assert built[1]["text"]["text"] == (
        "Claimed by <@U1>\n⏰ *Overdue* – the first answer was due Mon 23 Nov 10:00\n"
        "📵 *The bot cannot write to this customer* – call or mail them"
    )
    assert text.startswith("🟠 Claimed by <@U1> ⏰ Overdue: Freja Holm, order 1001 – “It never came”")
    assert "Freja Holm (Danish)" in shown(built)
    assert "Mon 23 Nov 10:00 – 2 working hours" in shown(built)


def test_the_form_of_a_reply_says_what_the_customer_will_see():
    """The hint names the signature and the language, and asks for no promise that cannot be kept."""
    hint = blocks.reply_view("k1", "Freja", "da", signed_as="Mikkel, Vinhuset")["blocks"][0]["hint"]["text"]
    assert "signed “Mikkel, Vinhuset”" in hint
    assert "They read Danish." in hint
    assert "can be kept" in hint
