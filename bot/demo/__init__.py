"""`aftersale demo --terminal`: four sales, from buy to “it is complete” through the real program on this machine.

Nothing here is a recording. Small players read what the bot really sent and answer it; the figures at the end are asked
of the database. Change a flow, and the demo changes. No rule of the product lives here.
"""

# ruff: noqa: PLC0415 - the first line shall stand in the terminal before telegram, Slack and SQL are imported

import asyncio
import sys
from pathlib import Path

from bot.demo.screen import Screen
from bot.errors import FollowUpError

_INTERRUPTED = 130
"""What shells expect of a program that was ended with Ctrl+C."""


def run_demo(*, speed: float = 1.0, width: int | None = None, flows_dir: Path | None = None) -> int:
    """Play the demo on stdout and give the exit code: 0 it was played to its end, 1 it failed, 130 it was interrupted.

    The operator's own settings, shop and database are neither read nor written: everything happens in a temporary
    folder and on 127.0.0.1.

    Args:
        speed: in a terminal, how fast to read along: 2 halves the pauses. In a pipe there are none.
        width: columns to write; None: the terminal's, at most 100, or 100 in a pipe.
        flows_dir: a folder of flows to play instead of the shipped ones.
    """
    screen = Screen(speed=speed, width=width)
    try:
        screen.welcome()
        from bot.demo.play import play

        return asyncio.run(play(screen, flows_dir))
    except KeyboardInterrupt:
        screen.line("Interrupted. Nothing of the demo is left behind.")
        return _INTERRUPTED
    except BrokenPipeError:  # whoever read along has seen enough: `aftersale demo | head`
        return 0
    except FollowUpError as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - the outermost place of the demo: one clear line, whatever it was
        problem = f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no reason given')}"
    print(f"✖ The demo could not be played to its end: {problem}", file=sys.stderr)  # noqa: T201 - what failed
    return 1
