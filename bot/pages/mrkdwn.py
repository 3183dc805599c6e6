"""Slack's own markup as HTML: bold, italics, struck, code, quotes, links, mentions. Pure; everything else is escaped.

Source: https://docs.slack.dev/messaging/formatting-message-text (read 2026-11-25).
"""

import re
from collections.abc import Mapping
from html import escape

_SPAN = re.compile(
    r"```(?P<pre>.+?)```|`(?P<code>[^`\n]+)`|<(?P<angle>[^<>]+)>"
    r"|(?<![\w*])\*(?P<bold>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<italic>[^\s_](?:[^_\n]*[^\s_])?)_(?![\w_])"
    r"|(?<![\w~])~(?P<struck>[^\s~](?:[^~\n]*[^\s~])?)~(?![\w~])",
    re.DOTALL,
)
_TAGS = {"bold": "strong", "italic": "em", "struck": "s"}
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


def html(text: str, names: Mapping[str, str]) -> str:
    """Give `text` as HTML; `names` are those of members and channels, by id."""
    lines: list[str] = []
    quoted: list[str] = []
    for line in text.split("\n"):
        if line.startswith("&gt;"):
            quoted.append(_inline(line.removeprefix("&gt;").lstrip(), names))
            continue
        if quoted:
            lines.append(f"<blockquote>{'<br>'.join(quoted)}</blockquote>")
            quoted = []
        lines.append(_inline(line, names))
    if quoted:
        lines.append(f"<blockquote>{'<br>'.join(quoted)}</blockquote>")
    return "<br>".join(lines).replace("</blockquote><br>", "</blockquote>").replace("<br><blockquote>", "<blockquote>")


def plain(text: str) -> str:
    """Give plain text of a block as HTML."""
    return escape(text).replace("\n", "<br>")


def _inline(text: str, names: Mapping[str, str]) -> str:
    parts: list[str] = []
    end = 0
    for found in _SPAN.finditer(text):
        parts.append(_text(text[end : found.start()]))
        parts.append(_span(found, names))
        end = found.end()
    return "".join([*parts, _text(text[end:])])


def _span(found: re.Match[str], names: Mapping[str, str]) -> str:
    kind = found.lastgroup or ""
    inside = found.group(kind)
    if kind in ("pre", "code"):
        return f"<code>{_text(inside)}</code>"
    if kind == "angle":
        return _angle(inside, names)
    return f"<{_TAGS[kind]}>{_inline(inside, names)}</{_TAGS[kind]}>"


def _angle(inside: str, names: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    if target.startswith(("@", "#")):
        name = label or names.get(target[1:], target[1:])
        return f'<span class="mention">{target[0]}{_text(name)}</span>'
    if target.startswith("!date^"):
        return _text(label)
    if target.startswith("!"):
        return f'<span class="mention">@{_text(label or target[1:])}</span>'
    if re.match(r"https?://|mailto:", target):
        return f'<a href="{_text(target)}" target="_blank" rel="noreferrer">{_text(label or target)}</a>'
    return _text(f"<{inside}>")


def _text(text: str) -> str:
    """Escape once: Slack's text has its three signs escaped already."""
    for entity, sign in _ENTITIES.items():
        text = text.replace(entity, sign)
    return escape(text)
