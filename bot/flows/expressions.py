"""Conditions and values in flows: one small language, read by Jinja's own parser and cut down to what a flow needs.

What lives here: what an expression may contain, which names it knows, and evaluating one. What must not: which values
stand behind the names (`bot.flows.facts`).

An expression has names, texts, numbers, comparisons, ``and or not in``, ``+`` and ``-``, ``A if B else C``, a few
filters, and the test ``is defined``. Calls, products, powers and loops are refused by looking at the parsed
expression; behind that the environment hands out the keys of mappings and no attribute of anything, so that nothing of
the program can be reached. An expression is short and every part of it is looked at once, so its work is bounded.
Evaluating is total: whatever the values, there is an answer, and where one was odd, a word about it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from jinja2 import ChainableUndefined, TemplateError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bot.flows.yaml_tree import did_you_mean

EXPRESSION_MAX_CHARS = 500

ANYTHING: tuple[str, ...] = ("*",)
"""Whatever name stands behind the dot: the shop's own fields, the flow's own notes."""

NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "customer": ("id", "name", "first_name", "language", "country"),
        "sale": ("id", "summary", "stage", "total", "currency", "extra"),
        "items": (),
        "tags": (),
        "skus": (),
        "promise": ("id", "text", "touchpoint", "due_at", "state"),
        "promised": ("count", "open", "due", "kept", "broken"),
        "answer": ("step", "choice", "unhappy"),
        "answers": ANYTHING,
        "verdicts": ANYTHING,
        "factors": ("promise", "service", "clarity", "quality"),
        "unhappy": (),
        "case": ("open", "status", "team"),
        "happened": (),
        "days_since": ("placed", "shipped", "delayed", "delivered", "first_used", "answered", "remedy"),
        "local": ("weekday", "hour", "date"),
        "vars": ANYTHING,
    }
)
"""The names that an expression may use, each with what can stand behind its dot."""

DEEP = frozenset({"extra", "verdicts"})
"""What may have a second dot: ``sale.extra.FIELD``, ``verdicts.FLOW.STEP``."""

EXPRESSION_FILTERS = ("length", "lower", "upper", "trim", "first", "last", "default", "int", "float", "abs")
"""None of them can be made to work long, whatever its arguments (rounding to minus a billion digits can)."""

_TESTS = ("defined", "none")
_ALLOWED_NODES = (
    *(nodes.Name, nodes.Const, nodes.Getattr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
    *(nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Add, nodes.Sub, nodes.Neg, nodes.List, nodes.Tuple),
)
_WORDS = {"mul": "'*'", "pow": "'**'", "div": "'/'", "call": "a call", "concat": "'~'", "getitem": "[ ]"}
# What a well-formed expression can still raise on odd values.
_VALUE_TROUBLE = (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError, RuntimeError)

VALUE_MAX_CHARS = 200
"""The longest text that an expression may give; a longer one is cut, so that notes cannot grow without end."""

_NUMBER_MAX = 10**12


@dataclass(frozen=True, slots=True)
class Answer:
    """What an expression came to, and where a value was odd, what about it."""

    value: Any
    trouble: str = ""


class _Nothing(ChainableUndefined):
    """A value that nobody gave: equal to nothing, false, and in doubt wherever it is to be compared by size."""

    @property
    def _undefined_message(self) -> str:
        return f"{self._undefined_name!r} is not known"


class _Environment(ImmutableSandboxedEnvironment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return self.getattr(obj, argument) if isinstance(argument, str) else self.undefined(obj=obj, name=argument)


def _make_environment() -> _Environment:
    environment = _Environment(undefined=_Nothing, autoescape=False)
    environment.filters = {name: environment.filters[name] for name in EXPRESSION_FILTERS}
    environment.tests = {name: environment.tests[name] for name in _TESTS}
    environment.globals = {}
    return environment


_environment = _make_environment()


def evaluate(source: str, values: Mapping[str, object]) -> Answer:
    """Give what an expression comes to: a text, number, truth, moment or None. Never raises.

    Args:
        source: the expression.
        values: what stands behind the names of `NAMES`; what is missing is unknown.
    """
    try:
        value = _compiled(source)(**values)
        return _plain(value)
    except _VALUE_TROUBLE as error:
        reason = str(error).splitlines()[0][:VALUE_MAX_CHARS] if str(error) else type(error).__name__
        return Answer(None, f"{source!r}: {reason}")


def holds(source: str, values: Mapping[str, object]) -> Answer:
    """Tell whether a condition holds. What cannot be told is false, and says why. Never raises."""
    answer = evaluate(source, values)
    return Answer(bool(answer.value) and not answer.trouble, answer.trouble)


def _plain(value: object) -> Answer:
    if value is None or isinstance(value, Undefined):
        return Answer(None)
    if isinstance(value, bool | datetime):
        return Answer(value)
    if isinstance(value, int | float):
        small = -_NUMBER_MAX <= value <= _NUMBER_MAX  # not a number is not small either
        return Answer(value) if small else Answer(None, "the number is too large, or none at all")
    if isinstance(value, str):
        return Answer(value[:VALUE_MAX_CHARS])
    if isinstance(value, Sequence | Mapping):
        return Answer(bool(value))
    return Answer(None, f"{type(value).__name__} is no text, number, truth or moment")


# -- what an expression may be -----------------------------------------------------------------------------------------


def expression_faults(
    source: str,
    *,
    notes: Sequence[str] | None = None,
    answers: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Return what is wrong with an expression, in words for its author; an empty list where it is good.

    Args:
        source: the expression.
        notes: the names that may stand behind ``vars.``; None: any.
        answers: the questions that may stand behind ``answers.``, each with its choices; None: any.
    """
    try:
        tree = _parsed(source)
    except TemplateError as error:
        return [f"the condition cannot be read: {error.message or error}"]
    except RecursionError:
        return ["the condition is nested too deep"]
    found = [*_shape_faults(tree), *_name_faults(tree, notes, answers)]
    return list(dict.fromkeys(found))


def names_in(source: str) -> frozenset[str]:
    """Return the first names that an expression uses (``answer``, ``sale`` …); nothing where it cannot be read."""
    try:
        return frozenset(each.name for each in _all(_parsed(source), nodes.Name))
    except (TemplateError, RecursionError):
        return frozenset()


def _parsed(source: str) -> nodes.Expr:
    """Parse one expression and nothing behind it.

    Raises:
        TemplateError: it cannot be read.
    """
    if len(source) > EXPRESSION_MAX_CHARS:
        raise TemplateError(f"it is longer than {EXPRESSION_MAX_CHARS} characters")
    parser = Parser(_environment, source, state="variable")
    tree = parser.parse_expression()
    if not parser.stream.eos:
        raise TemplateError(f"something follows the end of it: {parser.stream.current.value!r}")
    return tree


def _all(tree: nodes.Expr, kind: Any) -> Iterator[Any]:
    """Yield every node of a kind, the tree's root included."""
    if isinstance(tree, kind):
        yield tree
    yield from tree.find_all(kind)


def _shape_faults(tree: nodes.Expr) -> Iterator[str]:
    for node in _all(tree, nodes.Node):
        if not isinstance(node, _ALLOWED_NODES):
            kind = type(node).__name__.lower()
            yield f"{_WORDS.get(kind, kind)} is not allowed in a condition: compare names, texts and numbers"
        elif isinstance(node, nodes.Filter) and node.name not in EXPRESSION_FILTERS:
            yield f"there is no filter {node.name!r} here; {did_you_mean(node.name, EXPRESSION_FILTERS)}"
        elif isinstance(node, nodes.Test) and node.name not in _TESTS:
            yield f"there is no test {node.name!r} here; {did_you_mean(node.name, _TESTS)}"


def _name_faults(
    tree: nodes.Expr, notes: Sequence[str] | None, answers: Mapping[str, Sequence[str]] | None
) -> Iterator[str]:
    for name in _all(tree, nodes.Name):
        if name.name not in NAMES:
            yield f"there is no name {name.name!r} in a condition; {did_you_mean(name.name, NAMES)}"
    for getter in _all(tree, nodes.Getattr):
        yield from _field_faults(getter, notes, answers)
    for compared in _all(tree, nodes.Compare):
        yield from _choice_faults(compared, answers or {})


def _field_faults(
    getter: nodes.Getattr, notes: Sequence[str] | None, answers: Mapping[str, Sequence[str]] | None
) -> Iterator[str]:
    inner = getter.node
    if isinstance(inner, nodes.Getattr):
        behind = inner.attr if inner.attr in DEEP else getattr(inner.node, "name", "")
        if behind not in DEEP or not isinstance(inner.node, nodes.Name):
            yield f"nothing can stand behind a second dot ({getter.attr!r})"
        return
    if not isinstance(inner, nodes.Name):
        yield f"nothing can stand behind a dot here ({getter.attr!r})"
        return
    known: Sequence[str] | None = NAMES.get(inner.name)
    if inner.name == "vars":
        known = notes
    elif inner.name == "answers":
        known = None if answers is None else tuple(answers)
    if known is None or tuple(known) == ANYTHING:
        return
    if getter.attr not in known:
        hint = did_you_mean(getter.attr, known) or "there is nothing behind its dot"
        yield f"{inner.name!r} has no {getter.attr!r}; {hint}"


def _choice_faults(compared: nodes.Compare, answers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what compares an answer to a word that is none of that question's choices, and so never holds."""
    asked = compared.expr
    if not (isinstance(asked, nodes.Getattr) and isinstance(asked.node, nodes.Name) and asked.node.name == "answers"):
        return
    choices = answers.get(asked.attr)
    for operand in compared.ops if choices is not None else ():
        word = operand.expr.value if isinstance(operand.expr, nodes.Const) else None
        if isinstance(word, str) and choices is not None and word not in choices:
            yield f"{asked.attr!r} has no choice {word!r}; {did_you_mean(word, choices)}"


@lru_cache(maxsize=1024)
def _compiled(source: str) -> TemplateExpression:
    """Compile an expression; one of a forbidden shape is refused as if it could not be read.

    Raises:
        TemplateError: it cannot be read, or is not allowed.
    """
    fault = next(_shape_faults(_parsed(source)), None)
    if fault is not None:
        raise TemplateError(fault)
    return _environment.compile_expression(source, undefined_to_none=False)
