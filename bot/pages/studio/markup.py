"""What the studio shows that nobody presses, as HTML: findings, messages, differences. Whatever comes in is escaped."""

import difflib
from collections.abc import Iterable, Sequence
from html import escape

from bot.flows.differences import Change, Difference, Part, word_by_word
from bot.flows.findings import Finding
from bot.flows.previews import Preview
from bot.pages.words import Words
from bot.trials.trial import Row

_SORTS = {"remind": "reminder", "offer": "offer"}


def findings(found: Sequence[Finding], words: Words) -> str:
    """Give each finding as a button that leads to its line (see studio.js)."""
    return "".join(
        f'<li class="{each.severity}"><button type="button" data-line="{each.line}" data-column="{each.column}">'
        f'<span class="sign" aria-hidden="true">{"✗" if each.severity == "error" else "!"}</span>'
        f'<span class="at">{escape(words("line", number=each.line))}</span>'
        f'<span><span class="sr">{escape(words(each.severity))}: </span>{escape(each.message)}'
        f"{_hint(each.hint)}</span></button></li>"
        for each in found
    )


def _hint(hint: str) -> str:
    return f'<span class="hint">→ {escape(hint)}</span>' if hint else ""


# what a customer sees ---------------------------------------------------------------------------------------------


def screen(shown: Sequence[Preview], words: Words) -> str:
    """Give all messages of a flow as a phone shows them, each below the name of its step."""
    if not shown:
        return empty(words("says_nothing"))
    return f'<div class="screen">{"".join(_message(each, words) for each in shown)}</div>'


def empty(why: str) -> str:
    """Say why there is nothing to be seen."""
    return f'<p class="empty">{escape(why)}</p>'


def _message(shown: Preview, words: Words) -> str:
    tags = [f'<span class="tag">{escape(words(_SORTS[shown.sort]))}</span>'] if shown.sort in _SORTS else []
    if shown.only_for:
        tags.append(f'<span class="tag">{escape(words("only_for", what=shown.only_for))}</span>')
    if shown.instead:
        tags.append(f'<span class="tag warm">{escape(words("told_in", language=shown.instead))}</span>')
    if shown.is_too_long:
        long = words("too_long", units=shown.units, limit=shown.limit)
        tags.append(f'<span class="tag bad">{escape(long)}</span>')
    photo = f'<div class="photo named">🖼 {escape(shown.photo)}</div>' if shown.photo else ""
    rows = "".join(
        f'<div class="keys-row">{"".join(f"""<span class="key shown">{escape(label)}</span>""" for label in row)}</div>'
        for row in shown.buttons
    )
    keys = f'<div class="keys">{rows}</div>' if rows else ""
    return (
        f'<div class="step-name"><button type="button" data-step="{escape(shown.step)}">{escape(shown.step)}</button>'
        f'{"".join(tags)}</div><div class="bubble-box"><div class="bubble">{photo}'
        f'<p class="bubble-text">{escape(shown.text)}</p></div>{keys}</div>'
    )


# differences ------------------------------------------------------------------------------------------------------


def difference(found: Difference, words: Words) -> str:
    """Give what differs between two versions: steps that came and went, facts, and the words side by side."""
    if not found:
        return f'<p class="quiet">{escape(words("only_order_differs"))}</p>'
    steps = [
        *(f"<li>+ {escape(words('step_new', name=name))}</li>" for name in found.added),
        *(f"<li>− {escape(words('step_gone', name=name))}</li>" for name in found.removed),
        *(
            f"<li>~ {escape(words('step_renamed', old=old, new=new))}</li>"
            for old, new in (found.renamed or {}).items()
        ),
    ]
    listed = f"<ul>{''.join(steps)}</ul>" if steps else ""
    # Of a step that went as a whole the words are what tells.
    facts = [each for each in found.facts if each.place not in found.removed]
    rows = [_row(each, each.what) for each in facts]
    rows += [_row(each, f"{each.what} ({each.language})") for each in found.words]
    return listed + (_table(rows, words) if rows else "")


def _row(each: Change, what: str) -> str:
    before, after = word_by_word(each.old or "", each.new or "")
    about = f"<strong>{escape(each.place)}</strong><br>{escape(what)}"
    return f"<tr><td>{about}</td><td>{_parts(before, 'del')}</td><td>{_parts(after, 'ins')}</td></tr>"


def _parts(parts: Iterable[Part], tag: str) -> str:
    told = "".join(f"<{tag}>{escape(text)}</{tag}>" if differs else escape(text) for text, differs in parts)
    return told or "–"


def _table(rows: Sequence[str], words: Words) -> str:
    head = "".join(
        f'<th scope="col"{kind}>{escape(words(name))}</th>'
        for name, kind in (("where", ' class="narrow"'), ("before", ""), ("after", ""))
    )
    return f'<table class="side-by-side"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def texts_apart(theirs: str, mine: str, words: Words) -> str:
    """Give two texts of a file line by line, as whoever compares them wants to see them."""
    lines = difflib.unified_diff(theirs.splitlines(), mine.splitlines(), lineterm="", n=2)
    told = []
    for line in lines:
        if line.startswith(("---", "+++")):
            continue
        tag = {"-": "del", "+": "ins"}.get(line[:1])
        told.append(f"<{tag}>{escape(line)}</{tag}>" if tag else f"<div>{escape(line)}</div>")
    label = escape(words("difference_on_disk"))
    return f'<div class="text-diff" tabindex="0" role="region" aria-label="{label}">{"".join(told)}</div>'


# tests ------------------------------------------------------------------------------------------------------------


def expected_and_actual(rows: Sequence[Row], words: Words) -> str:
    """Give both transcripts of a test side by side, the line that does not fit marked."""
    kinds = {True: "", False: "off", None: "later"}
    told = "".join(
        f'<tr class="{kinds[row.fits]}"><td>{escape(row.expected)}</td><td>{escape(row.actual)}</td></tr>'
        for row in rows
    )
    head = "".join(f'<th scope="col">{escape(words(name))}</th>' for name in ("expected", "actual"))
    return f'<table class="side-by-side"><thead><tr>{head}</tr></thead><tbody>{told}</tbody></table>'
