"""Plain HTML elements for the pages: named for what they are, styled by the stylesheet alone, quick to draw anew.

NiceGUI's own widgets are left aside: a button here is a `<button>`, a field an `<input>`, a form sends as forms do. So
keyboard and screen reader find what they know.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from nicegui import ui
from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

Act: TypeAlias = Callable[[], Awaitable[None]]
Given: TypeAlias = Mapping[str, Sequence[str]]
"""What a form sends: each field's values by its name."""

FIELDS = "const given = {}; for (const [name, value] of new FormData(form)) (given[name] ||= []).push(value);"
"""JavaScript that reads `form`."""
_SUBMIT = f"(event) => {{ event.preventDefault(); const form = event.target; {FIELDS} emit(given); RESET }}"


def put(tag: str, text: str | None = None, kind: str = "", /, **attributes: object) -> Element:
    """Put an element here. `kind` is its classes; ``aria_label`` is written ``aria-label``, ``for_`` as ``for``."""
    element = Element(tag) if text is None else TextElement(tag=tag, text=text)
    if kind:
        element.classes(kind)
    for name, value in attributes.items():
        if value is not None and value is not False:
            element.props[name.rstrip("_").replace("_", "-")] = "" if value is True else str(value)
    return element


def html(markup: str, kind: str = "", tag: str = "div") -> Element:
    """Put markup that was made here, with everything that came from outside escaped."""
    return ui.html(markup, sanitize=False, tag=tag).classes(kind)


def button(label: str, act: Act, kind: str = "button", /, **attributes: object) -> Element:
    """Put a button that does something; it cannot be pressed again before that is done."""
    element = put("button", label, kind, **{"type": "button", **attributes})

    async def press() -> None:
        if element.props.get("aria-disabled") == "true":
            return
        element.props["aria-disabled"] = "true"
        element.update()
        try:
            await act()
        finally:
            if not element.is_deleted:
                del element.props["aria-disabled"]
                element.update()

    element.on("click", press, args=[])
    return element


def form(send: Callable[[Given], Awaitable[None]], kind: str = "", *, clears: bool = False) -> Element:
    """Put a form; what stands in it is handed to `send`. `clears`: its fields are empty again then."""
    element = put("form", None, kind)

    async def take(event: GenericEventArguments) -> None:
        await send(event.args or {})

    element.on("submit", take, js_handler=_SUBMIT.replace("RESET", "form.reset();" if clears else ""))
    return element


def choose(
    options: Mapping[str, str],
    chosen: str,
    act: Callable[[str], Awaitable[None]] | str | None = None,
    /,
    **attributes: object,
) -> Element:
    """Put a menu of options (value to label). `act` is told what was chosen, or is JavaScript with `value`."""
    element = put("select", None, "field", **attributes)
    with element:
        for value, label in options.items():
            put("option", label, value=value, selected=value == chosen)

    async def take(event: GenericEventArguments) -> None:
        if callable(act):
            await act(str(event.args))

    if act is not None:
        then = act if isinstance(act, str) else "emit(value);"
        script = f"(event) => {{ const value = event.target.value; {then} }}"
        element.on("change", take if callable(act) else None, js_handler=script)
    return element


@dataclass(frozen=True, slots=True)
class Row:
    """One of several things of a kind: `key` tells it from the others, `looks` is all that its look depends on."""

    key: Hashable
    looks: Hashable
    draw: Callable[[], object]


class Rows:
    """A container that keeps what looks as before, and draws anew only what differs: nothing flickers."""

    def __init__(self, container: Element, tag: str = "div", kind: str = "contents") -> None:
        """Fill `container`, which must hold nothing else; each row stands in an element `tag` of class `kind`."""
        self._container, self._tag, self._kind = container, tag, kind
        self._drawn: dict[Hashable, tuple[Hashable, Element]] = {}

    def show(self, rows: Sequence[Row]) -> bool:
        """Show `rows` in their order; tells whether anything was drawn."""
        wanted = {row.key for row in rows}
        for key in [each for each in self._drawn if each not in wanted]:
            self._drawn.pop(key)[1].delete()
        has_drawn = False
        for place, row in enumerate(rows):
            looks, element = self._drawn.get(row.key, (None, None))
            if element is not None and looks == row.looks:
                continue
            if element is not None:
                element.delete()
            with self._container:
                element = put(self._tag, None, self._kind)
                with element:
                    row.draw()
            element.move(target_index=place)
            self._drawn[row.key] = (row.looks, element)
            has_drawn = True
        return has_drawn


def handed(value: Any) -> str:
    """Give a value of a form as text."""
    return str(value[0]) if isinstance(value, list | tuple) and value else ""
