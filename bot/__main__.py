"""``python -m bot`` and the command ``aftersale``: both begin here. What the commands do stands in `bot.cli`."""

import sys

from bot.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
