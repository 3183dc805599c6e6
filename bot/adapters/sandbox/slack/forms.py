"""Filling in a modal as Slack's client lets a person do it, and no more than it lets.

Pure work on one view's `state.values`. What a person could not do at their screen raises
`CannotDo`, so that a test never sends what Slack would never send.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.adapters.sandbox.slack.blocks import Json
from bot.adapters.sandbox.slack.rendering import label_of, options_of
from bot.adapters.sandbox.slack.views import VALUE_KEYS, inputs_of

Answer = str | int | Sequence[str] | None


class CannotDo(Exception):
    """Slack's client would not let a person do this; the text says why."""


def fill(view: Json, answers: Mapping[str, Answer]) -> None:
    """Write answers into the view, each found by block id, action id or label.

    Raises:
        CannotDo: No such field, no such option, or text that is too long.
    """
    for name, answer in answers.items():
        block, element = _field(view, name)
        values = view["state"]["values"][block["block_id"]]
        values[element["action_id"]] = _value(element, answer, name)


def check_sendable(view: Json) -> None:
    """Check what Slack's client checks before it sends a form.

    Raises:
        CannotDo: The view cannot be sent, or a field lacks its answer.
    """
    if view.get("submit") is None:
        raise CannotDo("this view has no button to send it")
    for block, element in inputs_of(view["blocks"]):
        if block["type"] != "input":
            continue
        value = view["state"]["values"][block["block_id"]][element["action_id"]]
        given = value[VALUE_KEYS.get(element["type"], "value")]
        label = block["label"]["text"]
        if not given and not block.get("optional"):
            raise CannotDo(f"{label!r} needs an answer before the form can be sent")
        if isinstance(given, str) and given and len(given) < element.get("min_length", 0):
            raise CannotDo(f"{label!r} needs at least {element['min_length']} characters")


def option_of(element: Json, wanted: str) -> Json:
    """Return the option with this value or text.

    Raises:
        CannotDo: There is none; the text names those there are.
    """
    options = options_of(element)
    for option in options:
        if wanted in {option["value"], option["text"]["text"]}:
            return option
    offered = ", ".join(repr(option["text"]["text"]) for option in options)
    raise CannotDo(f"there is no option {wanted!r}; offered: {offered}")


def chosen(element: Json, answer: Answer) -> Json:
    """Return the part of a value or action that says what was chosen in this element."""
    key = VALUE_KEYS.get(element["type"], "value")
    if element["type"] == "overflow":
        key = "selected_option"
    has_options = bool(options_of(element))
    given: Any = answer
    if key.endswith("s"):
        wanted = [answer] if isinstance(answer, str) else list(answer or [])  # type: ignore[arg-type] # a bare number has no place in a list field
        given = [option_of(element, item) for item in wanted] if has_options else wanted
    elif has_options and answer is not None:
        given = option_of(element, str(answer))
    return {key: given}


def _field(view: Json, name: str) -> tuple[Json, Json]:
    fields = list(inputs_of(view["blocks"]))
    for block, element in fields:
        label = (block.get("label") or {}).get("text") or label_of(element)
        if name in {block["block_id"], element["action_id"], label}:
            return block, element
    there = ", ".join(repr((block.get("label") or {}).get("text") or element["action_id"]) for block, element in fields)
    raise CannotDo(f"there is no field {name!r} in this view; it has: {there or 'none'}")


def _value(element: Json, answer: Answer, name: str) -> Json:
    if element["type"] == "plain_text_input" and answer is not None:
        longest = element.get("max_length", 3000)
        if len(str(answer)) > longest:
            raise CannotDo(f"{name!r} takes at most {longest} characters")
        answer = str(answer)
    return {"type": element["type"], **chosen(element, answer)}
