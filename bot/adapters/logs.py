"""How the log is written. One constant event name per kind of line, its particulars as keywords, never a secret.

Vendors' own log lines come the same way, from warnings up. What customers and staff write is not for the log either:
whoever logs passes ids.
"""

import logging
import re
import sys
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRETS = re.compile(
    r"""(?<![A-Za-z0-9])(?:bot)?\d{4,}:[A-Za-z0-9_-]{20,}   # a Telegram bot token, also as it stands in addresses
    |xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]+                  # Slack: bot, user and refresh tokens
    |xapp-[A-Za-z0-9-]+                                     # Slack: app-level tokens
    |whsec_[A-Za-z0-9+/=]+                                  # the shop's signing secret
    |(?<=://)[^\s/@:]*:[^\s/@]+(?=@)                        # user and password of a database address
    """,
    re.VERBOSE,
)
_HIDDEN = "[secret]"
_OURS = ("aftersale", "bot", "storage")
_VENDORS: dict[str, int] = {
    # httpx writes whole addresses at INFO, and a Telegram address holds the bot token.
    "httpx": logging.WARNING,
    # It warns each time that a tick is skipped because the last one still runs, which is how ticks are meant to go.
    "apscheduler": logging.ERROR,
}


def redact(text: str) -> str:
    """Give `text` with everything that looks like a token, a signing secret or a password replaced."""
    return _SECRETS.sub(_HIDDEN, text)


def set_up_logs(form: Literal["console", "json"], *, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Write the log to `stream` (none: standard error) in this form: ours from `level` up, vendors' from WARNING.

    Doing it again replaces what was set before.
    """
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if form == "console":
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)
    finish: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        _redact_all,
        renderer,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=finish, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level)
    for name, least in _VENDORS.items():
        logging.getLogger(name).setLevel(least)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _redact_all(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {name: _redacted(value) for name, value in event.items()}


def _redacted(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case dict():
            return {str(name): _redacted(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(each) for each in value]
        case _:  # whatever it is would be written by its repr, and a repr may hold an address with a token
            return redact(repr(value))
