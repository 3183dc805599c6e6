"""The JSON Schema of a flow file, made of the same table that the reader uses: editors complete and mark as one types.

What lives here: how the kinds of `bot.flows.forms` look in JSON Schema. What must not: anything that the table can say.
"""

from typing import Any

from bot.flows.expressions import EXPRESSION_MAX_CHARS
from bot.flows.forms import FORMS, MATCH_KEYS, STEPS, Form, Key, Kind

SCHEMA_ID = "http://json-schema.org/draft-07/schema#"
"""Draft 7, which every editor knows. Source: https://json-schema.org/draft-07 (read 2026-11-25)"""

_WORD = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"
_LANGUAGE = "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"
_SCALAR = ["string", "number", "boolean"]

_TEXTS: dict[str, Any] = {
    "anyOf": [
        {"type": _SCALAR},
        {
            "type": "object",
            "patternProperties": {_LANGUAGE: {"type": _SCALAR}},
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}

_KINDS: dict[Kind, dict[str, Any]] = {
    "texts": {"$ref": "#/definitions/texts"},
    "text": {"type": _SCALAR},
    "word": {"type": "string", "pattern": _WORD},
    "step": {"type": "string", "pattern": _WORD},
    "duration": {"type": "string", "pattern": r"^\s*\d{1,5}\s*(s|m|h|d|w|bd)\s*$"},
    "truth": {"type": "boolean"},
    "condition": {"type": _SCALAR, "maxLength": EXPRESSION_MAX_CHARS},
    "value": {"type": _SCALAR, "maxLength": EXPRESSION_MAX_CHARS},
    "number": {"type": "number", "minimum": 0, "maximum": 1},
    "link": {"type": "string", "pattern": r"^(https?://\S{3,2000}|[A-Za-z0-9_-]{8,255})$"},
    "hours": {"type": "string", "pattern": r"^\s*\d{1,2}:\d\d\s*-\s*\d{1,2}:\d\d\s*$"},
    "moment": {"type": "string", "maxLength": EXPRESSION_MAX_CHARS},
    "map": {
        "type": "object",
        "patternProperties": {_WORD: {"type": _SCALAR, "maxLength": EXPRESSION_MAX_CHARS}},
        "additionalProperties": False,
    },
}

_SHORT_FORMS = frozenset({"choice", "reason"})
"""Mappings that may be written as their label alone."""


def flow_schema() -> dict[str, Any]:
    """Return the schema of a flow file."""
    definitions: dict[str, Any] = {"texts": _TEXTS}
    definitions |= {f"form_{name}": _form(form) for name, form in FORMS.items()}
    definitions |= {f"step_{name}": _form(form) for name, form in STEPS.items()}
    definitions["form_step"] = _step()
    return {
        "$schema": SCHEMA_ID,
        "title": "A flow of aftersale",
        "allOf": [{"$ref": "#/definitions/form_flow"}],
        "definitions": definitions,
    }


def _step() -> dict[str, Any]:
    """Choose the form of a step by the one key that makes it what it is: so an editor marks what is wrong within."""
    chosen = [{"if": {"required": [kind]}, "then": {"$ref": f"#/definitions/step_{kind}"}} for kind in STEPS]
    return {
        "type": "object",
        "properties": {kind: {"description": form.doc} for kind, form in STEPS.items()},
        "oneOf": [{"required": [kind]} for kind in STEPS],
        "allOf": chosen,
    }


def _form(form: Form) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": {key.name: _described(key) for key in form.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in form.keys if key.required]
    if required:
        found["required"] = required
    if form.doc:
        found["description"] = form.doc
    if form.name.startswith("for_"):
        found["oneOf"] = [{"required": [key]} for key in MATCH_KEYS]
    return found


def _described(key: Key) -> dict[str, Any]:
    value = _value(key)
    # In this draft whatever stands beside a reference is ignored, so the reference goes one deeper.
    return {"description": key.doc, **({"allOf": [value]} if "$ref" in value else value)}


def _value(key: Key) -> dict[str, Any]:
    one = _single(key)
    if key.named:
        return {
            "type": "object",
            "patternProperties": {_WORD: one},
            "additionalProperties": False,
            **({"minProperties": 1} if key.required else {}),
        }
    if key.many:
        one = {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}
    if key.or_kind is not None:
        one = {"anyOf": [one, _KINDS[key.or_kind]]}
    return one


def _single(key: Key) -> dict[str, Any]:
    if key.words:
        numbers = [int(word) for word in key.words if word.isdigit()]
        return {"enum": [*key.words, *numbers]}
    if key.form:
        form = {"$ref": f"#/definitions/form_{key.form}"}
        return {"anyOf": [form, {"type": _SCALAR}]} if key.form in _SHORT_FORMS else form
    return _KINDS[key.kind]
