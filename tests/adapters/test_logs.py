"""The log is readable by people or machines, and holds no secret, whoever wrote the line."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bot.adapters.logs import redact, set_up_logs

TOKEN = "1234567890:AAabcdefghijklmnopqrstuvwxyz012345678"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "secret",
    [
        TOKEN,
        f"bot{TOKEN}",
        "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
        "xapp-1-A0B-123-abcdef",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==",
        "user:pass%20word",
    ],
)
def test_secrets_are_replaced_wherever_they_stand(secret: str) -> None:
    """Tokens, signing secrets and database passwords vanish, alone and inside addresses and sentences."""
    if secret.startswith("user:"):
        assert redact(f"postgresql://{secret}@host/db") == "postgresql://[secret]@host/db"
    else:
        shown = redact(f"GET https://host/{secret}?a=1, said {secret}.")
        assert shown == "GET https://host/[secret]?a=1, said [secret]."


@pytest.mark.parametrize(
    "text",
    ["2026-11-21T10:00:00+01:00", "http://127.0.0.1:8080/events", "sale:1001", "sqlite:///aftersale.db", "a:b@c"],
)
def test_ordinary_words_stay(text: str) -> None:
    """Times, addresses and ids are not mistaken for secrets."""
    assert redact(text) == text


def test_json_lines_carry_event_and_particulars() -> None:
    """One line is one JSON object with the constant event name and what belongs to it."""
    stream = io.StringIO()
    set_up_logs("json", stream=stream)
    structlog.get_logger("aftersale.dispatch").info("message_sent", sale_id="1001", of=[f"bot{TOKEN}"])
    line = json.loads(stream.getvalue())
    assert (line["event"], line["sale_id"], line["level"], line["of"]) == ("message_sent", "1001", "info", ["[secret]"])


@pytest.mark.parametrize("form", ["console", "json"])
def test_vendors_speak_from_warnings_up_and_without_secrets(form: str) -> None:
    """The list of addresses of httpx is left out; a vendor's warning, and the stack of an error, come without the token."""
    stream = io.StringIO()
    set_up_logs("json" if form == "json" else "console", stream=stream)
    logging.getLogger("httpx").info("HTTP Request: POST https://api.telegram.org/bot%s/getMe", TOKEN)
    assert stream.getvalue() == ""
    logging.getLogger("telegram.ext").warning("lost https://api.telegram.org/bot%s/getMe", TOKEN)
    structlog.get_logger("aftersale").error("tick_failed", exc_info=RuntimeError(f"at bot{TOKEN}"))
    assert "lost https://api.telegram.org/[secret]/getMe" in stream.getvalue()
    assert "RuntimeError: at [secret]" in stream.getvalue()
    assert TOKEN not in stream.getvalue()


def test_setting_up_again_does_not_double_lines() -> None:
    """The last form set up is the only one that writes."""
    first, second = io.StringIO(), io.StringIO()
    set_up_logs("json", stream=first)
    set_up_logs("json", stream=second)
    structlog.get_logger("aftersale").info("started")
    assert first.getvalue() == ""
    assert second.getvalue().count("\n") == 1
