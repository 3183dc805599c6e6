"""What staff see in a channel, as Block Kit: the card of a case, and of a task for another team. Pure.

Everything stays within Slack's limits whatever comes in. The forms behind the buttons are `forms`', the home tab is
`home`'s.

Source: https://docs.slack.dev/reference/block-kit/blocks (limits; read 2026-11-22).
"""

from typing import Any

from bot.adapters.slack.text import (
    Block,
    button,
    escape,
    fit,
    language_name,
    marked,
    one_line,
    plain,
    plain_sections,
    section,
    size,
    user,
)
from bot.adapters.slack.words import factor, label, say, state, things
from bot.desk.states import SAID_ON_CARD
from bot.ports.channels import Card, TaskCard

CLAIM, REPLY, REMEDY, HAND_OVER = "case_claim", "case_reply", "case_remedy", "case_hand_over"
SNOOZE, CALL, NOTE_DOWN, TASK = "case_snooze", "case_call", "case_note", "case_task"
MORE, TASK_DONE = "case_more", "task_done"
"""The action ids of what can be pressed on a card. A button's value is the case id and nothing else; an item of the
menu says ``action:case id``, the button of a task ``case id:task id``."""
OPEN_LINK = "open_card"
"""The action id of a button that is only a link."""

EVENT_TYPE, TASK_EVENT_TYPE = "aftersale_case", "aftersale_task"
FALLBACK_MAX_CHARS = 1_000
HEADER_MAX_CHARS = 150
TASKS_SHOWN = 8

AT_WORK = ("open", "claimed", "call")
"""The states in which a card says how pressing it is."""


# The card of a case --------------------------------------------------------------------------------------------------


def card_blocks(card: Card) -> tuple[str, list[Block], Block]:
    """Give a card as Slack's fallback text (escaped), its blocks and its metadata (by which a repeat is found)."""
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"case_id": card.case_id}}
    spoken = card.staff_language
    said = card.said.strip() or say("no_words", spoken)
    blocks = [
        {"type": "header", "text": plain(_heading(card), emoji=True)},
        *_status_lines(card),
        section(_who(card)),
        {"type": "context", "elements": [plain(say("own_words", spoken))]},
        *plain_sections(_quoted(said, spoken), most=1),
        *_media_line(card),
        {"type": "section", "fields": [marked(field) for field in _fields(card)]},
        *_remedy_lines(card),
        *_task_lines(card),
        {"type": "context", "elements": [plain(fit(_so_far(card), 900))]},
        *_buttons(card),
    ]
    return _fallback(card, said), blocks, metadata


def _heading(card: Card) -> str:
    """Give state and light: a sign, and in words both, so that nobody needs to tell red from green."""
    words, pressing = [state(card.status, card.staff_language) or "Case"], one_line(card.light_word)
    if card.status in AT_WORK and pressing.lower() != words[0].lower():
        words.append(pressing)
    if card.cycle > 1:
        words.append(say("round", card.staff_language, n=card.cycle))
    shape = "✅" if card.status == "confirmed" else card.light_shape
    return fit(f"{shape} {' · '.join(word for word in words if word)}".strip(), HEADER_MAX_CHARS)


def _status_lines(card: Card) -> list[Block]:
    spoken, lines = card.staff_language, []
    if card.call_reason:
        lines.append(say("call_why", spoken, why=fit(one_line(card.call_reason), 400, escaped=True)))
    if card.claimed_by:
        lines.append(say("claimed_by", spoken, who=user(card.claimed_by)))
    if card.rung and card.called_upon and card.called_upon != card.claimed_by:
        lines.append(say("answerable", spoken, who=user(card.called_upon)))
    sentences = (card.snoozed, card.clock, card.fell_back)
    lines += [fit(one_line(each), 400, escaped=True) for each in sentences if each]
    if not card.reachable:
        lines.append(say("unreachable", spoken))
    return [section("\n".join(lines))] if lines else []


def _who(card: Card) -> str:
    spoken = card.staff_language
    name = fit(one_line(card.customer) or say("no_name", spoken), 200, escaped=True)
    about = [f"*{name}*" if "*" not in name else name]
    if card.language:
        about.append(say("reads", spoken, language=escape(fit(language_name(card.language, spoken), 60))))
    about.append(say("order", spoken, id=fit(one_line(card.sale_id), 100, escaped=True)))
    bought = fit(one_line(card.bought), 500, escaped=True)
    return " · ".join(about) + (f"\n{bought}" if bought else "")


def _quoted(said: str, spoken: str) -> str:
    more = say("continued", spoken)
    return f"“{said}”" if size(said) <= SAID_ON_CARD else f"“{fit(said, SAID_ON_CARD - size(more), more='')}” {more}"


def _media_line(card: Card) -> list[Block]:
    if not card.media:
        return []
    shown = say("in_thread", card.staff_language, things=things(list(card.media), card.staff_language))
    return [{"type": "context", "elements": [plain(fit(f"📎 {shown}", 300), emoji=True)]}]


def _fields(card: Card) -> list[str]:
    spoken = card.staff_language
    about = " · ".join(part for part in (card.factor and factor(card.factor, spoken), card.touchpoint) if part)
    promise = card.promise or ""
    if card.promised_by:
        promise = ", ".join(part for part in (promise, say("promised_by", spoken, who=card.promised_by)) if part)
    shown = [
        ("not_right", about),
        ("promise", promise),
        ("overdue" if card.overdue else "due", " – ".join(part for part in (card.due, card.due_reason) if part)),
        ("team", " – ".join(part for part in (card.team, card.why_team) if part)),
    ]
    filled = [(name, fit(one_line(value), 500, escaped=True)) for name, value in shown]
    # What is not known takes no place.
    return [f"*{say(name, spoken)}*\n{value}" for name, value in filled if value] or [f"*{say('team', spoken)}*"]


def _remedy_lines(card: Card) -> list[Block]:
    if not card.remedy:
        return []
    return [section(f"*{say('done', card.staff_language)}*\n{fit(card.remedy, 1_500, escaped=True)}")]


def _task_lines(card: Card) -> list[Block]:
    if not card.tasks:
        return []
    spoken = card.staff_language
    lines = [f"*{say('tasks', spoken)}*", *(_task_line(each, spoken) for each in card.tasks[:TASKS_SHOWN])]
    if left := len(card.tasks) - TASKS_SHOWN:
        lines += [say("tasks_more", spoken, n=left)] if left > 0 else []
    return [section("\n".join(lines))]


def _task_line(task: TaskCard, spoken: str) -> str:
    what = f"{fit(one_line(task.team), 60, escaped=True)}: {fit(one_line(task.text), 150, escaped=True)}"
    if not task.is_done:
        due = say("task_due", spoken, due=fit(one_line(task.due), 60, escaped=True))
        return f"{task.light_shape} {what} – {due}"
    done = f" – {say('task_done_by', spoken, who=user(task.done_by))}" if task.done_by else ""
    note = f": {fit(one_line(task.note), 100, escaped=True)}" if task.note.strip() else ""
    return f"✅ {what}{done}{note}"


def _so_far(card: Card) -> str:
    return say("so_far", card.staff_language, history=card.history.strip() or say("nothing", card.staff_language))


def _buttons(card: Card) -> list[Block]:
    """Give what can be done: the next step first and in colour, what is rarer in a menu."""
    is_free = card.status == "open" or (card.status == "call" and not card.claimed_by)
    shown = [CLAIM] if is_free else []
    shown += [REPLY] if card.reachable else []
    rare = [NOTE_DOWN]
    if card.status != "confirmed":
        shown.append(REMEDY)
        rare = [HAND_OVER, SNOOZE, CALL, NOTE_DOWN, TASK]
    primary = shown[0] if card.status in ("open", "claimed", "call") and shown else None
    elements = [
        button(each, label(each, card.staff_language), card.case_id, style="primary" if each == primary else "")
        for each in shown
    ]
    options = [
        {"text": plain(label(each, card.staff_language)), "value": f"{each}:{card.case_id}"}
        for each in rare
        if not (each == CALL and card.status == "call") and not (each == SNOOZE and card.status not in AT_WORK)
    ]
    menu: dict[str, Any] = {"type": "overflow", "action_id": MORE, "options": options}
    return [{"type": "actions", "block_id": "case_buttons", "elements": [*elements, menu]}]


def _fallback(card: Card, said: str) -> str:
    is_taken = card.claimed_by is not None and card.status == "claimed"
    taken = f" · {say('claimed_by', card.staff_language, who=user(card.claimed_by or ''))}" if is_taken else ""
    name = card.customer.strip() or say("no_name", card.staff_language)
    order = say("order", card.staff_language, id=card.sale_id)
    return escape(_heading(card)) + taken + fit(f": {name}, {order} – “{said}”", FALLBACK_MAX_CHARS, escaped=True)


# The card of a task --------------------------------------------------------------------------------------------------


def task_blocks(task: TaskCard, spoken: str = "en") -> tuple[str, list[Block], Block]:
    """Give what a second team is asked for, as fallback text (escaped), blocks and metadata."""
    payload = {"case_id": task.case_id, "task_id": task.id}
    words = say("task_finished", spoken) if task.is_done else one_line(task.light_word)
    shape = "✅" if task.is_done else task.light_shape
    title = say("task_for", spoken, team=fit(one_line(task.team), 60))
    heading = fit(" · ".join(part for part in (f"{shape} {title}", words) if part), HEADER_MAX_CHARS)
    asked = say(
        "task_asked",
        spoken,
        who=user(task.asked_by),
        team=fit(one_line(task.for_team), 60, escaped=True),
        customer=fit(one_line(task.customer) or say("no_name", spoken), 100, escaped=True),
        order=fit(one_line(task.sale_id), 100, escaped=True),
    )
    blocks: list[Block] = [
        {"type": "header", "text": plain(heading, emoji=True)},
        section(asked),
        *plain_sections(f"“{task.text.strip()}”", most=1),
    ]
    if task.is_done:
        blocks.append(section(_task_line(task, spoken)))
    else:
        due, why = (fit(one_line(each), 300) for each in (task.due, task.due_reason))
        blocks.append({"type": "context", "elements": [plain(say("task_due_line", spoken, due=due, why=why))]})
        done = button(TASK_DONE, label(TASK_DONE, spoken), f"{task.case_id}:{task.id}", style="primary")
        blocks.append({"type": "actions", "block_id": "task_buttons", "elements": [done]})
    text = f"{escape(heading)}: " + fit(one_line(task.text), FALLBACK_MAX_CHARS, escaped=True)
    return text, blocks, {"event_type": TASK_EVENT_TYPE, "event_payload": payload}
