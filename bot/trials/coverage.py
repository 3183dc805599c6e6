"""Which ways of a flow were walked: read off what a simulation left behind. Pure.

Every way is known by what the conversation did, never by what the customer was meant to do: a tap that came to nothing
walks no way.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bot.flows.edges import Way, ways_of_flow
from bot.flows.model import Flow
from bot.trials.trail import Answered, Moved


@dataclass(frozen=True, slots=True)
class Coverage:
    """The ways of a flow that need something to happen, and which of them were walked."""

    flow: str
    ways: tuple[Way, ...]
    walked: frozenset[Way]

    @property
    def missing(self) -> list[Way]:
        """Those that nobody walked, in the order of the flow."""
        return [way for way in self.ways if way not in self.walked]

    def __str__(self) -> str:
        """Write it as ``after_delivery 14/14 ways``."""
        return f"{self.flow} {len(self.walked)}/{len(self.ways)} ways"


def coverage(flow: Flow, moves: Iterable[Moved | Answered]) -> Coverage:
    """Tell which branches of `flow` were walked by all that these simulations did."""
    ways = tuple(way for way in ways_of_flow(flow) if way.is_branch)
    walked = {way for move in moves if move.flow == flow.name for way in _walked(ways, move)}
    return Coverage(flow.name, ways, frozenset(walked))


def _walked(ways: Sequence[Way], move: Moved | Answered) -> list[Way]:
    if isinstance(move, Answered):
        return [way for way in ways if (way.step, way.kind, way.name) == (move.step, "choice", move.choice)]
    return [way for way in ways if _was_taken(way, move)] + _arms(ways, move)


def _was_taken(way: Way, move: Moved) -> bool:
    before, after = move.before, move.after
    if way.kind == "start":
        return move.begun_by == way.name and before.status == "new" and way.target in move.touched
    if way.step != before.step:
        return False
    fired = move.fired.kind if move.fired and move.fired.turn == before.turn else None
    match way.kind:
        case "words":
            answered = any(each.turn == before.turn and each.answered for each in after.asked)
            return before.status == "asking" and answered
        case "remind":
            return after.turn == before.turn and before.reminded + 1 == after.reminded == int(way.name)
        case "silence":
            return before.status == "asking" and fired == "silence" and not before.spoken
        case "pause":
            return before.status == "waiting" and fired == "wait"
        case "event":
            moved_on = after.turn != before.turn or after.status == "finished"
            return before.status == "waiting" and move.by_event == way.name and moved_on
        case _:
            return False


def _arms(ways: Sequence[Way], move: Moved) -> list[Way]:
    """Find the arms that were taken: which of the steps that they lead to was looked up first, after the parting.

    Arms that lead to the same step cannot be told apart, and count together.
    """
    found = []
    for place, name in enumerate(move.touched):
        arms = [way for way in ways if way.step == name and way.kind == "arm"]
        targets = {way.target for way in arms}
        entered = next((step for step in move.touched[place + 1 :] if step in targets), None)
        if entered is not None or move.after.status == "finished":
            found += [way for way in arms if way.target == entered]
    return found
