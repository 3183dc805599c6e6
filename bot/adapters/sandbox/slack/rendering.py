"""Blocks and views as text that a person can read, and the finding of what can be pressed.

For demos and tests: what a member of staff would see. Nothing here changes anything.
"""

from collections.abc import Iterator, Sequence

from bot.adapters.sandbox.slack.blocks import Json, elements_of


def render_blocks(blocks: Sequence[Json], text: str = "") -> str:
    """Return the blocks as lines of text; the fallback text when there are no blocks."""
    if not blocks:
        return text
    return "\n".join(line for block in blocks for line in _lines(block))


def render_view(view: Json) -> str:
    """Return a modal or home view as lines: title, blocks with what is filled in, buttons."""
    values = (view.get("state") or {}).get("values") or {}
    lines = [f"# {_text(view['title'])}"] if view.get("title") else []
    for block in view.get("blocks") or []:
        lines += _lines(block, values.get(block.get("block_id")) or {})
    buttons = [f"[{_text(view[name])}]" for name in ("submit", "close") if view.get(name)]
    return "\n".join([*lines, *([" ".join(buttons)] if buttons else [])])


def pressables(blocks: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    """Yield `(block, element)` for each thing that a member can press or choose from."""
    for block in blocks:
        if block.get("type") in {"actions", "section"}:
            for element in elements_of(block):
                if element.get("type") != "image":
                    yield block, element


def label_of(element: Json) -> str:
    """Return what a person reads on an element: its text, its placeholder, or three dots."""
    if element.get("type") == "overflow":
        return "⋯"
    return _text(element.get("text") or element.get("placeholder") or {})


def options_of(element: Json) -> list[Json]:
    """Return all options of a choosing element, grouped ones included."""
    grouped = [o for group in element.get("option_groups") or [] for o in group["options"]]
    return list(element.get("options") or []) + grouped


def shown(value: Json) -> str:
    """Return what stands filled in, from one entry of `state.values`; empty when nothing."""
    if value.get("selected_option"):
        return _text(value["selected_option"]["text"])
    if value.get("selected_options"):
        return ", ".join(_text(option["text"]) for option in value["selected_options"])
    plain = [
        item
        for key, item in value.items()
        if key != "type" and isinstance(item, str | int) and not isinstance(item, bool)
    ]
    return str(plain[0]) if plain else ""


def _text(value: Json | str) -> str:
    return value if isinstance(value, str) else str(value.get("text", ""))


def _lines(block: Json, values: Json | None = None) -> list[str]:  # noqa: PLR0911 - one arm per kind of block
    match block.get("type"):
        case "header":
            return [_text(block["text"]).upper()]
        case "divider":
            return ["─" * 24]
        case "context":
            return ["  " + " · ".join(map(_context_item, block["elements"]))]
        case "actions":
            return [" ".join(map(_element, block["elements"]))]
        case "section":
            return _section(block)
        case "input":
            filled = shown((values or {}).get(block["element"].get("action_id")) or {})
            options = [_text(option["text"]) for option in options_of(block["element"])]
            hint = f" ({' | '.join(options)})" if options else ""
            return [f"{_text(block['label'])}{hint}: {filled or '____'}"]
        case "image":
            return [f"(image: {block['alt_text']})"]
        case "markdown":
            return [_text(block)]
        case kind:
            return [f"({kind})"]


def _section(block: Json) -> list[str]:
    lines = [_text(block["text"])] if block.get("text") else []
    lines += [f"  {_text(field)}".replace("\n", " ") for field in block.get("fields") or []]
    if block.get("accessory"):
        lines.append(_element(block["accessory"]))
    return lines


def _context_item(item: Json) -> str:
    return f"(image: {item['alt_text']})" if item.get("type") == "image" else _text(item)


def _element(element: Json) -> str:
    if element.get("type") == "image":
        return f"(image: {element['alt_text']})"
    options = [_text(option["text"]) for option in options_of(element)]
    label = label_of(element)
    return f"[{label} ▾ {' | '.join(options)}]" if options else f"[{label}]"
