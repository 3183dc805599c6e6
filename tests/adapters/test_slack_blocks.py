"""What staff see: within Slack's limits whatever comes in, and harmless whatever a customer writes."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.sandbox.slack.blocks import MESSAGE_BLOCKS_TEXT_MAX_CHARS, message_problems, view_problems
from bot.adapters.slack import blocks, forms, home, text
from bot.adapters.slack.words import LANGUAGES, STATES, say
from bot.desk.honesty import hints
from bot.desk.states import SAID_ON_CARD
from bot.ports.board import Board, Found, Line, Running
from bot.ports.channels import Card, TaskCard

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
    history="Delivered Fri 20 Nov · first time that they say so",
    promised_by="checkout",
    light="green",
    light_word="in good time",
    light_shape="🟢",
)
TASK = TaskCard(
    id="t1",
    case_id="k1k1k1k1k1k1k1k1",
    team="accounting",
    for_team="Wine desk",
    text="rewrite the invoice text",
    asked_by="U1",
    due="Tue 24 Nov 10:00",
    due_reason="one business day",
    is_done=False,
    done_by=None,
    note="",
    light="amber",
    light_word="due soon",
    light_shape="🔶",
    customer="Freja Holm",
    sale_id="1001",
)

# Everything that grows when escaped or counts double, and blanks, much more often than chance would bring them.
texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet='&<>🍷 \n"a', max_size=6_000),
    st.sampled_from(["", " ", "\n", "<!channel>", "&" * 5_000, "🍷" * 4_096, " " * 4_096]),
)
tasks = st.builds(
    TaskCard,
    **dict.fromkeys(["team", "for_team", "text", "due", "due_reason", "note", "light_word", "customer"], texts),
    id=st.just("t1"),
    case_id=st.just("k1k1k1k1k1k1k1k1"),
    asked_by=st.just("U1"),
    is_done=st.booleans(),
    done_by=st.sampled_from([None, "U0001"]),
    light=st.sampled_from(["red", "amber", "green", "grey"]),
    light_shape=st.sampled_from(["🔺", ""]),
    sale_id=texts,
)
cards = st.builds(
    Card,
    **dict.fromkeys(
        ["team", "why_team", "customer", "sale_id", "bought", "said", "due", "due_reason", "history"], texts
    ),
    **dict.fromkeys(
        ["promise", "factor", "touchpoint", "remedy", "promised_by", "snoozed", "clock", "call_reason", "fell_back"],
        st.none() | texts,
    ),
    case_id=st.just("k1k1k1k1k1k1k1k1"),
    status=st.sampled_from([*STATES, "something new"]),
    language=st.one_of(st.sampled_from(["da", "en-GB", "", "xx", "no-such-tongue"]), st.text(max_size=10)),
    cycle=st.integers(1, 9),
    overdue=st.booleans(),
    claimed_by=st.sampled_from([None, "U0001"]),
    called_upon=st.sampled_from([None, "U0002"]),
    rung=st.integers(0, 2),
    reachable=st.booleans(),
    light_word=texts,
    light_shape=st.sampled_from(["🔺", ""]),
    media=st.lists(st.sampled_from(["photo", "voice", "unique_gift", "unknown"]), max_size=30),
    tasks=st.lists(tasks, max_size=12),
    staff_language=st.sampled_from(LANGUAGES),
)


def shown(built):
    return json.dumps(built, ensure_ascii=False)


def labels(built):
    pressed = [each for block in built if block["type"] == "actions" for each in block["elements"]]
    return [each["text"]["text"] for each in pressed if each["type"] == "button"]


def menu(built):
    (overflow,) = [each for block in built for each in block.get("elements", []) if each.get("type") == "overflow"]
    return [each["text"]["text"] for each in overflow["options"]]


def units_in(value):
    if isinstance(value, dict):
        own = text.size(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(units_in(each) for each in value.values())
    return sum(units_in(each) for each in value) if isinstance(value, list) else 0


@given(cards)
def test_a_card_stays_within_slacks_limits_whatever_stands_in_it(card):
    """Any texts, however long and however much they grow by escaping, give a card that Slack takes."""
    told, built, metadata = blocks.card_blocks(card)
    assert message_problems(built) == []
    assert units_in(built) <= MESSAGE_BLOCKS_TEXT_MAX_CHARS
    assert 0 < text.size(told) <= 3_000
    assert metadata == {"event_type": "aftersale_case", "event_payload": {"case_id": card.case_id}}


@given(tasks, st.sampled_from(LANGUAGES))
def test_a_task_stays_within_slacks_limits_whatever_stands_in_it(task, spoken):
    """The same of a task for another team; its metadata says whose it is."""
    told, built, metadata = blocks.task_blocks(task, spoken)
    assert message_problems(built) == []
    assert 0 < text.size(told) <= 3_000
    assert metadata["event_payload"] == {"case_id": task.case_id, "task_id": "t1"}


@given(name=texts, words=texts.filter(str.strip), label=texts, spoken=st.sampled_from(LANGUAGES))
def test_forms_stay_within_slacks_limits_whatever_stands_in_them(name, words, label, spoken):
    """Any name, text or label gives forms that Slack takes, and the preview gives back what it carries."""
    written = text.fit(words.strip(), forms.REPLY_MAX_CHARS)
    person = text.fit(name, 100)
    many = dict.fromkeys(map(str, range(150)), label)
    preview = forms.preview_view(
        *("k1",),
        name=person,
        text=written,
        signed=f"{written}\n– {person}",
        problem=label,
        hints=hints("I promise it is always your fault, guaranteed, for sure, never, perfect, the best, 100%"),
        spoken=spoken,
    )
    saved = [(key, label, written) for key in many]
    views = [
        forms.reply_view("k1", forms.Customer(name, "da", words), signed_as=name, saved=saved, spoken=spoken),
        forms.reply_view("k1", forms.Customer(), signed_as=name, begun_with=("k:1.2", words), spoken=spoken),
        preview,
        forms.remedy_view("k1", {"refund": label}, {"carrier": label}, spoken),
        forms.hand_over_view("k1", many, spoken),
        forms.snooze_view("k1", 1_795_000_000, spoken),
        forms.call_view("k1", spoken),
        forms.note_view("k1", spoken),
        forms.task_view("k1", many, spoken),
        forms.task_done_view("k1", "t1", spoken),
    ]
    assert [view_problems(view) for view in views] == [[]] * len(views)
    assert forms.carried_by_preview(preview["private_metadata"]) == ("k1", " ".join(person.split()), written)


lines = st.lists(
    st.builds(
        Line,
        **dict.fromkeys(["title", "about", "light_word", "due"], texts),
        light=st.just("red"),
        light_shape=st.just("🔺"),
        claimed_by=st.sampled_from([None, "U1"]),
        card=st.sampled_from([None, ("C1", "17.2")]),
    ),
    max_size=20,
)


@given(lines, lines, texts, st.sampled_from(LANGUAGES))
def test_the_home_tab_stays_within_slacks_limits_whatever_stands_in_it(mine, others, words, spoken):
    """Long lists are cut and say how much is left; any words give a tab that Slack takes."""
    board = Board(words, spoken, words, ["wine"], mine, others, others, mine, {"mine": 7}, {"opened": 3})
    for running in (None, Running([words] * 20, words), Running()):
        assert view_problems(home.home_view(board, running, "https://x.slack.com/")) == []
    assert view_problems(home.home_view(Board(words, spoken, words), None, "")) == []


@given(texts, texts)
def test_an_answer_to_the_command_calls_nobody_whatever_stands_in_it(asked, words):
    """What was asked and what was found are escaped, and short enough for one message."""
    found = [Found(words, words, words, words, words, ("C1", "17.2"))] * 9
    for answer in (
        home.found_text(asked, found, "https://x.slack.com/"),
        home.found_text(asked, [], ""),
        home.why_text(asked, [words] * 40),
        home.why_text(asked, []),
    ):
        assert "<!" not in answer
        assert "<@" not in answer
        assert text.size(answer) <= 10_000


def test_a_customers_words_call_nobody():
    """What a customer writes stands in plain text or escaped, so that no mention of theirs works."""
    evil = "<!channel> <@U0001> & <https://evil.example|click>"
    fields = dict.fromkeys(
        ["said", "customer", "bought", "history", "sale_id", "promise", "remedy", "call_reason"], evil
    )
    task = dataclasses.replace(TASK, text=evil, customer=evil, note=evil)
    told, built, _ = blocks.card_blocks(dataclasses.replace(CARD, **fields, tasks=[task]))
    asked = blocks.task_blocks(dataclasses.replace(task, asked_by="U1"))
    assert "<!channel>" not in told + asked[0]
    assert "<@U0001>" not in told + asked[0]
    for block in built + asked[1]:
        for each in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if each and each["type"] == "mrkdwn":
                assert "<!" not in each["text"]
                assert "<@U0001>" not in each["text"]
    assert any(evil in each["text"]["text"] for each in built if each["type"] == "section" and "text" in each)


def test_mentions_of_our_own_survive_and_nothing_else_does():
    """Our way of naming a user becomes a mention; every sign of Slack's own, which anybody may type, is escaped."""
    assert text.mrkdwn("{user:U1} and <@W2>: a < b & <!here>") == "<@U1> and &lt;@W2&gt;: a &lt; b &amp; &lt;!here&gt;"


def test_words_that_fill_the_card_are_shown_whole_and_longer_ones_go_on_in_the_thread():
    """As much as the thread need not repeat stands there without a cut; what does not fit points to the thread."""
    words = "".join(chr(ord("a") + index % 26) for index in range(SAID_ON_CARD))
    for said, whole in ((words, True), (f"{words}!", False), ("🍷" * SAID_ON_CARD, False)):
        _, built, _ = blocks.card_blocks(dataclasses.replace(CARD, said=said))
        (told,) = [each["text"]["text"] for each in built if each.get("text", {}).get("type") == "plain_text"][1:]
        assert (told == f"“{said}”") is whole
        assert ("… (continued in the thread)" in told) is not whole


RARE = ["Hand over", "Put aside", "Call needed", "Note", "Ask another team"]


@pytest.mark.parametrize(
    ("status", "claimed_by", "reachable", "expected", "behind"),
    [
        ("open", None, True, ["Claim", "Reply to customer", "Remedy done"], RARE),
        ("claimed", "U1", True, ["Reply to customer", "Remedy done"], RARE),
        ("remedied", "U1", True, ["Reply to customer", "Remedy done"], ["Hand over", *RARE[2:]]),
        ("call", None, True, ["Claim", "Reply to customer", "Remedy done"], [*RARE[:2], *RARE[3:]]),
        ("call", "U1", True, ["Reply to customer", "Remedy done"], [*RARE[:2], *RARE[3:]]),
        ("unconfirmed", "U1", True, ["Reply to customer", "Remedy done"], ["Hand over", *RARE[2:]]),
        ("confirmed", "U1", True, ["Reply to customer"], ["Note"]),
        ("confirmed", "U1", False, [], ["Note"]),
        ("open", None, False, ["Claim", "Remedy done"], RARE),
    ],
)
def test_a_card_offers_what_makes_sense(status, claimed_by, reachable, expected, behind):
    """Three buttons at most, the next step first and alone in colour, the rest in a menu; none closes a case (rule 1)."""
    card = dataclasses.replace(CARD, status=status, claimed_by=claimed_by, reachable=reachable)
    _, built, _ = blocks.card_blocks(card)
    assert labels(built) == expected
    assert menu(built) == behind
    pressed = [each for block in built if block["type"] == "actions" for each in block["elements"]]
    coloured = [each["text"]["text"] for each in pressed if each.get("style") == "primary"]
    assert coloured == (expected[:1] if status in ("open", "claimed", "call") else [])
    values = [each["value"].rpartition(":")[2] for p in pressed for each in (p.get("options") or [p])]
    assert set(values) == {CARD.case_id}


@pytest.mark.parametrize(
    ("light", "word", "shape", "heading"),
    [
        ("red", "overdue", "🔺", "🔺 Claimed · overdue"),
        ("amber", "due soon", "🔶", "🔶 Claimed · due soon"),
        ("green", "in good time", "🟢", "🟢 Claimed · in good time"),
    ],
)
def test_a_light_is_a_shape_and_a_word_as_well_as_a_colour(light, word, shape, heading):
    """Who cannot tell red from green reads a triangle, a diamond or a circle, and the word for it."""
    card = dataclasses.replace(CARD, status="claimed", light=light, light_word=word, light_shape=shape)
    told, built, _ = blocks.card_blocks(card)
    assert built[0]["text"]["text"] == heading
    assert told.startswith(heading)


def test_a_card_says_in_words_how_the_case_stands():
    """State, who has it, lateness and an unreachable customer are words, not only colours."""
    card = dataclasses.replace(
        *(CARD,),
        status="claimed",
        claimed_by="U1",
        overdue=True,
        reachable=False,
        cycle=2,
        rung=1,
        light="red",
        light_word="overdue",
        light_shape="🔺",
        called_upon="U2",
        media=["photo", "voice"],
        snoozed="Put aside until Thu 26 Nov 10:00: it waits for the parcel",
        tasks=[TASK],
    )
    told, built, _ = blocks.card_blocks(card)
    assert built[0]["text"]["text"] == "🔺 Claimed · overdue · round 2"
    assert built[1]["text"]["text"] == (
        "Claimed by <@U1>\nNow answerable: <@U2>\n"
        "Put aside until Thu 26 Nov 10:00: it waits for the parcel\n"
        "📵 *The bot cannot write to this customer* – call or mail them"
    )
    assert told.startswith(
        "🔺 Claimed · overdue · round 2 · Claimed by <@U1>: Freja Holm, order 1001 – “It never came”"
    )
    for part in (
        "*Freja Holm* · reads Danish · order 1001\\ntwo bottles of Barolo",
        "*⏰ Overdue: first answer was due*\\nMon 23 Nov 10:00 – 2 working hours",
        "Delivered before the weekend, promised by checkout",
        "📎 1 photo, 1 voice message – in the thread",
        "🔶 accounting: rewrite the invoice text – due Tue 24 Nov 10:00",
        "So far: Delivered Fri 20 Nov",
    ):
        assert part in shown(built)


def test_a_card_speaks_the_language_of_staff():
    """In a Danish shop the card is Danish from the heading to the menu."""
    card = dataclasses.replace(CARD, staff_language="da", light_word="i god tid")
    _, built, _ = blocks.card_blocks(card)
    assert built[0]["text"]["text"] == "🟢 Åben · i god tid"
    assert labels(built) == ["Tag sagen", "Svar kunden", "Udbedret"]
    assert menu(built)[0] == "Giv videre"
    assert "læser dansk" in shown(built)


def test_every_sentence_to_staff_exists_in_every_language():
    """A word that is missing in a language would be a fault at the moment when a form opens."""
    from bot.adapters.slack import words  # noqa: PLC0415 - its tables, for this test alone

    for table in (words.STATES, words.LABELS, words.FACTORS, words.THINGS, words._WORDS):
        assert all(set(each) == set(LANGUAGES) for each in table.values())


def test_the_form_of_a_reply_says_what_the_customer_will_see():
    """Language, last words and signature stand there, and no promise is asked for that cannot be kept."""
    view = forms.reply_view("k1", forms.Customer("Freja", "da", "It never came"), signed_as="Mikkel, Vinhuset")
    hint = view["blocks"][-1]["hint"]["text"]
    assert "signed “Mikkel, Vinhuset”" in hint
    assert "They read Danish." in hint
    assert "can be kept" in hint
    assert view["blocks"][0]["text"]["text"] == "*Freja wrote, in Danish:*"
    assert view["blocks"][1]["text"]["text"] == "“It never came”"
    assert say("no_name", "da") == "uden navn"
