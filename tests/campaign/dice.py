"""Dice that fall the same way for the same seed: everybody has some of their own, so that nobody's throws shift another's."""

import random


def dice(seed: str, whose: str) -> random.Random:
    """Give the dice of one part of a campaign."""
    return random.Random(f"{seed}:{whose}")  # noqa: S311 - they are to be repeatable, not secret
