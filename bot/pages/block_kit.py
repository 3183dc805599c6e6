"""Block Kit as it was really sent, with elements that really act: buttons press, menus choose, fields are filled.

What pressing does is handed in; which blocks there are and what is in them is the bot's own doing.
Source: https://docs.slack.dev/reference/block-kit (read 2026-11-25).
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from bot.adapters.sandbox.slack import markup
from bot.pages.drawing import FIELDS, choose, html, put

Json: TypeAlias = Mapping[str, Any]
Press: TypeAlias = Callable[[str, str | None, Mapping[str, Sequence[str]]], Awaitable[None]]
"""Is told what was pressed (its action id), what was chosen, and what stands in the form around it."""

_MENUS = {"static_select", "external_select", "users_select", "conversations_select", "channels_select", "overflow"}
_MULTIPLE = {"multi_static_select", "multi_users_select", "multi_conversations_select", "multi_channels_select"}
MINUTE = "%Y-%m-%dT%H:%M"
"""How browsers write a moment that somebody chooses."""
_NATIVE = {
    "datepicker": "date",
    "datetimepicker": "datetime-local",
    "timepicker": "time",
    "email_text_input": "email",
    "url_text_input": "url",
    "number_input": "number",
}


class Drawing:
    """Draws blocks for one person.

    Args:
        names: members and channels by id, for mentions and menus of people.
        press: what a button does.
        choose: the word of an empty menu.
        zone: on whose clock moments are chosen.
    """

    def __init__(self, names: Mapping[str, str], press: Press, choose: str, zone: ZoneInfo) -> None:
        """Be ready to draw."""
        self._names, self._press, self._choose, self._zone = names, press, choose, zone

    def draw(self, blocks: Sequence[Json], values: Json | None = None, errors: Mapping[str, str] | None = None) -> None:
        """Draw blocks; in a form with what is filled in, and what is wrong at which block."""
        with put("div", None, "blocks"):
            for block in blocks:
                self._block(block, (values or {}).get(str(block.get("block_id")), {}), errors or {})

    def _block(self, block: Json, values: Json, errors: Mapping[str, str]) -> None:
        match block.get("type"):
            case "actions":
                with put("div", None, "row"):
                    for element in block["elements"]:
                        self._element(element, values)
            case "input":
                self._input(block, values, errors)
            case "section" if block.get("accessory"):
                said = {name: part for name, part in block.items() if name != "accessory"}
                with put("div", None, "row spread"):
                    html(markup.html([said], self._names), "post-body")
                    self._element(block["accessory"], values)
            case _:
                html(markup.html([dict(block)], self._names))

    # what can be pressed

    def _element(self, element: Json, values: Json) -> None:
        kind, action = str(element.get("type")), str(element.get("action_id", ""))
        if kind == "button":
            self._button(element, action)
        elif kind in _MENUS:
            self._menu(element, action, values)
        elif kind == "image":
            html(markup.html([dict(element)], self._names))
        elif kind in _NATIVE or kind in ("radio_buttons", "checkboxes"):
            self._field(element, action, values)

    def _button(self, element: Json, action: str) -> None:
        label = str(element["text"]["text"])
        style = {"primary": "button small primary", "danger": "button small danger"}.get(
            str(element.get("style")), "button small"
        )
        if element.get("url"):
            put("a", label, style, href=str(element["url"]), target="_blank", rel="noreferrer")
            return
        pressed = put("button", label, style, type="button", aria_label=element.get("accessibility_label"))

        async def press(event: Any) -> None:
            await self._press(action, None, event.args or {})

        sure = (element.get("confirm") or {}).get("text", {}).get("text")
        asks = f"if (!confirm({json.dumps(sure)})) return;" if sure else ""
        alone = "if (!form) { emit({}); return; }"
        read = f"(event) => {{ {asks} const form = event.target.closest('form'); {alone} {FIELDS} emit(given); }}"
        pressed.on("click", press, js_handler=read)

    def _menu(self, element: Json, action: str, values: Json) -> None:
        options = self._options(element)
        empty = "⋯" if element.get("type") == "overflow" else self._choose
        label = str((element.get("placeholder") or {}).get("text") or empty)

        async def chosen(value: str) -> None:
            if value:
                await self._press(action, value, {})

        said = self._choose if label == "⋯" else label
        menu = choose({"": label, **options}, _chosen(values.get(action, {})), chosen, aria_label=said)
        menu.style("width: 4.4rem" if label == "⋯" else "width: auto")

    def _options(self, element: Json) -> dict[str, str]:
        kind = str(element.get("type"))
        if "users" in kind:
            return {each: name for each, name in self._names.items() if each.startswith("U")}
        if "conversations" in kind or "channels" in kind:
            return {each: f"#{name}" for each, name in self._names.items() if each.startswith("C")}
        grouped = [option for group in element.get("option_groups") or [] for option in group["options"]]
        options = [*(element.get("options") or []), *grouped]
        return {str(option["value"]): str(option["text"]["text"]) for option in options}

    # what can be filled in

    def _input(self, block: Json, values: Json, errors: Mapping[str, str]) -> None:
        element, name = block["element"], str(block["block_id"])
        label = str(block["label"]["text"]) + (" (optional)" if block.get("optional") else "")
        wrong = errors.get(name, "")
        filled = values.get(element.get("action_id"), {})
        if element.get("type") in ("radio_buttons", "checkboxes"):
            with put("fieldset", None, "labelled"):
                put("legend", label)
                self._boxes(element, name, filled, is_required=not block.get("optional"))
                self._below(block, wrong, name)
            return
        with put("div", None, "labelled"):
            put("label", label, for_=f"field-{name}")
            about = f"about-{name}" if block.get("hint") or wrong else None
            self._control(
                element,
                filled,
                id=f"field-{name}",
                name=name,
                required=not block.get("optional"),
                aria_describedby=about,
                aria_invalid="true" if wrong else None,
            )
            self._below(block, wrong, name)

    def _below(self, block: Json, wrong: str, name: str) -> None:
        if not wrong and not block.get("hint"):
            return
        with put("div", None, id=f"about-{name}"):
            if wrong:
                put("p", wrong, "wrong")
            if block.get("hint"):
                put("p", str(block["hint"]["text"]), "quiet small")

    def _field(self, element: Json, action: str, values: Json) -> None:
        filled = values.get(action, {})
        if element.get("type") in ("radio_buttons", "checkboxes"):
            self._boxes(element, action, filled, is_required=False)
        else:
            self._control(element, filled, name=action, aria_label=action)

    def _control(self, element: Json, filled: Json, **attributes: object) -> None:
        kind = str(element.get("type"))
        value = _chosen(filled)
        if kind == "datetimepicker" and value:
            value = datetime.fromtimestamp(int(value), self._zone).strftime(MINUTE)
        hint = (element.get("placeholder") or {}).get("text")
        if kind in _MENUS or kind in _MULTIPLE:
            options = self._options(element)
            if kind in _MULTIPLE:
                attributes["multiple"] = True
            else:
                options = {"": str(hint or self._choose), **options}
            choose(options, value, None, **attributes)
        elif kind == "plain_text_input" and element.get("multiline"):
            put("textarea", value, "field", placeholder=hint, maxlength=element.get("max_length", 3000), **attributes)
        else:
            put(
                "input",
                None,
                "field",
                type=_NATIVE.get(kind, "text"),
                value=value,
                placeholder=hint,
                maxlength=element.get("max_length"),
                **attributes,
            )

    def _boxes(self, element: Json, name: str, filled: Json, *, is_required: bool) -> None:
        kind = "radio" if element.get("type") == "radio_buttons" else "checkbox"
        chosen = {str(each["value"]) for each in filled.get("selected_options") or []} | {_chosen(filled)}
        for value, label in self._options(element).items():
            with put("label", None, "row"):
                required = is_required and kind == "radio"
                put("input", None, type=kind, name=name, value=value, checked=value in chosen, required=required)
                put("span", label)


def _chosen(filled: Json) -> str:
    if filled.get("selected_option"):
        return str(filled["selected_option"]["value"])
    return next((str(value) for key, value in filled.items() if key != "type" and isinstance(value, str | int)), "")
