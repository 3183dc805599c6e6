"""Whether a valid flow is also a good one: what an admin should know before publishing it.

What lives here: the whole check, and what concerns single keys. Texts are `bot.flows.check_texts`, the ways through the
flow `bot.flows.check_ways`. What must not: reading YAML (`bot.flows.parse` refuses what is not a flow at all) and
anything that changes a flow.
"""

from collections.abc import Collection, Sequence

from bot.flows.check_texts import check_conditions, check_texts
from bot.flows.check_ways import check_ways
from bot.flows.facts import ANSWERED
from bot.flows.findings import Finding, Findings, Surroundings
from bot.flows.model import ASKED_CONSENT, Ask, Flow, Offer, OpenCaseStep, Purpose, Texts
from bot.flows.run import is_unhappy
from bot.flows.ways import Path, place_of
from bot.flows.words import SELLING
from bot.flows.yaml_tree import did_you_mean

__all__ = ["Finding", "check_flow"]

CHOICES_MAX = 8
"""More buttons than this do not fit on a telephone's screen with the question."""

REMINDERS_MAX = 2


def check_flow(
    flow: Flow,
    *,
    languages: Sequence[str] = (),
    touchpoints: Collection[str] | None = None,
    teams: Collection[str] | None = None,
    links: Collection[str] | None = None,
    selling: Texts = SELLING,
    file: str = "",
) -> list[Finding]:
    """Return all findings about `flow`, in the order of its text.

    Args:
        flow: a flow as parsed; one made by hand is checked just as well, only without places.
        languages: the shop's languages; every text should be there in each. None: those that the flow itself uses.
        touchpoints: those that the shop knows; None where that is not known, and so not checked.
        teams: the shop's teams, likewise.
        links: which links the shop has (``review``, ``referral``), likewise.
        selling: words that do not belong into a message about service, by language, with commas between.
        file: its name, for the messages.
    """
    notes = Findings(flow, file or flow.name)
    around = Surroundings(languages, touchpoints, teams, links, selling)
    check_texts(flow, around, notes)
    check_conditions(flow, notes)
    check_ways(flow, notes)
    _steps(flow, around, notes)
    _start(flow, notes)
    return notes.in_order()


def _steps(flow: Flow, around: Surroundings, notes: Findings) -> None:
    for name, step in flow.steps.items():
        path = place_of(name)
        match step:
            case Ask():
                _ask(path, step, around, notes)
            case OpenCaseStep():
                _known((*path, "team"), "team", step.team, around.teams, notes)
                _known((*path, "touchpoint"), "touchpoint", step.touchpoint, around.touchpoints, notes)
            case Offer():
                _offer(path, flow, step, around, notes)
            case _:
                pass


def _ask(path: Path, ask: Ask, around: Surroundings, notes: Findings) -> None:
    _known((*path, "touchpoint"), "touchpoint", ask.touchpoint, around.touchpoints, notes)
    if ask.silence.after.is_zero():
        notes.error(path, f"question {ask.name!r} has no way out when nobody answers", "silence: { after: 7d }")
    elif notes.places and ask.reason_for is None and (*path, "silence") not in notes.places:
        message = f"question {ask.name!r} does not say what follows silence; it ends after 7d"
        notes.warning(path, message, "write it out: silence: { after: 7d, next: … }")
    if ask.remind is not None:
        _remind((*path, "remind"), ask, notes)
    if len(ask.choices) > CHOICES_MAX:
        message = f"{len(ask.choices)} choices are more than the {CHOICES_MAX} that fit"
        notes.error((*path, "choices"), message, "ask two shorter questions")
    for choice in ask.choices:
        here = (*path, "choices", choice.name)
        _known((*here, "touchpoint"), "touchpoint", choice.touchpoint, around.touchpoints, notes)
        if choice.completes and is_unhappy(choice):
            notes.error(here, "an unhappy reply cannot complete the sale")


def _remind(path: Path, ask: Ask, notes: Findings) -> None:
    remind = ask.remind
    if remind is None:
        return
    if remind.times > REMINDERS_MAX:
        notes.error(path, f"more than {REMINDERS_MAX} reminders", "at most two reminders, and none after a reply")
    if not remind.after.business_days and not ask.silence.after.business_days:
        last = remind.after.span * min(remind.times, REMINDERS_MAX)
        if last >= ask.silence.after.span:
            message = "the last reminder would come only after the silence"
            notes.warning(path, message, "remind earlier, or wait longer")


def _offer(path: Path, flow: Flow, offer: Offer, around: Surroundings, notes: Findings) -> None:
    if around.links is not None and offer.what not in around.links:
        message = f"the shop has no link for a {offer.what}, so this is left out"
        notes.warning((*path, "offer"), message, f"add links: {{ {offer.what}: https://… }} to shop.yaml")
    if flow.purpose is Purpose.SERVICE:
        message = f"who agreed to messages about service alone did not agree to be asked for a {offer.what}"
        notes.warning((*path, "offer"), message, "put it into a flow with purpose: result")


def _known(path: Path, what: str, word: str | None, known: Collection[str] | None, notes: Findings) -> None:
    if word is None or known is None or word in known:
        return
    hint = did_you_mean(word, known) or "add it to shop.yaml"
    notes.error(path, f"the shop knows no {what} {word!r}", hint)


def _start(flow: Flow, notes: Findings) -> None:
    if flow.purpose not in ASKED_CONSENT:
        message = f"nobody is asked for consent to messages about {flow.purpose.value!r}, so this flow writes to nobody"
        notes.warning(("purpose",), message, f"one of {', '.join(each.value for each in ASKED_CONSENT)}")
    for trigger in flow.triggers:
        if trigger.step not in flow.steps:
            hint = did_you_mean(trigger.step, flow.steps)
            notes.error(("start",), f"there is no step {trigger.step!r}", hint)
        if trigger.on in trigger.unless:
            notes.error(("start",), f"{trigger.on} starts this flow and prevents it")
        if trigger.on == ANSWERED and not flow.once:
            message = "every answer would begin this flow anew, its own answers, too"
            notes.error(("once",), message, "leave 'once: false' out")
        for after in (trigger.after, *(each.after for each in trigger.variants if each.after is not None)):
            if flow.expires.business_days == 0 and after.span >= flow.expires.span:
                message = f"it expires ({flow.expires}) before it begins ({after})"
                notes.error(("expires",), message, "let it expire later")
