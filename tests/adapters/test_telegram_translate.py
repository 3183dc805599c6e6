import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.telegram.translate import incoming, lane_of, translate
from bot.flows.events import Media
from bot.ports import inbound
from bot.ports.inbound import (
    ButtonTapped,
    ChatBlocked,
    ChatStarted,
    CommandGiven,
    MessageEdited,
    MessageWritten,
    NotForUs,
    Reacted,
)

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
FREJA = {"id": 7001, "is_bot": False, "first_name": "Freja", "language_code": "da"}
CHAT = {"id": 7001, "type": "private", "first_name": "Freja"}
GROUP = {"id": -100200, "type": "supergroup", "title": "Shop"}


def message(**content: Any) -> dict[str, Any]:
    return {"message_id": 5, "from": FREJA, "chat": CHAT, "date": 1795000000, **content}


def said(**content: Any) -> dict[str, Any]:
    return {"update_id": 1, "message": message(**content)}


TAP = {
    "update_id": 1,
    "callback_query": {
        "id": "99",
        "from": FREJA,
        "chat_instance": "1",
        "data": "a:1:0",
        "message": message(text="Was everything right?"),
    },
}
BLOCK = {
    "update_id": 1,
    "my_chat_member": {
        "chat": CHAT,
        "from": FREJA,
        "date": 1,
        "old_chat_member": {"status": "member"},
        "new_chat_member": {"status": "kicked", "until_date": 0},
    },
}
REACTION = {
    "update_id": 1,
    "message_reaction": {
        "chat": CHAT,
        "user": FREJA,
        "message_id": 5,
        "date": 1,
        "old_reaction": [],
        "new_reaction": [{"type": "emoji", "emoji": "❤"}],
    },
}


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("/start", ChatStarted(7001, None, "Freja", "da")),
        ("/start Zk3-v_9", ChatStarted(7001, "Zk3-v_9", "Freja", "da")),
        ("/start@aftersale_bot Zk3-v_9", ChatStarted(7001, "Zk3-v_9", "Freja", "da")),
        ("/STOP", CommandGiven(7001, "stop", "/STOP", "da")),
        ("/stop please\nnow", CommandGiven(7001, "stop", "/stop please\nnow", "da")),
        ("/ of the two glasses one is broken", None),
        ("/home/freja is where I put it", None),
        ("1/2 of them broke", None),
    ],
)
def test_words_and_commands_are_told_apart(text: str, event: object) -> None:
    """A command is a command with or without the bot's name; words that merely hold a slash stay words."""
    assert translate(said(text=text)) == (event or MessageWritten(7001, 5, text, (), "da"))


FILE = {"file_id": "F1", "file_unique_id": "u"}


@pytest.mark.parametrize(
    ("content", "text", "media"),
    [
        ({"photo": [{"file_id": "small"}, {"file_id": "large"}]}, "[photo]", Media("photo", "large")),
        ({"photo": [FILE], "caption": "it tore here"}, "it tore here", Media("photo", "F1", "it tore here")),
        ({"photo": [FILE], "media_group_id": "g"}, "[photo]", Media("photo", "F1")),
        ({"voice": {**FILE, "duration": 12}}, "[voice message, 12 s]", Media("voice", "F1")),
        ({"video": {**FILE, "duration": 3}}, "[video, 3 s]", Media("video", "F1")),
        ({"video_note": {**FILE, "duration": 3}}, "[video message, 3 s]", Media("video_note", "F1")),
        ({"animation": FILE, "document": FILE}, "[animation]", Media("animation", "F1")),
        ({"audio": {**FILE, "title": "Hum"}}, "[audio: Hum]", Media("audio", "F1")),
        ({"document": {**FILE, "file_name": "bill.pdf"}}, "[file: bill.pdf]", Media("document", "F1")),
        ({"sticker": {**FILE, "emoji": "😡"}}, "[sticker: 😡]", Media("sticker", "F1")),
        (
            {"location": {"latitude": 55.6, "longitude": 12.5}},
            "[location: 55.6, 12.5]",
            Media("location", "", "[location: 55.6, 12.5]"),
        ),
        (
            {"contact": {"first_name": "Bo", "phone_number": "+45 1"}},
            "[contact: Bo, +45 1]",
            Media("contact", "", "[contact: Bo, +45 1]"),
        ),
        ({"poll": {"question": "Red?"}}, "[poll: Red?]", Media("poll", "", "[poll: Red?]")),
        ({"dice": {"emoji": "🎲", "value": 4}}, "[dice: 🎲, 4]", Media("dice", "", "[dice: 🎲, 4]")),
        ({"thing_of_2031": {}}, "[something that this bot cannot read]", Media("unknown", "")),
    ],
)
def test_what_is_not_text_is_kept_and_can_be_read(content: dict[str, Any], text: str, media: Media) -> None:
    """Every kind of message gives words for staff to read and, where there is one, the file's id."""
    assert translate(said(**content)) == MessageWritten(7001, 5, text, (media,), "da")


def test_an_edited_message_gives_its_new_words() -> None:
    """A change of mind arrives as such, also if it now looks like a command."""
    assert translate({"update_id": 1, "edited_message": message(text="No, it is broken")}) == MessageEdited(
        7001, 5, "No, it is broken", ()
    )


def test_a_tap_is_keyed_on_who_tapped() -> None:
    """A tap counts with its message, without it, and where Telegram no longer shows it."""
    expected = ButtonTapped(7001, "a:1:0", 5, "da", "Was everything right?")
    assert translate(TAP) == expected
    absent = copy.deepcopy(TAP)
    del absent["callback_query"]["message"]  # type: ignore[attr-defined]
    assert translate(absent) == ButtonTapped(7001, "a:1:0", None, "da")
    hidden = copy.deepcopy(TAP)
    hidden["callback_query"]["message"] = {"chat": CHAT, "message_id": 5, "date": 0}  # type: ignore[index]
    assert translate(hidden) == ButtonTapped(7001, "a:1:0", None, "da")


def test_blocking_and_coming_back() -> None:
    """Kicked means blocked, member means that the customer took it back."""
    back = copy.deepcopy(BLOCK)
    back["my_chat_member"]["new_chat_member"] = {"status": "member"}  # type: ignore[index]
    assert translate(BLOCK) == ChatBlocked(7001, blocked=True)
    assert translate(back) == ChatBlocked(7001, blocked=False)


@pytest.mark.parametrize(
    ("new", "emoji"),
    [
        ([{"type": "emoji", "emoji": "❤"}], "❤"),
        ([], ""),
        ([{"type": "custom_emoji", "custom_emoji_id": "1"}], "[custom_emoji]"),
    ],
)
def test_a_reaction_is_its_emoji(new: list[Any], emoji: str) -> None:
    """Taking a reaction back is an empty emoji, and so is never mixed up with one that has no sign."""
    update = copy.deepcopy(REACTION)
    update["message_reaction"]["new_reaction"] = new  # type: ignore[index]
    assert translate(update) == Reacted(7001, 5, emoji)


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 1, "message": {**message(text="hi"), "chat": GROUP}},
        {"update_id": 1, "message": {**message(text="hi"), "from": {**FREJA, "is_bot": True}}},
        {"update_id": 1, "my_chat_member": {"chat": GROUP, "new_chat_member": {"status": "member"}}},
        {"update_id": 1, "callback_query": {"id": "1", "from": FREJA, "message": {"chat": GROUP}, "data": "a"}},
        {"update_id": 1, "callback_query": {"id": "1", "from": FREJA, "game_short_name": "chess"}},
        {"update_id": 1, "message_reaction": {"chat": GROUP, "message_id": 4, "user": FREJA, "new_reaction": []}},
        {"update_id": 1, "channel_post": message(text="news")},
        said(pinned_message=message(text="old")),
        {"update_id": 1},
    ],
)
def test_groups_bots_and_service_messages_are_not_for_us(update: dict[str, Any]) -> None:
    """What this product does nothing with says why, so that the inbox can show it."""
    event = translate(update)
    assert isinstance(event, NotForUs)
    assert event.reason


@pytest.mark.parametrize("update", [said(text="hi"), TAP, BLOCK, REACTION])
def test_all_of_one_chat_is_one_lane(update: dict[str, Any]) -> None:
    """Words, taps, blocks and reactions of one customer keep their order among one another."""
    assert lane_of(update) == "chat:7001"


def test_groups_share_the_lane_of_the_bot() -> None:
    """What belongs to no private chat has a lane of its own."""
    assert lane_of({"update_id": 1, "message": {**message(text="hi"), "chat": GROUP}}) == "telegram"


def test_the_row_of_the_inbox_keeps_the_update_whole() -> None:
    """Key, lane and the raw update, an album's group id included."""
    update = said(photo=[FILE], media_group_id="album-1")
    row = incoming(update, NOW)
    assert (row.source, row.key, row.lane, row.received_at) == ("telegram", "1:7001.5", "chat:7001", NOW)
    assert row.payload == update


def test_what_no_database_stores_is_taken_out() -> None:
    """One update with a NUL or half a surrogate pair cannot hold up the inbox."""
    row = incoming(said(text="a\x00b\ud800c"), NOW)
    assert row.payload["message"]["text"] == "abc"
    json.dumps(row.payload).encode()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SAMPLES = [
    said(text="/start abc"),
    said(photo=[FILE], caption="x"),
    said(voice={**FILE, "duration": 3}),
    said(contact={"first_name": "Bo", "phone_number": "+45 1"}),
    {"update_id": 1, "edited_message": message(text="changed")},
    TAP,
    BLOCK,
    REACTION,
]


@st.composite
def mangled(draw: st.DrawFn) -> Any:
    """A real update of which some parts were replaced by anything, or are gone."""
    update: Any = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 3))):
        holder = update
        while isinstance(holder, dict | list) and holder:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            key = draw(st.sampled_from(keys))
            if not isinstance(holder[key], dict | list) or draw(st.integers(0, 2)) == 0:
                if draw(st.booleans()):
                    del holder[key]
                else:
                    holder[key] = draw(anything)
                break
            holder = holder[key]
    return update


@given(mangled() | anything)
def test_no_update_makes_it_raise(update: Any) -> None:
    """However an update is mangled: it is translated or not for us, and its row can be stored."""
    event = translate(update)
    assert type(event).__module__ == inbound.__name__
    if not isinstance(event, NotForUs):
        assert 0 < event.chat_id < 2**63
        assert lane_of(update) == f"chat:{event.chat_id}"
    row = incoming(update, NOW)
    assert row.key
    json.dumps(row.payload, allow_nan=False).encode()


def test_the_same_number_again_is_a_repeat_only_of_the_same_thing() -> None:
    """Numbers begin anew after a quiet week, and each bot has its own: what is not the same is not taken for a repeat."""
    first, edited = said(text="hi"), {"update_id": 1, "edited_message": message(text="hello", edit_date=7)}
    later = {"update_id": 1, "message": {**message(text="hi"), "message_id": 900}}
    tap = {"update_id": 1, "callback_query": {"id": "42", "from": FREJA, "data": "a:1:1:0"}}
    assert incoming(first, NOW).key == incoming(dict(first), NOW).key
    assert len({incoming(each, NOW).key for each in (first, edited, later, tap)}) == 4
