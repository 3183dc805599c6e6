"""A flow as a Mermaid flowchart, for pages that draw it themselves. Pure text.

Source: https://mermaid.js.org/syntax/flowchart.html (read 2026-11-25).
"""

from collections.abc import Sequence

from bot.flows.model import Flow
from bot.flows.sketch import Card, Exit, sketch


def mermaid(flow: Flow, languages: Sequence[str]) -> str:
    """Give the flowchart; times stand on the arrows."""
    cards = sketch(flow, languages)
    ids = {card.name: f"s{number}" for number, card in enumerate(cards)}
    lines = ["flowchart TD"]
    lines += [f"    {ids[card.name]}{_shape(card)}" for card in cards]
    ends = dict.fromkeys(each.ends for card in cards for each in card.exits if each.ends is not None)
    lines += [f'    end_{word}((("{_quoted(word)}")))' for word in ends]
    lines += [f"    {ids[card.name]} {_arrow(each, ids)}" for card in cards for each in card.exits]
    return "\n".join(lines) + "\n"


def _shape(card: Card) -> str:
    if card.kind == "start":
        return f'(["{_quoted(card.text)}"])'
    words = "<br/>".join(_quoted(each) for each in (card.text, *card.remarks) if each)
    name = f"<b>{_quoted(card.name)}</b>"
    inside = f"{name}<br/>{words}" if words else name
    match card.kind:
        case "ask":
            return f'["{inside}"]'
        case "wait":
            return f'{{{{"{inside}"}}}}'
        case "branch":
            return f'{{"{inside}"}}'
        case _:
            return f'("{inside}")'


def _arrow(each: Exit, ids: dict[str, str]) -> str:
    line = "-.->" if each.way.kind == "silence" else "-->"
    words = f'|"{_quoted(each.words)}"|' if each.words else ""
    return f"{line}{words} {ids.get(each.target or '', f'end_{each.ends}')}"


def _quoted(text: str) -> str:
    """Write a text so that Mermaid takes nothing in it for its own grammar: signs become entity codes."""
    signs = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "#": "#35;", "&": "#amp;", "|": "#124;", "`": "#96;"}
    return "".join(signs.get(each, each) for each in text)
