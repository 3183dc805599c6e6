"""Filling message texts: one template per language in, plain text for one customer out.

What lives here: which language is taken, what a template may contain, which names it may use, how dates are written.
What must not: sending, and escaping for a vendor (the adapters do that, once).

A template is Jinja, cut down to what a message needs: names, the filters below, ``if`` and one level of ``for``.
Arithmetic, calls, assignments and macros are refused by looking at the parsed template, so that no text can keep a
processor busy; the sandbox stands behind that as a second fence. What customers wrote is only ever a value, never a
template.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_skeleton, format_time
from babel.numbers import format_currency, format_decimal
from jinja2 import ChainableUndefined, Template, TemplateError, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.flows.model import Texts
from bot.flows.yaml_tree import did_you_mean

TEXT_MAX_CHARS = 4096
"""The longest message that Telegram takes. Source: https://core.telegram.org/bots/api#sendmessage"""

TEMPLATE_MAX_CHARS = 4000

VARIABLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "customer": ("id", "name", "first_name"),
        "sale": ("id", "summary", "total", "currency"),
        "items": (),
        "promise": ("text", "due_at"),
        "promises": (),
        "expected": ("at",),
        "shop": ("name", "privacy"),
        "case": ("due_at", "answer_by", "said", "team"),
        "remedy": ("kind", "note"),
        "vars": (),
    }
)
"""The names that a text may use, each with what can stand behind its dot. Lists have theirs in `LISTS`."""

LISTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"items": ("sku", "name", "quantity"), "promises": ("text", "due_at")}
)
"""What each element of a list has: ``{% for item in items %}{{ item.name }}{% endfor %}``."""

FILTERS = (
    "date",
    "time",
    "moment",
    "number",
    "money",
    "plural",
    "default",
    "first",
    "last",
    "length",
    "join",
    "upper",
    "lower",
    "capitalize",
    "title",
    "trim",
)
"""``date``, ``time`` and ``moment`` write a moment in the customer's language and time zone; ``number`` and ``money``
an amount as people there write it; ``plural`` chooses the word that goes with a number. The others are Jinja's."""

_LOOP = ("index", "first", "last", "length")
_ALLOWED_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Filter,
    nodes.Keyword,
    nodes.If,
    nodes.For,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
)
# What a well-formed template can still raise on odd values; a message must go out nevertheless.
_VALUE_TROUBLE = (
    TemplateError,
    ArithmeticError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RuntimeError,
)
_MARKS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)

_DIGITS_MAX = 18

_TOUCHING = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")

_PATTERNS: Mapping[str, tuple[str, str, str]] = {
    "en": ("EEEE d MMMM", "HH:mm", "EEEE d MMMM 'at' HH:mm"),
    "da": ("EEEE 'den' d. MMMM", "HH.mm", "EEEE 'den' d. MMMM 'kl.' HH.mm"),
}


def render(
    texts: Texts,
    languages: Sequence[str],
    context: Mapping[str, object],
    *,
    zone: str = "UTC",
) -> str:
    """Return the text for one customer: plain, stripped, at most `TEXT_MAX_CHARS`. Never raises.

    Args:
        texts: a template per language.
        languages: codes to try in this order (``da-DK`` also takes ``da``), then English, then whatever there is.
        context: the values behind the names of `VARIABLES`; what is missing renders as nothing.
        zone: IANA name of the time zone in which moments are written; UTC where it is unknown.
    """
    language = pick_language(texts, languages)
    return _shortened(_filled(texts.get(language, ""), language, languages, context, zone), TEXT_MAX_CHARS)


def full_length(template: str, language: str, context: Mapping[str, object]) -> int:
    """Return how long a text becomes with these values, in the units in which Telegram counts, before it is cut."""
    filled = _filled(template, language, (language,), context, "UTC")
    return len(filled.encode("utf-16-le", "surrogatepass")) // 2


def _filled(source: str, language: str, languages: Sequence[str], context: Mapping[str, object], zone: str) -> str:
    if "{" not in source:
        return source.strip()
    values = {**context, "__locale__": _locale(language, languages), "__zone__": _zone(zone)}
    try:
        text = _compiled(source).render(values)
    except _VALUE_TROUBLE:
        text = _MARKS.sub("", source)
    return text.strip()


def pick_language(texts: Texts, languages: Sequence[str]) -> str:
    """Return the code of `texts` that suits `languages` best; "" where there is no text at all."""
    for wanted in (*languages, "en"):
        code = wanted.replace("_", "-")
        for known in (code, code.split("-", maxsplit=1)[0].lower()):
            if known in texts:
                return known
    return next(iter(texts), "")


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# -- what a template may be --------------------------------------------------------------------------------------------


def faults(
    template: str, *, more: Mapping[str, tuple[str, ...]] | None = None, language: str | None = None
) -> list[str]:
    """Return what is wrong with a template, in words for its author; an empty list where it is good.

    Args:
        template: one text in one language.
        more: further names that are known where this text is used, as in `VARIABLES`.
        language: the text's own, whose plurals are then checked, too.
    """
    if len(template) > TEMPLATE_MAX_CHARS:
        return [f"the text is longer than {TEMPLATE_MAX_CHARS} characters"]
    try:
        tree = _environment.parse(template)
    except TemplateError as error:
        return [f"the text cannot be read: {error.message or error}"]
    except RecursionError:
        return ["the text is nested too deep"]
    found = [*_shape_faults(tree), *_name_faults(tree, {**VARIABLES, **(more or {})})]
    found += _plural_faults(tree, language)
    return list(dict.fromkeys(found))


def _shape_faults(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _ALLOWED_NODES):
            yield f"{type(node).__name__.lower()} is not allowed in a text: use names, filters, if and for"
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            yield f"there is no filter {node.name!r}; {did_you_mean(node.name, FILTERS)}"
        elif isinstance(node, nodes.For):
            if not isinstance(node.iter, nodes.Name) or node.iter.name not in LISTS:
                yield f"'for' goes through {' or '.join(LISTS)} only"
            if any(True for _ in node.find_all(nodes.For)):
                yield "a 'for' inside a 'for' is not allowed"


def _name_faults(tree: nodes.Template, known: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    known = dict(known)
    for loop in tree.find_all(nodes.For):
        if isinstance(loop.target, nodes.Name) and isinstance(loop.iter, nodes.Name):
            known |= {loop.target.name: LISTS.get(loop.iter.name, ()), "loop": _LOOP}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name not in known:
            yield f"there is no name {name.name!r}; {did_you_mean(name.name, known)}"
    for getter in tree.find_all(nodes.Getattr):
        if isinstance(getter.node, nodes.Name) and getter.node.name in known:
            fields = known[getter.node.name]
            if getter.attr not in fields:
                hint = did_you_mean(getter.attr, fields) or "there is nothing behind its dot"
                yield f"{getter.node.name!r} has no {getter.attr!r}; {hint}"
        elif not isinstance(getter.node, nodes.Name):
            yield f"nothing can stand behind a second dot ({getter.attr!r})"


def _plural_faults(tree: nodes.Template, language: str | None) -> Iterator[str]:
    """Yield the forms of a number that a language has and a text lacks."""
    locale = _parsed_locale(language) if language else None
    for node in tree.find_all(nodes.Filter):
        if node.name != "plural":
            continue
        given = [str(getattr(each, "key", "")) for each in node.kwargs]
        if node.args or "other" not in given:
            yield 'plural needs its forms by name: plural(one="bottle", other="bottles")'
            continue
        wanted = [*sorted(locale.plural_form.tags), "other"] if locale is not None else given
        missing = [form for form in wanted if form not in given]
        if missing:
            yield f"plural lacks {' and '.join(missing)}: {language!r} has {', '.join(wanted)}"


# -- the environment ---------------------------------------------------------------------------------------------------


@pass_context
def _date(context: Context, value: object) -> str:
    return _written(context, value, 0)


@pass_context
def _time(context: Context, value: object) -> str:
    return _written(context, value, 1)


@pass_context
def _moment(context: Context, value: object) -> str:
    return _written(context, value, 2)


def _written(context: Context, value: object, which: int) -> str:
    at = _moment_of(value)
    if at is None:
        return ""
    locale, zone = context["__locale__"], context["__zone__"]
    pattern = _PATTERNS.get(locale.language)
    if pattern is not None:
        return format_datetime(at, pattern[which], tzinfo=zone, locale=locale)
    local = at.astimezone(zone)
    # A locale that does not know this skeleton still knows its own long date.
    known = "MMMMEEEEd" in locale.datetime_skeletons
    day = format_skeleton("MMMMEEEEd", local, locale=locale) if known else format_date(local, "full", locale=locale)
    hour = format_time(at, "short", tzinfo=zone, locale=locale)
    return (day, hour, f"{day}, {hour}")[which]


def _amount(value: object) -> Decimal | None:
    """Return a number, also one that is written as a text; None where it is none, or so large that nobody writes it."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    if not amount.is_finite():
        return None
    if not amount:
        return Decimal(0)
    return amount if -_DIGITS_MAX <= amount.adjusted() <= _DIGITS_MAX else None


@pass_context
def _number(context: Context, value: object) -> str:
    amount = None if isinstance(value, bool) else _amount(value)
    return "" if amount is None else format_decimal(amount, locale=context["__locale__"])


@pass_context
def _money(context: Context, value: object, currency: object = None) -> str:
    """Write an amount in a currency: the one that is named, else the sale's; without either, as a number."""
    amount = None if isinstance(value, bool) else _amount(value)
    sale = context.get("sale")
    code = currency or (sale.get("currency") if isinstance(sale, Mapping) else None)
    if amount is None or not isinstance(code, str) or not code.isalpha():
        return _number(context, value)
    written = format_currency(amount, code.upper(), locale=context["__locale__"])
    # A currency that is written in letters stands apart from its number; the library leaves that rule out.
    # Source: https://unicode.org/reports/tr35/tr35-numbers.html#Currencies (currencySpacing, read 2026-11-25)
    return _TOUCHING.sub("\N{NO-BREAK SPACE}", written)


@pass_context
def _plural(context: Context, value: object, **forms: str) -> str:
    """Choose the word that goes with a number in the text's language."""
    amount = _amount(value)
    form = context["__locale__"].plural_form(abs(amount)) if amount is not None else "other"
    return forms.get(form, forms.get("other", ""))


def _moment_of(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


class _Nothing(ChainableUndefined):
    """A value that nobody gave: it renders as nothing, and so does whatever stands behind its dot."""


def _make_environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Nothing,
        autoescape=False,
        finalize=lambda value: "" if value is None else value,
        keep_trailing_newline=False,
    )
    own: dict[str, Any] = {"date": _date, "time": _time, "moment": _moment}
    own |= {"number": _number, "money": _money, "plural": _plural}
    shipped = {name: environment.filters[name] for name in FILTERS if name not in own}
    environment.filters = {**shipped, **own}
    environment.globals = {}
    return environment


_environment = _make_environment()


@lru_cache(maxsize=2048)
def _compiled(source: str) -> Template:
    """Compile a template; one of a forbidden shape is refused as if it could not be read.

    Raises:
        TemplateError: it cannot be read, or is not allowed.
    """
    if len(source) > TEMPLATE_MAX_CHARS:
        raise TemplateError(f"longer than {TEMPLATE_MAX_CHARS} characters")
    tree = _environment.parse(source)
    fault = next(_shape_faults(tree), None)
    if fault is not None:
        raise TemplateError(fault)
    return _environment.from_string(source)


def name_of_language(code: str) -> str:
    """Return the name of a language in itself, with a capital letter; the code where nobody knows it."""
    locale = _parsed_locale(code)
    name = locale.get_display_name() if locale is not None else None
    return name[:1].upper() + name[1:] if name else code


@lru_cache(maxsize=256)
def _parsed_locale(code: str) -> Locale | None:
    try:
        return Locale.parse(code.replace("-", "_"))
    except (ValueError, UnknownLocaleError, TypeError):
        return None


def _locale(language: str, languages: Sequence[str]) -> Locale:
    """Return the customer's own variety of the chosen language (en-GB), else the language, else English."""
    for wanted in (*languages, language):
        if wanted.replace("_", "-").split("-", maxsplit=1)[0].lower() == language:
            locale = _parsed_locale(wanted)
            if locale is not None:
                return locale
    return _parsed_locale(language) or Locale("en")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return ZoneInfo("UTC")
