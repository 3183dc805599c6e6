"""What a person in the terminal is told when something goes wrong: one clear message, never a stack trace.

Importing this is quick: what writing a log needs is imported only when there is something to write.
"""

# ruff: noqa: PLC0415 - see above

import sys
from pathlib import Path
from typing import TextIO

from bot.errors import FollowUpError, InputRefused

LOG_FILE = "aftersale-errors.log"
"""Where, in the working folder, the particulars of an unexpected error are written for whoever mends the program."""


def known(error: FollowUpError) -> int:
    """Tell an error of our own on stderr, whole, and give the exit code."""
    if isinstance(error, InputRefused):
        _tell("✖ Nothing was stored, because this is wrong:")
        for field, reason in error.problems:
            _tell(f"  {field}: {reason}")
    else:
        _tell(f"✖ {error}")
    return error.exit_code


def unexpected(error: Exception, log: TextIO | None = None) -> int:
    """Tell on stderr that something went wrong here, under a reference; its particulars go to the log.

    Args:
        error: what nobody foresaw.
        log: where the log goes; None: into `LOG_FILE`, or, where that cannot be written, nowhere but here.
    """
    reference, where = write_down(error, log)
    _tell(f"✖ Something went wrong inside aftersale: {in_short(error)}")
    told = f"; the particulars stand in {where}" if where else ""
    _tell(f"  Reference {reference}{told}. Nothing half-done was stored; you can try again.")
    return 1


def write_down(error: Exception, log: TextIO | None = None) -> tuple[str, str]:
    """Write the particulars of an error into a log (see `unexpected`). Gives their reference, and where they stand."""
    import logging

    from structlog import get_logger

    from bot.adapters.clock import SystemClock
    from bot.adapters.logs import set_up_logs

    reference = SystemClock().new_id()
    event = {"reference": reference, "exc_info": error}
    where = "the log"
    handlers = logging.getLogger().handlers
    before = handlers[:]
    if log is not None:
        get_logger("aftersale.cli").error("command_failed", **event)
    else:
        try:
            with Path(LOG_FILE).open("a", encoding="utf-8") as file:
                set_up_logs("console", stream=file)
                get_logger("aftersale.cli").error("command_failed", **event)
            where = LOG_FILE
        except OSError:
            where = ""
        finally:
            handlers[:] = before
    return reference, where


def in_short(error: Exception) -> str:
    """Say in one line what an error is, without what must not be seen."""
    from bot.adapters.logs import redact

    first_line = next(iter(str(error).strip().splitlines()), "")
    return f"{type(error).__name__}: {redact(first_line)}"


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
