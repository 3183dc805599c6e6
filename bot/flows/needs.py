"""What a flow asks of the world: which names its conditions use, so that only that is read which is needed."""

from collections.abc import Iterator

from bot.flows.expressions import names_in
from bot.flows.facts import ANSWERED
from bot.flows.model import Ask, Branch, Flow, Offer, Say, Set, Step, Variant, Wait


def needs(flow: Flow) -> frozenset[str]:
    """Return the first names of all conditions and values of a flow; ``answered`` where a pause counts from answers."""
    sources = [source for step in flow.steps.values() for source in conditions_of(step)]
    sources += [trigger.condition for trigger in flow.triggers if trigger.condition]
    found = {name for source in sources for name in names_in(source)}
    if any(isinstance(step, Wait) and step.since == ANSWERED for step in flow.steps.values()):
        found.add("answered")
    return frozenset(found)


def conditions_of(step: Step) -> Iterator[str]:
    """Yield every condition and value that a step evaluates."""
    match step:
        case Branch():
            yield from (arm.condition for arm in step.arms)
        case Set():
            yield from step.values.values()
        case Wait():
            if isinstance(step.moment, str):
                yield step.moment
            yield from _of_variants(step.variants)
        case Ask() | Say() | Offer():
            yield from _of_variants(step.variants)
        case _:
            pass


def _of_variants(variants: tuple[Variant, ...]) -> Iterator[str]:
    yield from (each.match.value for each in variants if each.match.kind == "if")
