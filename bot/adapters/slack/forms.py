"""The forms behind the buttons of a card, as Block Kit views. Pure; what is filled in is read by the listeners.

A form carries ids and, between its page and its preview, the words that were written: nothing is kept elsewhere, so
that a card that is weeks old works like a new one.

Source: https://docs.slack.dev/reference/views (limits; read 2026-11-22).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.adapters.slack.text import (
    Block,
    escape,
    fit,
    language_name,
    one_line,
    plain,
    plain_sections,
    section,
    size,
)
from bot.adapters.slack.words import say
from bot.desk.honesty import Hint

WRITE_VIEW, SEND_VIEW, REMEDY_VIEW, HAND_OVER_VIEW = (
    "case_reply_write",
    "case_reply_send",
    "case_remedy_done",
    "case_hand_over_to",
)
SNOOZE_VIEW, CALL_VIEW, NOTE_VIEW, TASK_VIEW, TASK_DONE_VIEW = (
    "case_snooze_until",
    "case_call_needed",
    "case_note_down",
    "case_task_ask",
    "case_task_done",
)
"""The callback ids of the forms."""
TEXT, KIND, NOTE, TEAM, REASON, VALUE, CAUSE = "text", "kind", "note", "team", "reason", "value", "cause"
WAITS_FOR, UNTIL, SAVED = "waits_for", "until", "saved_answer"
"""The block ids, and action ids, of the forms' fields. That of a reply's text also says, after a colon, which saved
answer it began with: a field of a new name is one whose content Slack lets us set."""

REPLY_MAX_CHARS = 2_500
NOTE_MAX_CHARS = 1_000
VALUE_MAX_CHARS = 60
OPTION_TEXT_MAX_CHARS = 75
OPTION_VALUE_MAX_CHARS = 150
OPTIONS_MAX = 100
TITLE_MAX_CHARS = 24
SAID_MAX_CHARS = 300
HINTS_MAX = 6


@dataclass(frozen=True, slots=True)
class Customer:
    """What a form says about the customer: name, language (an IETF tag, or ""), and their last words."""

    name: str = ""
    language: str = ""
    said: str = ""


def reply_view(
    case_id: str,
    customer: Customer,
    *,
    signed_as: str,
    saved: Sequence[tuple[str, str, str]] = (),
    begun_with: tuple[str, str] = ("", ""),
    spoken: str = "en",
) -> Block:
    """Give the form in which staff write to a customer. Nothing is sent by it: the preview comes next.

    Args:
        case_id: the case; carried along.
        customer: whom they write to.
        signed_as: how the message will be signed (name and shop).
        saved: answers to begin with, as key, name and text.
        begun_with: the key of the saved answer that was chosen, and what then stands in the field.
        spoken: the language of staff.
    """
    named = fit(one_line(customer.name) or say("the_customer", spoken), 80)
    language = fit(language_name(customer.language, spoken), 60) if customer.language else ""
    tongue = say("tongue", spoken, language=language) if language else ""
    blocks: list[Block] = []
    if customer.said.strip():
        shown = say("last_said", spoken, name=escape(named), language=escape(language or "?"))
        blocks += [section(shown), *plain_sections(f"“{fit(customer.said.strip(), SAID_MAX_CHARS)}”", most=1)]
    if saved:
        names = {key: name for key, name, _ in saved}
        blocks.append(
            section(f"*{say('saved', spoken)}*") | {"block_id": SAVED, "accessory": _menu(SAVED, names, spoken)}
        )
    hint = fit(say("reply_hint", spoken, name=named, signed=fit(signed_as, 200), tongue=tongue), 1_900)
    key, words = begun_with
    field = _text_input(TEXT, say("reply_label", spoken, name=named), REPLY_MAX_CHARS, hint=hint)
    if key:
        field["block_id"] = field["element"]["action_id"] = f"{TEXT}:{key}"
        field["element"]["initial_value"] = fit(words, REPLY_MAX_CHARS)
    return _modal(WRITE_VIEW, "reply_title", case_id, [*blocks, field], spoken, submit="preview")


def preview_view(
    case_id: str,
    *,
    name: str,
    text: str,
    signed: str,
    problem: str = "",
    hints: Sequence[Hint] = (),
    spoken: str = "en",
) -> Block:
    """Give the last page before a reply goes out; closing it leads back to the form.

    Args:
        case_id: the case.
        name: how the customer will see whoever writes.
        text: what they wrote; carried along with case and name.
        signed: the whole message, exactly as the customer gets it.
        problem: why the last attempt to send it came to nothing, in plain words.
        hints: what in it may mislead or hurt; the person decides.
        spoken: the language of staff.
    """
    warning = [section(f"⚠️ *{fit(problem, 500, escaped=True)}*")] if problem else []
    blocks = [*warning, section(say("exactly_this", spoken)), *plain_sections(signed, most=3)]
    if hints:
        lines = [
            f"• “{fit(one_line(each.words), 60, escaped=True)}” – {fit(each.advice, 200, escaped=True)}"
            for each in hints[:HINTS_MAX]
        ]
        told = "\n".join([f"💡 {say('look_again', spoken)}", *lines, say("send_anyway", spoken)])
        blocks += [{"type": "divider"}, section(told) | {"block_id": "hints"}]
    carried = "\n".join((case_id, " ".join(name.split()), text))
    return _modal(SEND_VIEW, "preview", carried, blocks, spoken, submit="send", close="back")


def carried_by_preview(private_metadata: str) -> tuple[str, str, str]:
    """Give case id, name and text that a preview carries."""
    case_id, name, text = private_metadata.split("\n", 2)
    return case_id, name, text


def remedy_view(case_id: str, remedies: Mapping[str, str], causes: Mapping[str, str], spoken: str = "en") -> Block:
    """Give the form that notes a remedy; both map the shop's keys to what people call them."""
    value = {"type": "plain_text_input", "action_id": VALUE, "max_length": VALUE_MAX_CHARS}
    blocks = [
        _select(KIND, say("remedy_what", spoken), remedies, spoken),
        _input(VALUE, say("remedy_value", spoken), value, hint=say("remedy_value_hint", spoken)) | {"optional": True},
        _select(CAUSE, say("remedy_cause", spoken), causes, spoken),
        _text_input(NOTE, say("remedy_note", spoken), NOTE_MAX_CHARS, hint=say("remedy_hint", spoken)),
    ]
    return _modal(REMEDY_VIEW, "remedy_title", case_id, blocks, spoken, submit="done_button")


def hand_over_view(case_id: str, teams: Mapping[str, str], spoken: str = "en") -> Block:
    """Give the form that hands a case to another team; `teams` maps the shop's keys to their names."""
    blocks = [
        _select(TEAM, say("hand_over_which", spoken), teams, spoken),
        _text_input(REASON, say("hand_over_why", spoken), NOTE_MAX_CHARS, hint=say("hand_over_hint", spoken)),
    ]
    return _modal(HAND_OVER_VIEW, "hand_over", case_id, blocks, spoken, submit="hand_over")


def snooze_view(case_id: str, until: int, spoken: str = "en") -> Block:
    """Give the form that puts a case aside; `until`: the moment that stands in it at first, in seconds since 1970."""
    waits_for = {each: say(f"waits_{each}", spoken) for each in ("customer", "parcel", "supplier")}
    moment = {"type": "datetimepicker", "action_id": UNTIL, "initial_date_time": until}
    blocks = [
        _select(WAITS_FOR, say("snooze_for", spoken), waits_for, spoken),
        _input(UNTIL, say("snooze_until", spoken), moment, hint=say("snooze_hint", spoken)),
        _text_input(REASON, say("snooze_why", spoken), NOTE_MAX_CHARS),
    ]
    return _modal(SNOOZE_VIEW, "snooze_title", case_id, blocks, spoken, submit="snooze_title")


def call_view(case_id: str, spoken: str = "en") -> Block:
    """Give the form that says that the customer is to be called."""
    field = _text_input(REASON, say("call_label", spoken), NOTE_MAX_CHARS, hint=say("call_hint", spoken))
    return _modal(CALL_VIEW, "call_title", case_id, [field], spoken, submit="save")


def note_view(case_id: str, spoken: str = "en") -> Block:
    """Give the form of a note for colleagues."""
    field = _text_input(TEXT, say("note_label", spoken), NOTE_MAX_CHARS, hint=say("note_hint", spoken))
    return _modal(NOTE_VIEW, "note_title", case_id, [field], spoken, submit="save")


def task_view(case_id: str, teams: Mapping[str, str], spoken: str = "en") -> Block:
    """Give the form that asks another team for something."""
    blocks = [
        _select(TEAM, say("task_team", spoken), teams, spoken),
        _text_input(TEXT, say("task_text", spoken), NOTE_MAX_CHARS, hint=say("task_hint", spoken)),
    ]
    return _modal(TASK_VIEW, "task_title", case_id, blocks, spoken, submit="ask")


def task_done_view(case_id: str, task_id: str, spoken: str = "en") -> Block:
    """Give the form in which the other team says that it is done."""
    field = _text_input(NOTE, say("task_done_label", spoken), NOTE_MAX_CHARS, least=0) | {"optional": True}
    return _modal(TASK_DONE_VIEW, "task_done_title", f"{case_id}:{task_id}", [field], spoken, submit="done_button")


# Parts -------------------------------------------------------------------------------------------------------------


def _modal(
    callback_id: str, title: str, carried: str, blocks: list[Block], spoken: str, *, submit: str, close: str = "cancel"
) -> Block:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": plain(_titled(title, spoken)),
        "submit": plain(_titled(submit, spoken)),
        "close": plain(_titled(close, spoken)),
        "private_metadata": carried,
        "blocks": blocks,
    }


def _titled(key: str, spoken: str) -> str:
    return fit(say(key, spoken), TITLE_MAX_CHARS)


def _input(name: str, label: str, element: Block, *, hint: str = "") -> Block:
    field: Block = {"type": "input", "block_id": name, "label": plain(label), "element": element}
    return {**field, "hint": plain(hint)} if hint else field


def _text_input(name: str, label: str, most: int, *, hint: str = "", least: int = 1) -> Block:
    element = {"type": "plain_text_input", "action_id": name, "multiline": True, "max_length": most}
    return _input(name, label, {**element, "min_length": least} if least else element, hint=hint)


def _menu(name: str, choices: Mapping[str, str], spoken: str) -> Block:
    options = [
        {"text": plain(fit(one_line(shown) or key, OPTION_TEXT_MAX_CHARS)), "value": key}
        for key, shown in list(choices.items())[:OPTIONS_MAX]
        if key and size(key) <= OPTION_VALUE_MAX_CHARS
    ]
    return {"type": "static_select", "action_id": name, "placeholder": plain(say("choose", spoken)), "options": options}


def _select(name: str, label: str, choices: Mapping[str, str], spoken: str) -> Block:
    return _input(name, label, _menu(name, choices, spoken))
