"""What the pages look at and act upon: a running program; in the sandbox also the people who play with it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.app.program import Program

if TYPE_CHECKING:
    from bot.pages.playground import Playground

WORLD = "aftersale.world"
"""Under which name of the ASGI scope the pages find it."""


@dataclass(slots=True)
class World:
    """The program, and the `playground` where it is a sandbox. `public_url`: under which the internet reaches it."""

    _program: Program | None
    public_url: str | None = None
    playground: "Playground | None" = None

    @property
    def program(self) -> Program:
        """The program as it runs now: the sandbox begins anew now and then."""
        if self.playground is not None:
            return self.playground.stage.program
        if self._program is None:
            raise LookupError("there is no program here")
        return self._program
