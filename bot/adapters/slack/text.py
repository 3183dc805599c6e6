"""Texts as Slack takes them: measured, cut, escaped, with no mention but our own. Pure.

Words of customers stand in ``plain_text`` or are escaped, so that a customer's ``<!channel>`` calls nobody. Lengths are
counted in UTF-16 units, which is never less than Slack counts.

Source: https://docs.slack.dev/messaging/formatting-message-text (which three signs are escaped; read 2026-11-22).
"""

import re
from typing import Any

from babel import Locale, UnknownLocaleError

Block = dict[str, Any]

SECTION_MAX_CHARS = 2_900
"""Slack takes 3,000; the rest is for quotation marks and emphasis."""

MENTION = re.compile(r"\{user:([UW][A-Za-z0-9_]+)\}")


def size(text: str) -> int:
    """Give the length of a text in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escape(text: str) -> str:
    """Escape the three signs that Slack reads as its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def fit(text: str, limit: int, *, more: str = "…", escaped: bool = False) -> str:
    """Cut `text` to `limit` units, ending in `more` where something is missing; escape it first if so wished."""
    whole = escape(text) if escaped else text
    if size(whole) <= limit:
        return whole
    room = limit - size(more)
    kept: list[str] = []
    for sign in text:
        part = escape(sign) if escaped else sign
        room -= size(part)
        if room < 0:
            break
        kept.append(part)
    return "".join(kept).rstrip() + more if more else "".join(kept)


def mrkdwn(text: str) -> str:
    """Escape `text`, all but our own mentions: ``{user:U1}`` calls that user, nothing else calls anybody."""
    done, at = [], 0
    for mention in MENTION.finditer(text):
        done += [escape(text[at : mention.start()]), f"<@{mention[1]}>"]
        at = mention.end()
    return "".join(done) + escape(text[at:])


def user(user_id: str) -> str:
    """Name a user so that Slack shows, and calls, them; nothing else passes for one."""
    return mrkdwn(f"{{user:{user_id}}}")


def one_line(text: str) -> str:
    """Give a text in one line, so that nobody's line breaks take a card apart."""
    return " ".join(text.split())


def language_name(tag: str, spoken: str = "en") -> str:
    """Give a language's name (``da`` is Danish) as it is `spoken`; the tag itself where nobody knows it."""
    try:
        name = Locale.parse(tag, sep="-" if "-" in tag else "_").get_display_name(spoken)
    except (UnknownLocaleError, ValueError, TypeError):
        return tag
    return name or tag


def pieces(text: str, limit: int, most: int, more: str) -> list[str]:
    """Cut a text into at most `most` pieces; the last ends in `more` where something is missing."""
    cut: list[str] = []
    while text and len(cut) < most - 1 and size(text) > limit:
        piece = fit(text, limit, more="")
        cut.append(piece)
        text = text[len(piece) :]
    return [*cut, fit(text, limit, more=more)] if text else cut


# The smallest blocks -------------------------------------------------------------------------------------------------


def plain(text: str, *, emoji: bool = False) -> Block:
    """Give a text in which nothing means anything."""
    return {"type": "plain_text", "text": text, "emoji": emoji}


def marked(text: str) -> Block:
    """Give a text in Slack's markup; whoever calls has escaped what is not theirs."""
    return {"type": "mrkdwn", "text": text}


def section(text: str) -> Block:
    """Give a paragraph in Slack's markup."""
    return {"type": "section", "text": marked(fit(text, SECTION_MAX_CHARS))}


def plain_sections(text: str, *, most: int, more: str = "…") -> list[Block]:
    """Give a text as paragraphs in which nothing means anything. Slack refuses one of nothing but white space."""
    return [
        {"type": "section", "text": plain(piece)}
        for piece in pieces(text, SECTION_MAX_CHARS, most, more)
        if piece.strip()
    ]


def button(action: str, label: str, value: str, *, style: str = "", **more: Any) -> Block:
    """Give a button; its value is all that comes back with a press."""
    shaped = {"style": style} if style else {}
    return {"type": "button", "action_id": action, "text": plain(label), "value": value, **shaped, **more}
