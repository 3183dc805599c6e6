"""JSON from outside, read so strictly that whatever passes can be stored in every database that we use.

Python's own reader lets through what PostgreSQL refuses later (NaN, a NUL character, half a surrogate pair), when the
sender has long been told that all is well.
"""

import json
import math
import re
from typing import Any

from bot.errors import InputRefused

DEPTH_MAX = 32
"""How deep lists and objects may be nested."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""NUL, and halves of a surrogate pair."""


def read_json(text: str | bytes) -> Any:
    """Give what `text` says.

    Raises:
        InputRefused: it is not JSON, not UTF-8, nested too deep, or has a value that no database keeps.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InputRefused([("(the whole)", "is not UTF-8 text")]) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputRefused([("(the whole)", f"is not JSON ({where}): {error.msg}")]) from None
    except (ValueError, RecursionError):
        raise InputRefused([("(the whole)", "has a number that is too long, or is nested too deep")]) from None
    problem = _unstorable(value, "", 0)
    if problem is not None:
        raise InputRefused([problem])
    return value


def _refuse_constant(name: str) -> Any:
    raise json.JSONDecodeError(f"{name} is no JSON number", name, 0)


def _unstorable(value: Any, path: str, depth: int) -> tuple[str, str] | None:
    if depth > DEPTH_MAX:
        return path, f"is nested deeper than {DEPTH_MAX} levels"
    match value:
        case str() if _UNSTORABLE.search(value):
            return path or "(the whole)", "has a character that cannot be stored (NUL, or half of an emoji)"
        case float() if not math.isfinite(value):
            return path or "(the whole)", "is a number too large to be stored"
        case list():
            parts = ((f"{path}[{place}]", each) for place, each in enumerate(value))
        case dict():
            for name in value:
                if problem := _unstorable(name, path or "(the whole)", depth):
                    return problem
            parts = ((f"{path}.{name}" if path else str(name), each) for name, each in value.items())
        case _:
            return None
    return next((problem for where, each in parts if (problem := _unstorable(each, where, depth + 1))), None)
