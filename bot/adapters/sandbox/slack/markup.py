"""Blocks and views as HTML, as close to Slack's look as a page without Slack's client comes. Pure; changes nothing.

Every text is escaped here: what a customer wrote stays words. What can be pressed or filled in carries what an app is
told of it (``data-block``, ``data-action``, ``data-value``), so that a page can play a member of staff. The lines for a
terminal are `rendering`'s.

Source: https://docs.slack.dev/messaging/formatting-message-text (mrkdwn; read 2026-11-25).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.rendering import label_of, options_of

Values = Mapping[str, Mapping[str, Json]]
"""What is filled in, by block and action: a view's ``state.values``."""

STYLE = """
.sk{font:15px/1.46 Slack-Lato,Lato,"Helvetica Neue",Arial,"Noto Color Emoji",sans-serif;
color:#1d1c1d;overflow-wrap:anywhere}
.sk>*{margin:8px 0}
.sk h3{font-size:18px;line-height:1.3;margin:8px 0}
.sk hr{border:0;border-top:1px solid #ddd;margin:12px 0}
.sk blockquote{margin:4px 0;padding-left:12px;border-left:4px solid #ddd}
.sk code{background:#f6f6f6;border:1px solid #ddd;border-radius:3px;padding:1px 3px;font-size:12px;color:#c01343}
.sk pre{background:#f6f6f6;border:1px solid #ddd;border-radius:4px;padding:8px;white-space:pre-wrap;margin:4px 0}
.sk a{color:#1264a3;text-decoration:none}
.sk .at{background:#e8f5fa;color:#1264a3;border-radius:3px;padding:0 2px}
.sk .call{background:#fff1ce;border-radius:3px;padding:0 2px;font-weight:700}
.sk .with{display:flex;gap:16px;align-items:flex-start;justify-content:space-between}
.sk .fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px}
.sk .context{font-size:12px;color:#616061;display:flex;flex-wrap:wrap;gap:4px 10px}
.sk .context img{height:20px}
.sk .actions{display:flex;flex-wrap:wrap;gap:8px}
.sk button,.sk summary{font:inherit;font-size:13px;font-weight:700;padding:4px 12px;border:1px solid #bbb;
border-radius:4px;background:#fff;color:#1d1c1d;cursor:pointer;list-style:none;white-space:nowrap}
.sk button.primary{background:#007a5a;border-color:#007a5a;color:#fff}
.sk button.danger{color:#e01e5a;border-color:#e01e5a}
.sk details{position:relative;display:inline-block}
.sk details[open]>div{position:absolute;right:0;z-index:2;background:#fff;border:1px solid #ddd;border-radius:6px;
padding:4px 0;box-shadow:0 4px 12px #0002;min-width:200px}
.sk details>div button{display:block;width:100%;border:0;border-radius:0;text-align:left;font-weight:400}
.sk label{display:block;font-weight:700}
.sk label small{font-weight:400;color:#616061}
.sk .hint{font-size:13px;color:#616061}
.sk input,.sk textarea,.sk select{font:inherit;width:100%;box-sizing:border-box;padding:6px 10px;border:1px solid #999;
border-radius:4px;background:#fff}
.sk .actions select,.sk .with select{width:auto}
.sk textarea{min-height:96px}
.sk .picture{max-width:360px;max-height:360px;border-radius:8px}
.sk-modal{width:520px;border:1px solid #ddd;border-radius:8px;background:#fff;box-shadow:0 8px 24px #0002}
.sk-modal>header{font:700 20px Lato,Arial,sans-serif;padding:18px 24px 6px}
.sk-modal>div{padding:0 24px}
.sk-modal>footer{display:flex;justify-content:flex-end;gap:12px;padding:16px 24px}
"""
"""The style sheet of what is given here; every rule is bound to the class ``sk`` or ``sk-modal``."""

_CODE = re.compile(r"```(.+?)```|`([^`\n]+)`", re.DOTALL)
_ANGLES = re.compile(r"<([^<>\n]+)>")
_KEPT = re.compile(r"\x00(\d+)\x00")
_STYLES = (
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]*[^\s*])\*(?![\w*])"), "strong"),
    (re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]*[^\s_])_(?![\w_])"), "em"),
    (re.compile(r"(?<![\w~])~(?=[^\s~])([^~\n]*[^\s~])~(?![\w~])"), "s"),
)
_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)


def html(blocks: Sequence[Json], users: Mapping[str, str] | None = None, *, text: str = "") -> str:
    """Give the blocks of a message as one ``<div class="sk">``.

    Args:
        blocks: as they were sent, or as Slack gives them back.
        users: names by user id, for mentions.
        text: what is shown where there are no blocks.
    """
    inner = "".join(_block(block, users or {}, {}) for block in blocks) or f"<p>{mrkdwn(text, users)}</p>"
    return f'<div class="sk">{inner}</div>'


def view_html(view: Json, users: Mapping[str, str] | None = None) -> str:
    """Give a modal as Slack frames it, or a home tab, with what is filled in."""
    values: Values = (view.get("state") or {}).get("values") or {}
    inner = "".join(_block(block, users or {}, values) for block in view.get("blocks") or [])
    body = f'<div class="sk">{inner}</div>'
    if view.get("type") != "modal":
        return body
    ends = [("close", ""), ("submit", " primary")]
    buttons = "".join(
        f'<button type="button" class="{name}{style}" data-view="{name}">{_plain(view[name])}</button>'
        for name, style in ends
        if view.get(name)
    )
    title = _plain(view["title"]) if view.get("title") else ""
    return f'<div class="sk-modal"><header>{title}</header>{body}<footer class="sk">{buttons}</footer></div>'


def mrkdwn(text: str, users: Mapping[str, str] | None = None) -> str:
    """Give a text in Slack's own markup as HTML; nothing in it becomes an element but what that markup knows."""
    kept: list[str] = []

    def keep(made: str) -> str:
        kept.append(made)
        return f"\x00{len(kept) - 1}\x00"

    def code(found: re.Match[str]) -> str:
        block, inline = found.groups()
        return keep(f"<pre>{_safe(block.strip(chr(10)))}</pre>" if block else f"<code>{_safe(inline)}</code>")

    text = _CODE.sub(code, text.replace("\x00", ""))
    text = _ANGLES.sub(lambda found: keep(_angled(found[1], users or {})), text)
    text = _safe(text)
    for pattern, tag in _STYLES:
        text = pattern.sub(rf"<{tag}>\1</{tag}>", text)
    return _KEPT.sub(lambda found: kept[int(found[1])], _lines(text))


def _angled(inner: str, users: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    if target.startswith("@"):
        return f'<span class="at">@{escape(users.get(target[1:], label or target[1:]))}</span>'
    if target.startswith("#"):
        return f'<span class="at">#{_safe(label or target[1:])}</span>'
    if target.startswith("!date^"):
        return _safe(label)
    if target.startswith("!"):
        return f'<span class="call">@{_safe(label or target[1:])}</span>'
    if _LINK.match(target):
        return f'<a href="{_safe(target)}" rel="noreferrer noopener" target="_blank">{_safe(label or target)}</a>'
    return _safe(f"<{inner}>")


def _safe(text: str) -> str:
    """Escape for HTML what may be escaped for Slack already."""
    for given, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(given, sign)
    return escape(text)


def _lines(text: str) -> str:
    """Break lines, and put together those that are quoted."""
    shown: list[str] = []
    quoted: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.startswith("&gt;"):
            quoted.append(line.removeprefix("&gt;").lstrip())
            continue
        if quoted:
            shown.append(f"<blockquote>{'<br>'.join(quoted)}</blockquote>")
            quoted = []
        shown.append(line)
    joined = "<br>".join(shown[:-1] if shown[-1] == "" else shown)
    return joined.replace("<br><blockquote>", "<blockquote>").replace("</blockquote><br>", "</blockquote>")


def _plain(text: Json) -> str:
    return escape(str(text.get("text", ""))).replace("\n", "<br>")


def _text(text: Json, users: Mapping[str, str]) -> str:
    return mrkdwn(str(text.get("text", "")), users) if text.get("type") == "mrkdwn" else _plain(text)


# Blocks ------------------------------------------------------------------------------------------------------------


def _block(block: Json, users: Mapping[str, str], values: Values) -> str:
    made = _BLOCKS.get(str(block.get("type")))
    return made(block, users, values) if made else f"<p>({escape(str(block.get('type')))})</p>"


def _header(block: Json, _users: Mapping[str, str], _values: Values) -> str:
    return f"<h3>{_plain(block['text'])}</h3>"


def _divider(_block: Json, _users: Mapping[str, str], _values: Values) -> str:
    return "<hr>"


def _section(block: Json, users: Mapping[str, str], values: Values) -> str:
    parts = [f"<div>{_text(block['text'], users)}</div>"] if block.get("text") else []
    if block.get("fields"):
        parts.append(
            f'<div class="fields">{"".join(f"<div>{_text(each, users)}</div>" for each in block["fields"])}</div>'
        )
    if not block.get("accessory"):
        return f"<div>{''.join(parts)}</div>"
    return f'<div class="with"><div>{"".join(parts)}</div>{_element(block, block["accessory"], values)}</div>'


def _context(block: Json, users: Mapping[str, str], _values: Values) -> str:
    items = (_picture(each) if each.get("type") == "image" else _text(each, users) for each in block["elements"])
    return f'<div class="context">{"".join(f"<span>{item}</span>" for item in items)}</div>'


def _actions(block: Json, _users: Mapping[str, str], values: Values) -> str:
    return f'<div class="actions">{"".join(_element(block, each, values) for each in block["elements"])}</div>'


def _image(block: Json, _users: Mapping[str, str], _values: Values) -> str:
    title = f"<div>{_plain(block['title'])}</div>" if block.get("title") else ""
    return f"<div>{title}{_picture(block)}</div>"


def _input(block: Json, _users: Mapping[str, str], values: Values) -> str:
    optional = " <small>(optional)</small>" if block.get("optional") else ""
    hint = f'<div class="hint">{_plain(block["hint"])}</div>' if block.get("hint") else ""
    return (
        f"<div><label>{_plain(block['label'])}{optional}</label>{_element(block, block['element'], values)}{hint}</div>"
    )


def _picture(image: Json) -> str:
    # Of no other host than the sandbox's own; a page that shows this decides whether it may load anything.
    address = escape(str(image.get("image_url") or (image.get("slack_file") or {}).get("url") or ""))
    return f'<img class="picture" src="{address}" alt="{escape(str(image.get("alt_text", "")))}">'


_BLOCKS: Mapping[str, Callable[[Json, Mapping[str, str], Values], str]] = {
    "header": _header,
    "divider": _divider,
    "section": _section,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "input": _input,
}


# Elements ----------------------------------------------------------------------------------------------------------


def _element(block: Json, element: Json, values: Values) -> str:
    kind, names = str(element.get("type")), _names(block, element)
    filled = (values.get(str(block.get("block_id"))) or {}).get(str(element.get("action_id"))) or {}
    match kind:
        case "button":
            style = escape(str(element.get("style", "")))
            value = escape(str(element.get("value", "")))
            return (
                f'<button type="button" class="{style}" {names} data-value="{value}">{_plain(element["text"])}</button>'
            )
        case "overflow":
            items = "".join(
                f'<button type="button" {names} data-option="{escape(str(each["value"]))}">'
                f"{_plain(each['text'])}</button>"
                for each in options_of(element)
            )
            return f'<details><summary aria-label="More actions">⋯</summary><div>{items}</div></details>'
        case "image":
            return _picture(element)
        case "plain_text_input":
            return _typed(element, names, str(filled.get("value") or element.get("initial_value") or ""))
        case "datepicker" | "timepicker" | "datetimepicker":
            return _picked(kind, element, names, filled)
        case _ if options_of(element):
            return _chosen(element, names, filled)
        case _:
            return f"<span {names}>[{escape(label_of(element) or kind)}]</span>"


def _names(block: Json, element: Json) -> str:
    ids = escape(str(block.get("block_id", ""))), escape(str(element.get("action_id", "")))
    return 'data-block="{}" data-action="{}"'.format(*ids)


def _typed(element: Json, names: str, value: str) -> str:
    longest = f' maxlength="{int(element["max_length"])}"' if "max_length" in element else ""
    placeholder = f' placeholder="{escape(label_of(element))}"' if label_of(element) else ""
    if element.get("multiline"):
        return f"<textarea {names}{longest}{placeholder}>{escape(value)}</textarea>"
    return f'<input type="text" {names}{longest}{placeholder} value="{escape(value)}">'


def _picked(kind: str, element: Json, names: str, filled: Json) -> str:
    what = {"datepicker": "date", "timepicker": "time", "datetimepicker": "date_time"}[kind]
    value = filled.get(f"selected_{what}") or element.get(f"initial_{what}") or ""
    shape = what
    if what == "date_time":  # Seconds since 1970 for an app; for a page a moment, in UTC.
        shape, value = "datetime-local", f"{datetime.fromtimestamp(int(value), UTC):%Y-%m-%dT%H:%M}" if value else ""
    return f'<input type="{shape}" {names} value="{escape(str(value))}">'


def _chosen(element: Json, names: str, filled: Json) -> str:
    known = filled or {
        "selected_option": element.get("initial_option"),
        "selected_options": element.get("initial_options"),
    }
    picked = {
        str(each["value"]) for each in [known.get("selected_option"), *(known.get("selected_options") or [])] if each
    }
    multiple = " multiple" if str(element["type"]) in {"checkboxes", "multi_static_select"} else ""
    empty = "" if multiple else f'<option value="">{escape(label_of(element) or "Choose")}</option>'
    return f"<select {names}{multiple}>{empty}{''.join(_options(element, picked))}</select>"


def _options(element: Json, picked: set[str]) -> Iterator[str]:
    for option in options_of(element):
        value = str(option["value"])
        yield (
            f'<option value="{escape(value)}"{" selected" if value in picked else ""}>{_plain(option["text"])}</option>'
        )
