"""What is wrong with a file: the first problems in full, of the others their number."""

from bot.errors import InputRefused

PROBLEMS_MAX = 200
"""How many problems are told at once; a file with more has one cause."""


class Problems:
    """What was found so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self._told: list[tuple[str, str]] = []
        self._more = 0

    def add(self, place: str, reason: str) -> None:
        """Note one; `place` like ``line 7, occurred_at``."""
        if len(self._told) < PROBLEMS_MAX:
            self._told.append((place, reason))
        else:
            self._more += 1

    def refuse_if_any(self) -> None:
        """Go on only where there are none.

        Raises:
            InputRefused: with all of them, shortened.
        """
        if self._more:
            raise InputRefused([*self._told, ("the file", f"has {self._more} more problems like these")])
        if self._told:
            raise InputRefused(self._told)
