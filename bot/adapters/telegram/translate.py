"""Telegram's raw updates in this product's words. Pure and total: no update, however strange, makes it raise.

It reads the JSON as it came, not the vendor's classes, so that what is in the inbox can be translated years later by
whatever version of the library is installed then.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.flows.events import Media
from bot.ports.inbound import (
    ButtonTapped,
    ChatBlocked,
    ChatEvent,
    ChatStarted,
    CommandGiven,
    MessageEdited,
    MessageWritten,
    NotForUs,
    Reacted,
)
from bot.ports.records import Incoming

_EMPTY: Mapping[str, Any] = {}
_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@\w+)?(?:\s+(.*))?", re.DOTALL)
_ID_BELOW = 2**63
_DEPTH_MAX = 40
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

# How a person reads what is not text. Order matters: an animation also carries a document, a venue a location.
_KINDS = {
    "animation": "animation",
    "audio": "audio",
    "video_note": "video message",
    "video": "video",
    "voice": "voice message",
    "photo": "photo",
    "sticker": "sticker",
    "document": "file",
    "contact": "contact",
    "venue": "place",
    "location": "location",
    "poll": "poll",
    "dice": "dice",
    "game": "game",
    "story": "story",
    "paid_media": "paid media",
    "checklist": "checklist",
    "invoice": "invoice",
    "giveaway": "giveaway",
    "gift": "gift",
    "unique_gift": "gift",
}
# What Telegram itself writes into a private chat about the chat, not by the customer's hand.
# Source: https://core.telegram.org/bots/api#message
_SERVICE = frozenset(
    {
        "chat_background_set",
        "connected_website",
        "message_auto_delete_timer_changed",
        "pinned_message",
        "proximity_alert_triggered",
        "write_access_allowed",
    }
)


def translate(payload: Mapping[str, Any]) -> ChatEvent:
    """Give what happened, in our words; `NotForUs` for all that this product does nothing with.

    `CommandGiven.text` is the whole message as it was written, so that an unknown command can be read as words.
    `MessageWritten.text` is the text or the caption, else a readable stand-in such as ``[voice message, 12 s]``.

    Args:
        payload: One update, as Telegram sent it.
    """
    update = _mapping(payload)
    for kind, read in _READERS.items():
        if kind in update:
            return read(_mapping(update[kind]))
    return NotForUs("an update of a kind that nobody asked for")


def lane_of(payload: Mapping[str, Any]) -> str:
    """Give ``chat:<id>`` for what belongs to a private chat, else ``telegram``. Within a lane order is kept."""
    update = _mapping(payload)
    kind = next((kind for kind in _READERS if kind in update), "")
    inner = _mapping(update.get(kind))
    chat_id = _id(_mapping(inner.get("from")).get("id")) if kind == "callback_query" else _private_chat(inner)
    return "telegram" if chat_id is None else f"chat:{chat_id}"


def _mark(update: Mapping[str, Any]) -> str:
    """Give what an update is about, to be told by beside its number.

    Numbers alone do not tell updates apart for ever: after a quiet week they begin anew anywhere, and another bot has
    some of its own. Source: https://core.telegram.org/bots/api#update (read 2026-11-25).
    """
    kind = next((kind for kind in _READERS if kind in update), "")
    inner = _mapping(update.get(kind))
    chat_id = _mapping(inner.get("chat")).get("id")
    place = chat_id, inner.get("message_id") or inner.get("date"), inner.get("edit_date")
    told = (inner.get("id"),) if kind == "callback_query" else place
    return ".".join(str(each) for each in told if each is not None)


def incoming(payload: Mapping[str, Any], now: datetime) -> Incoming:
    """Give the row of the inbox for an update. `media_group_id` of an album stays in its payload.

    What no database stores (a NUL, half a surrogate pair, a number that is none) is taken out, so that one broken
    update cannot hold up all that come after it.
    """
    update_id = _mapping(payload).get("update_id")
    cleaned = {str(key): value for key, value in _mapping(_storable(payload)).items()}
    if type(update_id) is int:
        key = f"{update_id}:{_mark(cleaned)}"
    else:
        key = hashlib.sha256(json.dumps(cleaned, sort_keys=True).encode()).hexdigest()
    return Incoming(source="telegram", key=key, lane=lane_of(payload), payload=cleaned, received_at=now)


# --- the kinds of updates ------------------------------------------------------------------------------------------


def _message(message: Mapping[str, Any]) -> ChatEvent:
    place = _written_place(message)
    if isinstance(place, NotForUs):
        return place
    chat_id, message_id = place
    sender = _mapping(message.get("from"))
    language = _text(sender.get("language_code")) or None
    text = _text(message.get("text"))
    if command := _COMMAND.fullmatch(text.strip()):
        name, rest = command[1].lower(), (command[2] or "").strip()
        if name == "start":
            return ChatStarted(chat_id, rest or None, _text(sender.get("first_name")), language)
        return CommandGiven(chat_id, name, text, language)
    words, media = _content(message)
    return MessageWritten(chat_id, message_id, words, media, language)


def _edited(message: Mapping[str, Any]) -> ChatEvent:
    place = _written_place(message)
    if isinstance(place, NotForUs):
        return place
    words, media = _content(message)
    return MessageEdited(*place, words, media)


def _tap(query: Mapping[str, Any]) -> ChatEvent:
    tapper, message = _mapping(query.get("from")), _mapping(query.get("message"))
    chat_id = _id(tapper.get("id"))
    if chat_id is None or tapper.get("is_bot") is True:
        return NotForUs("a tap by nobody that we could answer")
    if "chat" in message and _id(_mapping(message["chat"]).get("id")) != chat_id:
        return NotForUs("a tap outside a private chat")
    data = query.get("data")
    if not isinstance(data, str) or not data:
        return NotForUs("a tap without data")
    # An inaccessible message is dated 0; it can be neither read nor edited.
    # Source: https://core.telegram.org/bots/api#inaccessiblemessage
    message_id = _id(message.get("message_id")) if message.get("date") else None
    language = _text(tapper.get("language_code")) or None
    return ButtonTapped(chat_id, data, message_id, language, _text(message.get("text")))


def _membership(change: Mapping[str, Any]) -> ChatEvent:
    chat_id = _private_chat(change)
    if chat_id is None:
        return NotForUs("membership in a group or channel; this bot talks in private chats only")
    status = _mapping(change.get("new_chat_member")).get("status")
    if status in ("kicked", "member"):
        return ChatBlocked(chat_id, blocked=status == "kicked")
    return NotForUs("a change of membership that is neither blocking nor unblocking")


def _reaction(reaction: Mapping[str, Any]) -> ChatEvent:
    chat_id, message_id = _private_chat(reaction), _id(reaction.get("message_id"))
    reactor = _mapping(reaction.get("user"))
    if chat_id is None or message_id is None or reactor.get("is_bot") is True:
        return NotForUs("a reaction outside a private chat")
    new = reaction.get("new_reaction")
    first = _mapping(new[0]) if isinstance(new, list) and new else _EMPTY
    if not first:
        return Reacted(chat_id, message_id, "")
    # A custom emoji has an id instead of a sign.
    return Reacted(chat_id, message_id, _text(first.get("emoji")) or f"[{_text(first.get('type')) or 'reaction'}]")


_READERS: Mapping[str, Callable[[Mapping[str, Any]], ChatEvent]] = {
    "message": _message,
    "edited_message": _edited,
    "callback_query": _tap,
    "my_chat_member": _membership,
    "message_reaction": _reaction,
}


# --- the parts of a message ----------------------------------------------------------------------------------------


def _written_place(message: Mapping[str, Any]) -> tuple[int, int] | NotForUs:
    """Give chat and message id, or why the message is not for us."""
    if not message:
        return NotForUs("an empty message")
    chat_id, message_id = _private_chat(message), _id(message.get("message_id"))
    if chat_id is None:
        return NotForUs("a message in a group or channel; this bot talks in private chats only")
    if _mapping(message.get("from")).get("is_bot") is True:
        return NotForUs("a message by a bot")
    if message_id is None:
        return NotForUs("a message without a number")
    if service := _SERVICE & message.keys():
        return NotForUs(f"a service message: {min(service)}")
    return chat_id, message_id


def _content(message: Mapping[str, Any]) -> tuple[str, tuple[Media, ...]]:
    """Give the words (or a stand-in for what is not words) and the media."""
    text = _text(message.get("text"))
    kind = next((kind for kind in _KINDS if message.get(kind)), None)
    if kind is None and text:
        return text, ()
    if kind is None:
        # A kind younger than this table. Somebody must look at it: the payload in the inbox has it whole.
        return "[something that this bot cannot read]", (Media("unknown", "", ""),)
    caption = _text(message.get("caption"))
    content = message.get(kind)
    # Of a photo Telegram lists its sizes, the largest last.
    thing = _mapping(content[-1] if isinstance(content, list) and content else content)
    file_id, detail = _text(thing.get("file_id")), _detail(kind, thing)
    stand_in = f"[{_KINDS[kind]}{detail}]"
    # What has no file (a place, a contact) is all in its stand-in: that must not be lost beside a caption.
    media = Media(kind, file_id, caption or ("" if file_id else stand_in))
    return text or caption or stand_in, (media,)


def _detail(kind: str, thing: Mapping[str, Any]) -> str:
    """Give what a person wants to know of a thing that they do not see, to stand after its name."""
    names = {
        "audio": ("performer", "title"),
        "sticker": ("emoji",),
        "document": ("file_name",),
        "contact": ("first_name", "last_name", "phone_number"),
        "venue": ("title", "address"),
        "location": ("latitude", "longitude"),
        "poll": ("question",),
        "dice": ("emoji", "value"),
        "game": ("title",),
        "checklist": ("title",),
    }.get(kind, ())
    shown = [str(thing[name]) for name in names if isinstance(thing.get(name), str | int | float)]
    if shown:
        return f": {', '.join(shown)}"
    duration = thing.get("duration")
    return f", {duration} s" if type(duration) is int else ""


# --- values that may be anything -----------------------------------------------------------------------------------


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else _EMPTY


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(value: object) -> int | None:
    """Give a positive id that a database takes; a bool is an int in Python, but no id."""
    return value if type(value) is int and 0 < value < _ID_BELOW else None


def _private_chat(holder: Mapping[str, Any]) -> int | None:
    chat = _mapping(holder.get("chat"))
    return _id(chat.get("id")) if chat.get("type") == "private" else None


def _storable(value: Any, depth: int = 0) -> Any:
    if depth > _DEPTH_MAX:
        return None
    if isinstance(value, str):
        return _storable_text(value)
    # Most of an update are numbers, and most of the rest are plain dicts: to ask for any Mapping takes far longer.
    if isinstance(value, dict) or (not isinstance(value, int) and isinstance(value, Mapping)):
        return {_storable_text(str(key)): _storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _storable_text(text: str) -> str:
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("", text)
