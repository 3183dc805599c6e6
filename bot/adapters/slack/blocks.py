"""What staff see in Slack, as Block Kit: the card of a case and the forms behind its buttons. Pure.

Everything stays within Slack's limits whatever comes in. Words of customers stand in ``plain_text`` or are escaped, so
that a customer's ``<!channel>`` calls nobody. Lengths are counted in UTF-16 units, which is never less
than Slack counts.

Source: https://docs.slack.dev/reference/block-kit/blocks and …/views (limits; read 2026-11-22).
Source: https://docs.slack.dev/messaging/formatting-message-text (which three signs are escaped).
"""

import re
from collections.abc import Mapping
from typing import Any

from babel import Locale, UnknownLocaleError

from bot.ports.channels import Card

Block = dict[str, Any]

CLAIM, REPLY, REMEDY, HAND_OVER = "case_claim", "case_reply", "case_remedy", "case_hand_over"
"""The action ids of a card's buttons; their value is the case id and nothing else."""
WRITE_VIEW, SEND_VIEW, REMEDY_VIEW, HAND_OVER_VIEW = (
    "case_reply_write",
    "case_reply_send",
    "case_remedy_done",
    "case_hand_over_to",
)
"""The callback ids of the forms."""
TEXT, KIND, NOTE, TEAM, REASON, VALUE, CAUSE = "text", "kind", "note", "team", "reason", "value", "cause"
"""The block ids, and action ids, of the forms' fields."""

EVENT_TYPE = "aftersale_case"
REPLY_MAX_CHARS = 2_500
NOTE_MAX_CHARS = 1_000
VALUE_MAX_CHARS = 60
SECTION_MAX_CHARS = 2_900
"""Slack takes 3,000; the rest is for quotation marks and emphasis."""
FALLBACK_MAX_CHARS = 1_000
HEADER_MAX_CHARS = 150
OPTION_TEXT_MAX_CHARS = 75
OPTIONS_MAX = 100
SAID_SECTIONS = 2
"""How many sections the customer's words may fill: together more than Telegram's longest message (4,096)."""

STATES: Mapping[str, str] = {
    "open": "🔴 Open",
    "claimed": "🟠 Claimed",
    "remedied": "🔵 Remedy done – asking the customer",
    "call": "📞 Call the customer",
    "unconfirmed": "⚪ Unconfirmed – the customer stayed silent",
    "confirmed": "🟢 Confirmed by the customer",
}
"""What a state is called: a sign and words, so that nobody needs to tell red from green."""

LABELS: Mapping[str, str] = {
    CLAIM: "Claim",
    REPLY: "Reply to customer",
    REMEDY: "Remedy done",
    HAND_OVER: "Hand over",
}

MENTION = re.compile(r"\{user:([UW][A-Za-z0-9_]+)\}")


# Text --------------------------------------------------------------------------------------------------------------


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


def language_name(tag: str) -> str:
    """Give a language's English name (``da`` is Danish); the tag itself where nobody knows it."""
    try:
        return Locale.parse(tag, sep="-" if "-" in tag else "_").get_display_name("en") or tag
    except (UnknownLocaleError, ValueError, TypeError):
        return tag


def _pieces(text: str, limit: int, most: int, more: str) -> list[str]:
    """Cut a text into at most `most` pieces; the last ends in `more` where something is missing."""
    pieces: list[str] = []
    while text and len(pieces) < most - 1 and size(text) > limit:
        piece = fit(text, limit, more="")
        pieces.append(piece)
        text = text[len(piece) :]
    return [*pieces, fit(text, limit, more=more)] if text else pieces


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _mrkdwn_section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def _plain_sections(text: str, *, most: int, more: str = "…") -> list[Block]:
    # Slack refuses a text of nothing but white space.
    pieces = [piece for piece in _pieces(text, SECTION_MAX_CHARS, most, more) if piece.strip()]
    return [{"type": "section", "text": _plain(piece)} for piece in pieces]


# The card ----------------------------------------------------------------------------------------------------------


def card_blocks(card: Card) -> tuple[str, list[Block], Block]:
    """Give a card as Slack's fallback text (escaped), its blocks and its metadata (by which a repeat is found)."""
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"case_id": card.case_id}}
    said = card.said.strip() or "(no words)"
    blocks = [
        {"type": "header", "text": _plain(_heading(card)) | {"emoji": True}},
        *_status_lines(card),
        {"type": "section", "fields": [{"type": "mrkdwn", "text": field} for field in _fields(card)]},
        _mrkdwn_section("*In the customer’s own words*"),
        *_plain_sections(f"“{said}”", most=SAID_SECTIONS, more="… (continued in the thread)"),
        *_remedy_lines(card),
        {"type": "context", "elements": [_plain(fit(f"So far: {card.history.strip() or 'nothing'}", 900))]},
        *_buttons(card),
    ]
    return _fallback(card, said), blocks, metadata


def _heading(card: Card) -> str:
    round_of = f" – round {card.cycle}" if card.cycle > 1 else ""
    return fit(STATES.get(card.status, card.status or "Case") + round_of, HEADER_MAX_CHARS)


def _status_lines(card: Card) -> list[Block]:
    lines = []
    if card.claimed_by:
        lines.append(f"Claimed by {mrkdwn('{user:' + card.claimed_by + '}')}")
    if card.overdue:
        due = fit(card.due, 200, escaped=True)
        lines.append(f"⏰ *Overdue* – the first answer was due {due}")
    if not card.reachable:
        lines.append("📵 *The bot cannot write to this customer* – call or mail them")
    return [_mrkdwn_section(fit("\n".join(lines), SECTION_MAX_CHARS))] if lines else []


def _fields(card: Card) -> list[str]:
    about = " · ".join(part for part in (card.factor, card.touchpoint) if part) or "not said"
    shown = [
        ("Customer", f"{card.customer.strip() or 'no name'} ({language_name(card.language) or 'language unknown'})"),
        ("Order", card.sale_id),
        ("Bought", card.bought.strip() or "not said"),
        ("Promise concerned", card.promise or "none known"),
        ("What is not right", about),
        ("Team", f"{card.team} – {card.why_team}"),
        ("First answer due", f"{card.due} – {card.due_reason}"),
    ]
    return [f"*{name}*\n{fit(value, 500, escaped=True)}" for name, value in shown]


def _remedy_lines(card: Card) -> list[Block]:
    if not card.remedy:
        return []
    return [_mrkdwn_section(f"*Done about it*\n{fit(card.remedy, 1_500, escaped=True)}")]


def _buttons(card: Card) -> list[Block]:
    wanted = []
    if card.status == "open" or (card.status == "call" and not card.claimed_by):
        wanted.append(CLAIM)
    if card.reachable:
        wanted.append(REPLY)
    if card.status != "confirmed":
        wanted += [REMEDY, HAND_OVER]
    elements: list[Block] = [
        {
            "type": "button",
            "action_id": action,
            "text": _plain(LABELS[action]),
            "value": card.case_id,
            **({"style": "primary"} if action == CLAIM else {}),
        }
        for action in wanted
    ]
    return [{"type": "actions", "block_id": "case_buttons", "elements": elements}] if elements else []


def _fallback(card: Card, said: str) -> str:
    state = STATES.get(card.status, card.status)
    taken = f" by {mrkdwn('{user:' + card.claimed_by + '}')}" if card.claimed_by and card.status == "claimed" else ""
    overdue = " ⏰ Overdue" if card.overdue else ""
    rest = f": {card.customer.strip() or 'a customer'}, order {card.sale_id} – “{said}”"
    return f"{state}{taken}{overdue}" + fit(rest, FALLBACK_MAX_CHARS, escaped=True)


# The forms ---------------------------------------------------------------------------------------------------------


def reply_view(case_id: str, customer: str, language: str, *, signed_as: str) -> Block:
    """Give the form in which staff write to a customer. Nothing is sent by it: the preview comes next.

    Args:
        case_id: the case; carried along.
        customer: their name, or "" where it is not known.
        language: the language that they read, an IETF tag, or "".
        signed_as: how the message will be signed (name and shop).
    """
    named = fit(customer.strip() or "the customer", 80)
    tongue = f" They read {language_name(language)}." if language else ""
    hint = (
        f"{named} gets exactly what the next page shows: your words, signed “{fit(signed_as, 200)}”.{tongue} "
        "Promise only what you know can be kept."
    )
    field = _text_input(TEXT, f"Your reply to {named}", REPLY_MAX_CHARS, hint=hint)
    return _modal(WRITE_VIEW, "Reply to customer", case_id, [field], submit="Preview")


def preview_view(case_id: str, *, name: str, text: str, signed: str, problem: str = "") -> Block:
    """Give the last page before a reply goes out; closing it leads back to the form.

    Args:
        case_id: the case.
        name: how the customer will see whoever writes.
        text: what they wrote; carried along with case and name.
        signed: the whole message, exactly as the customer gets it.
        problem: why the last attempt to send it came to nothing, in plain words.
    """
    warning = [_mrkdwn_section(f"⚠️ *{fit(problem, 500, escaped=True)}*")] if problem else []
    blocks = [*warning, _mrkdwn_section("*The customer gets exactly this:*"), *_plain_sections(signed, most=3)]
    carried = "\n".join((case_id, " ".join(name.split()), text))
    return _modal(SEND_VIEW, "Preview", carried, blocks, submit="Send", close="Back")


def carried_by_preview(private_metadata: str) -> tuple[str, str, str]:
    """Give case id, name and text that a preview carries."""
    case_id, name, text = private_metadata.split("\n", 2)
    return case_id, name, text


def remedy_view(case_id: str, remedies: Mapping[str, str], causes: Mapping[str, str]) -> Block:
    """Give the form that notes a remedy; both map the shop's keys to what people call them."""
    blocks = [
        _select(KIND, "What was done?", remedies),
        _value_input(),
        _select(CAUSE, "Why did it go wrong?", causes),
        _text_input(
            NOTE,
            "What exactly?",
            NOTE_MAX_CHARS,
            hint="The customer is asked whether this puts it right, and may read it. Only they can close the case.",
        ),
    ]
    return _modal(REMEDY_VIEW, "Remedy done", case_id, blocks, submit="Done")


def hand_over_view(case_id: str, teams: Mapping[str, str]) -> Block:
    """Give the form that hands a case to another team; `teams` maps the shop's keys to their names."""
    blocks = [
        _select(TEAM, "Which team puts it right?", teams),
        _text_input(
            REASON, "Why they?", NOTE_MAX_CHARS, hint="The due time stays: handing over does not stop the clock."
        ),
    ]
    return _modal(HAND_OVER_VIEW, "Hand over", case_id, blocks, submit="Hand over")


def _modal(
    callback_id: str, title: str, carried: str, blocks: list[Block], *, submit: str, close: str = "Cancel"
) -> Block:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain(close),
        "private_metadata": carried,
        "blocks": blocks,
    }


def _text_input(name: str, label: str, most: int, *, hint: str) -> Block:
    element = {"type": "plain_text_input", "action_id": name, "multiline": True, "min_length": 1, "max_length": most}
    return {"type": "input", "block_id": name, "label": _plain(label), "hint": _plain(hint), "element": element}


def _value_input() -> Block:
    element = {"type": "plain_text_input", "action_id": VALUE, "max_length": VALUE_MAX_CHARS}
    hint = _plain("Such as 120 kr.; a refund and a credit need it.")
    field = {"type": "input", "block_id": VALUE, "label": _plain("What is it worth?"), "hint": hint}
    return {**field, "element": element, "optional": True}


def _select(name: str, label: str, choices: Mapping[str, str]) -> Block:
    options = [
        {"text": _plain(fit(shown.strip() or key, OPTION_TEXT_MAX_CHARS)), "value": key}
        for key, shown in list(choices.items())[:OPTIONS_MAX]
    ]
    element = {"type": "static_select", "action_id": name, "placeholder": _plain("Choose"), "options": options}
    return {"type": "input", "block_id": name, "label": _plain(label), "element": element}
