"""`aftersale flows publish` and `restore`: what would change is shown, then asked about, then done."""

from collections.abc import Sequence
from dataclasses import replace

from bot import publishing
from bot.app.base import Base
from bot.cli.flow_desk import Desk, ask, desk_of, move_all, number_of, reasons_of, whose
from bot.cli.flow_difference import show_difference
from bot.cli.opening import opened
from bot.cli.terminal import counted, heading, say
from bot.errors import FollowUpError
from bot.ports.records import Publication
from bot.ports.store import UnitOfWork
from bot.publishing import Plan, Standing

_SHOWN_MAX = 5
"""How many refusals of a flow are shown; the rest is for the commands that look into them."""


def publish_flows(names: Sequence[str], *, note: str, by: str | None, moves: bool, yes: bool) -> int:
    """Publish what the files say, of the named flows or of all; gives 1 where something is against it.

    Raises:
        NotFound: there is no flow of that name.
        Conflict: somebody else published meanwhile.
    """
    with opened() as base:
        desk = desk_of(base)
        plans = _plans(desk, [desk.known(name) for name in names])
        needed = [each for each in plans if each.is_needed or each.refusals]
        if not needed:
            say(f"Nothing to publish: {'they say' if len(plans) != 1 else plans[0].flow + ' says'} what runs.", "green")
            return 0
        for plan in needed:
            _show_plan(plan)
        refused = [each for each in needed if each.refusals]
        if refused:
            say("")
            say(f"Nothing was published: mend {', '.join(each.flow for each in refused)} first.", "red")
            return 1
        say("")
        title = ", ".join(_title(each) for each in needed)
        ask(f"Publish {title}?", yes=yes)
        published = _publish(base, needed, by=whose() if by is None else by, note=note)
        say(f"Published {title}. New conversations begin with {'it' if len(needed) == 1 else 'them'}; a program that "
            "runs takes it up within seconds.", "green")  # fmt: skip
        for plan, target in zip(needed, published, strict=True):
            _after(base, plan, target, moves=moves)
        return 0


def _title(plan: Plan) -> str:
    return f"{plan.flow} v{plan.number}" + (" (out of use)" if plan.kind == "withdraw" else "")


def _plans(desk: Desk, names: Sequence[str]) -> list[Plan]:
    wanted = names or desk.names()
    refusals = {name: desk.refusals(name) for name in wanted}
    if not names and desk.files.errors:
        # A file that cannot be read may be any flow's: nothing is published beside it unseen.
        unread = [str(each) for each in desk.files.errors]
        refusals = {name: [*mine, *(each for each in unread if each not in mine)] for name, mine in refusals.items()}

    def work(uow: UnitOfWork) -> list[Plan]:
        return [
            publishing.plan_publication(uow, desk.base.house, each, desk.files.flows.get(each), refusals[each])
            for each in wanted
        ]

    plans = desk.base.database.run_now(work)
    withdrawn = [each for each in plans if each.kind == "withdraw"]
    if desk.files.errors and withdrawn:
        errors = tuple(str(each) for each in desk.files.errors)
        plans = [replace(each, refusals=errors) if each in withdrawn else each for each in plans]
    # What has no file goes out of use only where it is named.
    return plans if names else [each for each in plans if each.kind != "withdraw"]


def _show_plan(plan: Plan) -> None:
    runs = {
        "first": "for the first time",
        "confirm": f"runs already as v{plan.seen}, from its file; from now on only what is published runs",
        "withdraw": f"takes it out of use: it has no file any more, and v{plan.seen} runs",
        "changed": f"v{plan.seen} → v{plan.number}",
    }.get(plan.kind, "")
    if plan.kind == "changed" or plan.refusals:
        say("")
    say(f"{plan.flow}: {'cannot be published' if plan.refusals else runs}", "bold")
    if plan.refusals:
        for refusal in plan.refusals[:_SHOWN_MAX]:
            say(f"  ✗ {refusal}", "red")
        more = len(plan.refusals) - _SHOWN_MAX
        if more > 0:
            say(f"    … and {more} more", "red")
        look = f"test {plan.flow}" if ": the test " in plan.refusals[0] else "check"
        say(f"    look closer: aftersale flows {look}", "dim")
        return
    if plan.kind == "changed" and plan.old is not None:
        show_difference(plan.difference)
    for each in plan.standing:
        _show_standing(plan, each)


def _show_standing(plan: Plan, each: Standing) -> None:
    if plan.new is not None and each.version == plan.new.version:
        return
    where = f"v{each.number}" if each.number else "an older version"
    stay = "stays" if each.running == 1 else "stay"
    say(f"  {counted(each.running, 'conversation')} {stay} on {where}, {each.could_move} could move"
        + (f" (not: {reasons_of(each.why_not)})" if each.why_not else "") + ".")  # fmt: skip


def _publish(base: Base, plans: Sequence[Plan], *, by: str, note: str) -> list[Publication]:
    """Publish all of them in one transaction: where one was overtaken, none is published."""
    now = base.house.clock.now()
    return base.database.run_now(lambda uow: [publishing.publish(uow, each, now, by=by, note=note) for each in plans])


def _after(base: Base, plan: Plan, target: Publication, *, moves: bool) -> None:
    """Move those who can, if that was asked for; else say how."""
    for each in plan.standing:
        if not each.could_move or each.number is None or each.version == target.version:
            continue
        if moves:
            move_all(base, replace(target, number=each.number, version=each.version), target, None, target.by)
        else:
            say(f"To move those of v{each.number}: aftersale flows move {plan.flow} --from v{each.number}", "dim")


def restore_flow(name: str, version: str, *, note: str, by: str | None, discard_edits: bool, yes: bool) -> int:
    """Publish what an old version said, under a new number, and let the file say it again.

    Raises:
        NotFound: there is no such flow or version.
        Conflict: somebody else published meanwhile.
    """
    number = number_of(version)
    with opened() as base:
        desk = desk_of(base)
        desk.known(name)
        plan = base.database.run_now(lambda uow: publishing.plan_restore(uow, base.house, name, number))
        if not plan.is_needed and _says(desk, plan):
            say(
                f"Nothing to restore: v{plan.seen}, which runs, says what v{number} says, and so does its file.",
                "green",
            )
            return 0
        _refuse_to_lose_edits(desk, name, discard_edits=discard_edits)
        if not plan.is_needed:
            ask(f"v{plan.seen} of {name} runs already. Let its file say the same again?", yes=yes)
            say(f"{_write(desk, plan)}; v{plan.seen} runs on.", "green")
            return 0
        heading(f"{name}: v{number} comes back as v{plan.number}, instead of v{plan.seen}")
        if plan.old is not None:
            show_difference(plan.difference)
        for each in plan.standing:
            _show_standing(plan, each)
        say("")
        ask(f"Restore v{number} of {name}?", yes=yes)
        (target,) = _publish(base, [plan], by=whose() if by is None else by, note=note or f"v{number} again")
        say(f"v{plan.number} of {name} runs for new conversations; {_write(desk, plan)}.", "green")
        _after(base, plan, target, moves=False)
        return 0


def _says(desk: Desk, plan: Plan) -> bool:
    """Tell whether the file of a flow says what is to be restored; the shipped one is nobody's to change."""
    draft = desk.files.flows.get(plan.flow)
    return desk.drafts.folder is None or (
        draft is not None and plan.new is not None and draft.version == plan.new.version
    )


def _write(desk: Desk, plan: Plan) -> str:
    file = desk.files.write(plan.flow, plan.new.source) if plan.new else None
    return f"{file} says the same again" if file else "the shipped flow stays as it is"


def _refuse_to_lose_edits(desk: Desk, name: str, *, discard_edits: bool) -> None:
    """Make sure that no edit is overwritten that is kept nowhere else.

    Raises:
        FollowUpError: there is one.
    """
    text = desk.files.text_of(name)
    if text is None or discard_edits:
        return
    if not desk.base.database.run_now(lambda uow: publishing.is_kept(uow, name, text)):
        raise FollowUpError(
            f"{desk.file(name)} has edits that no version keeps (comments count, too) → publish them, "
            "or copy the file; or let them go: --discard-edits"
        )
