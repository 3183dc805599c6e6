"""Whether the ways through a flow are good: every step reached, every way ends, every rule of the product kept on it.

What lives here: findings about steps as a graph. What must not: texts and single keys.
"""

from collections.abc import Iterable

from bot.flows.expressions import names_in
from bot.flows.findings import Findings
from bot.flows.model import END, Ask, Branch, Choice, Complete, Flow, GoTo, Offer, OpenCaseStep, Set, Wait
from bot.flows.run import is_unhappy
from bot.flows.ways import AT_ONCE, Way, circles, place_of, reached, targets_in, ways_of
from bot.flows.yaml_tree import did_you_mean

_SILENT = (Set, Branch, OpenCaseStep, Complete, GoTo)
"""Steps of which the customer notices nothing."""

_TELLS_VERDICT = frozenset(
    {"answer", "answers", "verdicts", "factors", "unhappy", "case", "vars", "promise", "promised"}
)
"""Names of conditions that may tell whether the customer was happy."""


def check_ways(flow: Flow, notes: Findings) -> None:
    """Note what is wrong with the ways through a flow."""
    _targets(flow, notes)
    _reachable(flow, notes)
    noted = _circles(flow, notes)
    _asked_for_ever(flow, notes, noted)
    _ends(flow, notes, noted)
    _dead_ends(flow, notes)
    _completes(flow, notes)
    _review(flow, notes)
    _referral(flow, notes)


def _targets(flow: Flow, notes: Findings) -> None:
    for name, step in flow.steps.items():
        for way in ways_of(step):
            if way.target is not None and way.target not in flow.steps:
                hint = did_you_mean(way.target, (*flow.steps, END))
                notes.error((*place_of(name), *way.path), f"there is no step {way.target!r}", hint)


def _reachable(flow: Flow, notes: Findings) -> None:
    begins = [trigger.step for trigger in flow.triggers if trigger.step in flow.steps]
    seen = reached(begins, lambda name: targets_in(flow, name))
    for name in flow.steps:
        if name not in seen:
            notes.error(place_of(name), f"no way leads to step {name!r}", "lead to it, or take it out")


def _circles(flow: Flow, notes: Findings) -> set[str]:
    """Note circles that never ask: of messages alone, and of messages and pauses without a question."""
    noted: set[str] = set()
    for kinds, message, hint in (
        (AT_ONCE, "the messages go round in a circle without a pause or a question", "ask a question, or end"),
        ((*AT_ONCE, Wait), "the circle never asks anything, so it never ends", "ask a question, or end"),
    ):
        inside = [name for name, step in flow.steps.items() if isinstance(step, kinds) or _is_passed(step)]
        onward = {name: [t for t in _run_on(flow, name) if t in inside] for name in inside}
        for group in circles(inside, onward):
            if not noted & set(group):
                notes.error(place_of(group[0]), message, hint)
            noted |= set(group)
    return noted


def _is_passed(step: object) -> bool:
    """Tell whether a step may be run through though it asks: the question for each promise, with none left."""
    return isinstance(step, Ask) and step.per_promise


def _run_on(flow: Flow, name: str) -> list[str]:
    """Return where a conversation runs on to from a step without the customer's doing."""
    step = flow.steps[name]
    found = [way for way in ways_of(step) if not isinstance(step, Ask) or way.by == "none left"]
    return [way.target for way in found if way.target in flow.steps and way.target is not None]


def _asked_for_ever(flow: Flow, notes: Findings, noted: set[str]) -> None:
    """Note circles that somebody who never answers goes round in: reminders without end (rule 9)."""
    onward = {
        name: [
            way.target
            for way in ways_of(step)
            if way.target in flow.steps
            and way.target is not None
            and (way.by == "silence" or not isinstance(step, Ask))
        ]
        for name, step in flow.steps.items()
    }
    for group in circles(flow.steps, onward):
        asks = [name for name in group if isinstance(flow.steps[name], Ask)]
        if asks and not noted & set(group):
            message = f"who stays silent at question {asks[0]!r} is asked again and again: more than two reminders"
            notes.warning((*place_of(asks[0]), "silence"), message, "let silence lead to an end")


def _ends(flow: Flow, notes: Findings, noted: set[str]) -> None:
    """Note steps from which no end can be reached."""
    leads: dict[str, set[str]] = {}
    good: list[str] = []
    for name, step in flow.steps.items():
        ways = list(ways_of(step))
        if not ways or any(way.target is None or way.target not in flow.steps for way in ways):
            good.append(name)
        for way in ways:
            if way.target is not None:
                leads.setdefault(way.target, set()).add(name)
    ending = reached(good, lambda name: leads.get(name, ()))
    for name in flow.steps:
        if name not in ending and not noted:
            notes.warning(place_of(name), f"no way leads from step {name!r} to an end", "let one way lead to end")
            return


def _dead_ends(flow: Flow, notes: Findings) -> None:
    for name, step in flow.steps.items():
        path = place_of(name)
        match step:
            case Ask():
                for way in ways_of(step):
                    if way.choice is not None and _says_nothing(flow, way.target):
                        message = f"a dead end: who taps {way.choice.name!r} hears nothing in return"
                        notes.warning((*path, "choices", way.choice.name), message, "say a word: next: …")
            case Wait() if step.next is None:
                notes.warning(path, f"a dead end: nothing follows the pause {name!r}", "next: …, or take the pause out")
            case Branch() if step.otherwise is None and "otherwise" not in _written(notes, name):
                message = f"a dead end: where no condition of {name!r} holds, the conversation ends without a word"
                notes.warning(path, message, "otherwise: … (or otherwise: end, if it is meant so)")
            case _:
                pass


def _written(notes: Findings, name: str) -> set[str]:
    """Return the keys that are written below a step."""
    path = place_of(name)
    return {each[len(path)] for each in notes.places if len(each) > len(path) and each[: len(path)] == path}


def _says_nothing(flow: Flow, target: str | None) -> bool:
    """Tell whether the conversation may come to its end from here without a word to the customer."""
    seen: set[str] = set()
    ahead = [target]
    while ahead:
        name = ahead.pop()
        step = flow.steps.get(name) if name is not None else None
        if name is None or (step is not None and not list(ways_of(step))):
            return True
        if step is None or name in seen or not isinstance(step, _SILENT):
            continue
        seen.add(name)
        ahead += [way.target for way in ways_of(step)]
    return False


# -- the rules of the product ------------------------------------------------------------------------------------------


def _completes(flow: Flow, notes: Findings) -> None:
    """Note ways on which a sale would be complete without the customer's own happy choice (rule 1)."""
    begins = [(trigger.step, "the start") for trigger in flow.triggers]
    for name, step in flow.steps.items():
        begins += [
            (way.target, f"{_said(way)} of {name!r}")
            for way in ways_of(step)
            if way.target is not None and _is_not_their_word(step, way)
        ]
    told: set[str] = set()
    for begin, why in begins:
        for name in reached([begin], lambda each: _run_on(flow, each) if _runs_through(flow, each) else ()):
            if isinstance(flow.steps.get(name), Complete) and name not in told:
                told.add(name)
                message = f"{why} leads here, and would complete the sale without the customer's own happy choice"
                notes.error(place_of(name), message, "let only a happy choice lead here, with no pause between")


def _is_not_their_word(step: object, way: Way) -> bool:
    """Tell whether something else than a happy choice takes this way, at the beginning of a run."""
    if isinstance(step, Ask):
        return way.by != "none left" and (way.choice is None or is_unhappy(way.choice))
    return isinstance(step, Wait)


def _said(way: Way) -> str:
    match way.by:
        case "choice":
            return f"the unhappy choice {way.choice.name!r}" if way.choice else "a choice"
        case "words":
            return "the words that answer the question"
        case "silence":
            return "the silence"
        case _:
            return "the end"


def _runs_through(flow: Flow, name: str) -> bool:
    step = flow.steps.get(name)
    return isinstance(step, AT_ONCE) or _is_passed(step)


def _offers(flow: Flow, what: str) -> list[str]:
    return [name for name, step in flow.steps.items() if isinstance(step, Offer) and step.what == what]


def _review(flow: Flow, notes: Findings) -> None:
    """Note where the answer decides whether the review link is offered: that is review gating (rule 10)."""
    offers = _offers(flow, "review")
    if not offers:
        return
    leads = _leading_to(flow, offers)
    for name, step in flow.steps.items():
        ways = [way for way in ways_of(step) if _depends_on_verdict(step, way)]
        missing = [way for way in ways if way.target not in leads]
        if missing and len(missing) < len(ways):
            named = missing[0].choice.name if missing[0].choice else "one way"
            message = f"the review link is offered for some answers only; {named!r} never leads to {offers[0]!r}"
            notes.error((*place_of(name), *missing[0].path), message, "offer it alike, whatever the verdict")


def _leading_to(flow: Flow, ends: Iterable[str]) -> set[str]:
    """Return every step that can lead to one of `ends`, these included."""
    back: dict[str, list[str]] = {}
    for name in flow.steps:
        for target in targets_in(flow, name):
            back.setdefault(target, []).append(name)
    return reached(ends, lambda name: back.get(name, ()))


def _depends_on_verdict(step: object, way: Way) -> bool:
    if isinstance(step, Ask):
        return way.by == "choice"
    return isinstance(step, Branch) and any(names_in(arm.condition) & _TELLS_VERDICT for arm in step.arms)


def _referral(flow: Flow, notes: Findings) -> None:
    """Note ways to a referral on which the customer was not happy, or was unhappy (rule 10)."""
    if not _offers(flow, "referral"):
        return
    seen: set[tuple[str, bool]] = set()
    ahead = [(trigger.step, False) for trigger in flow.triggers if trigger.step in flow.steps]
    told: set[str] = set()
    while ahead:
        name, is_happy = ahead.pop()
        if (name, is_happy) in seen or name not in flow.steps:
            continue
        seen.add((name, is_happy))
        step = flow.steps[name]
        if isinstance(step, Offer) and step.what == "referral" and not is_happy and name not in told:
            told.add(name)
            message = "a way leads here on which the customer did not say that they are happy"
            notes.error(place_of(name), message, "let only happy choices lead here: a referral is for the happy alone")
        ahead += [
            (way.target, _happy_after(way.choice, is_happy=is_happy)) for way in ways_of(step) if way.target is not None
        ]


def _happy_after(choice: Choice | None, *, is_happy: bool) -> bool:
    if choice is None:
        return is_happy
    if is_unhappy(choice):
        return False
    return is_happy or choice.completes or any(value > 0 for value in choice.factors.values())
