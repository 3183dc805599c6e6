"""The reference of the language as text: a page with marks, filled from the table of forms.

What lives here: how a form looks in the reference. What must not: files, and words that explain (the page has them).
"""

import re
from collections.abc import Mapping

from bot.flows.expressions import ANYTHING, EXPRESSION_FILTERS, NAMES
from bot.flows.forms import FORMS, STEPS, Form, Key
from bot.flows.render import FILTERS, LISTS, VARIABLES

_MARK = re.compile(r"<!-- (form|steps|names|variables|filters)(?: ([a-z_]+))? -->")

_KIND_WORDS: Mapping[str, str] = {
    "texts": "text per language",
    "text": "text",
    "word": "word",
    "step": "step",
    "duration": "length of time",
    "truth": "`true` or `false`",
    "condition": "condition",
    "value": "value",
    "number": "number",
    "link": "address or file id",
    "hours": "`10:00-18:00`",
    "moment": "moment",
    "map": "values by name",
}


def filled(page: str) -> str:
    """Return the page with every mark replaced by what the language really has."""
    return _MARK.sub(lambda mark: _part(mark[1], mark[2] or ""), page)


def _part(kind: str, name: str) -> str:
    match kind:
        case "form":
            return _table(FORMS[name])
        case "steps":
            return "\n\n".join(_step(form) for form in STEPS.values())
        case "names":
            return "\n".join(_name(name, fields) for name, fields in NAMES.items())
        case "variables":
            return "\n".join(_variable(name, fields) for name, fields in VARIABLES.items())
        case _:
            shown = EXPRESSION_FILTERS if name == "conditions" else FILTERS
            return ", ".join(f"`{each}`" for each in shown)


def _step(form: Form) -> str:
    return f"### {form.name}\n\n{form.doc}\n\n```yaml\n{form.example}```\n\n{_table(form)}"


def _table(form: Form) -> str:
    rows = "\n".join(_row(key) for key in form.keys)
    return f"| key | | written as | what it is |\n| --- | --- | --- | --- |\n{rows}"


def _row(key: Key) -> str:
    return f"| `{key.name}` | {'needed' if key.required else ''} | {_written(key)} | {key.doc} |"


def _written(key: Key) -> str:
    if key.words:
        shown = "a word" if len(key.words) > 4 else ", ".join(f"`{word}`" for word in key.words)  # noqa: PLR2004 - no more fit
    elif key.form.startswith("for_"):
        shown = "[variant](#for-some-products)"
    elif key.form:
        title = _TITLES.get(key.form, key.form.replace("_", " "))
        shown = "by name" if key.named else f"[{title}](#{title.replace(' ', '-')})"
    else:
        shown = _KIND_WORDS[key.kind]
    if key.or_kind is not None:
        shown = f"{_KIND_WORDS[key.or_kind]}, or {shown}"
    return shown + (", or a list" if key.many else "")


def _name(name: str, fields: tuple[str, ...]) -> str:
    behind = "any name" if fields == ANYTHING else ", ".join(f"`{field}`" for field in fields)
    return f"| `{name}` | {behind} | {_MEANINGS.get(name, '')} |"


def _variable(name: str, fields: tuple[str, ...]) -> str:
    shown = LISTS.get(name, fields)
    listed = ", ".join(f"`{field}`" for field in shown) or "any name"
    return f"| `{name}` | {'a list: ' if name in LISTS else ''}{listed} |"


_TITLES: Mapping[str, str] = {"wait": "wait for", "arm": "way"}

_MEANINGS: Mapping[str, str] = {
    "customer": "who bought",
    "sale": "the order; `extra` has the shop's own fields (`sale.extra.FIELD`); `total` and `currency` are such fields",
    "items": "what was bought; `items \\| length` counts the lines",
    "tags": "all tags of what was bought: `'wine' in tags`",
    "skus": "all article numbers of what was bought",
    "promise": "the promise that is being asked about",
    "promised": "how many promises there are, are open, can be judged by now, were kept, were broken",
    "answer": "the customer's last answer in this conversation",
    "answers": "their answer to each question of this conversation: `answers.arrived == 'yes'`",
    "verdicts": "their earlier answers of the whole sale: `verdicts.after_delivery.arrived == 'missing'`",
    "factors": "what they said of each factor, 0 to 1",
    "unhappy": "whether they were unhappy in this conversation",
    "case": "the case of the sale that is not confirmed yet",
    "happened": "what has happened: `'order.shipped' in happened`",
    "days_since": "how many days ago: `days_since.delivered > 3`",
    "local": "the customer's own clock: `local.weekday == 'sat'`, `local.hour < 12`",
    "vars": "what `set` noted",
}
