"""Use cases of versions: what publishing a flow would change, publishing, taking an old version back, moving.

What runs for new sales is decided in one place, `in_use`. A flow whose newest publication is by hand runs as published,
whatever its file says. A flow that nobody ever published by hand runs as its file says, and the running program keeps
the history itself (`take_up`). History is only added to: restoring publishes old content under a new number.

Whoever publishes says which publication they had looked at; where another one came in between, theirs is refused.
What lives here must not read files, print or ask; a command and a page do the same with it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from bot.errors import Conflict, FollowUpError, InputRefused, NotFound
from bot.flows.differences import Difference, difference
from bot.flows.model import Flow
from bot.flows.moving import carried_over
from bot.messages import House, as_kept, keep, note_down
from bot.ports.records import Conversation, Publication, PublishedHow
from bot.ports.store import UnitOfWork

PAGE = 200
"""How many conversations are moved in one transaction, and looked at in one read."""

# What is published ------------------------------------------------------------------------------------------------


def is_by_hand(head: Publication | None) -> bool:
    """Tell whether somebody published a flow: then only what is published runs."""
    return head is not None and head.how != "start"


def heads_of(uow: UnitOfWork) -> dict[str, Publication]:
    """Give the newest publication of each flow."""
    return {each.flow: each for each in uow.publications()}


def in_use(
    from_files: Mapping[str, Flow], heads: Mapping[str, Publication], published: Mapping[str, Flow]
) -> dict[str, Flow]:
    """Give the flows that begin new conversations.

    Args:
        from_files: what the files say.
        heads: the newest publication of each flow.
        published: the content of those publications that are by hand, as far as it can be read.
    """
    by_hand = {name for name, head in heads.items() if is_by_hand(head)}
    by_file = {name: flow for name, flow in from_files.items() if name not in by_hand}
    return dict(sorted({**by_file, **{name: flow for name, flow in published.items() if name in by_hand}}.items()))


def take_up(uow: UnitOfWork, flows: Iterable[Flow], now: datetime) -> list[Publication]:
    """Note in the history that the files' flows run which nobody ever published by hand. Gives what was new.

    Another program that does the same at the same moment is no matter: what it notes comes before ours.
    """
    heads = heads_of(uow)
    found = (_taken_up(uow, flow, heads.get(flow.name), now) for flow in flows)
    return [each for each in found if each is not None]


def _taken_up(uow: UnitOfWork, flow: Flow, head: Publication | None, now: datetime) -> Publication | None:
    keep(uow, flow, now)
    while not is_by_hand(head) and (head is None or head.version != flow.version):
        publication = Publication(flow.name, head.number + 1 if head else 1, flow.version, "start", now)
        if uow.publish(publication):
            return publication
        head = uow.publications(flow.name)[-1]
    return None


def unpublished(
    from_files: Mapping[str, Flow], files: Mapping[str, str], heads: Mapping[str, Publication]
) -> list[str]:
    """Say of each flow that was published by hand where its file says something else: what runs, and what to do.

    Args:
        from_files: what the files say.
        files: the name of the file of each flow that has one in the folder.
        heads: the newest publication of each flow.
    """
    said = []
    for name, head in sorted(heads.items()):
        if not is_by_hand(head):
            continue
        flow, file = from_files.get(name), files.get(name, name)
        publish = f"aftersale flows publish {name}"
        if head.version and flow is None:
            said.append(
                f"{name} has no file any more, and v{head.number} goes on running → put the file back, "
                f"or take the flow out of use: {publish}"
            )
        elif flow is not None and not head.version and name in files:
            said.append(f"{file}: {name} is out of use since v{head.number} → to use it: {publish}")
        elif flow is not None and head.version and flow.version != head.version:
            said.append(
                f"{file} differs from v{head.number}, which is what runs → look: aftersale flows diff {name}; "
                f"then: {publish}"
            )
    return said


# Looking beforehand -----------------------------------------------------------------------------------------------

PlanKind: TypeAlias = Literal["first", "changed", "same", "confirm", "withdraw", "nothing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many unfinished conversations stand on a version (its newest `number`; None: it was never published).

    `could_move` of them can go on in the new version; `why_not` counts the reasons of the others.
    """

    version: str
    number: int | None
    running: int
    could_move: int = 0
    why_not: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What publishing would do, for whoever decides. Nothing has happened yet.

    `kind`: ``first`` (never published), ``changed``, ``confirm`` (runs already, as its file says; from then on only
    what is published runs), ``withdraw`` (its file is gone: it goes out of use), ``same`` or ``nothing`` (there is
    nothing to do). `seen` is the number that it was looked at against, `number` the one that it would get. `refusals`
    say why it cannot be, each with its place; where there is one, `publish` refuses, too.
    """

    flow: str
    kind: PlanKind
    seen: int
    number: int
    new: Flow | None
    old: Flow | None
    difference: Difference
    standing: tuple[Standing, ...] = ()
    refusals: tuple[str, ...] = ()
    how: PublishedHow = "publish"

    @property
    def is_needed(self) -> bool:
        """Whether publishing would change anything."""
        return self.kind not in {"same", "nothing"}


def plan_publication(
    uow: UnitOfWork, house: House, name: str, draft: Flow | None, refusals: Sequence[str] = ()
) -> Plan:
    """Work out what publishing `draft` (None: the flow has no file any more) would do.

    Args:
        uow: only read from.
        house: reads old versions.
        name: of the flow.
        draft: its content, as an editor or a file has it.
        refusals: what `flows check` and the flow's tests have against it.
    """
    history = uow.publications(name)
    head = history[-1] if history else None
    kind: PlanKind
    if draft is None:
        kind = "withdraw" if head is not None and head.version else "nothing"
    elif head is None:
        kind = "first"
    elif draft.version != head.version:
        kind = "changed"
    else:
        kind = "same" if is_by_hand(head) else "confirm"
    return _plan(uow, house, name, kind, history, draft, refusals, "publish" if draft else "withdraw")


def plan_restore(uow: UnitOfWork, house: House, name: str, number: int) -> Plan:
    """Work out what taking version `number` of a flow back would do; it would get a new number.

    Raises:
        NotFound: there is no such version.
        FlowError: it cannot be read any more.
    """
    wanted = publication_of(uow, name, number)
    if not wanted.version:
        raise NotFound(f"v{number} of {name} took the flow out of use; there is nothing in it to restore")
    history = uow.publications(name)
    draft = as_kept(uow, name, wanted.version)
    kind: PlanKind = "same" if history[-1].version == wanted.version and is_by_hand(history[-1]) else "changed"
    return _plan(uow, house, name, kind, history, draft, (), "restore")


def publication_of(uow: UnitOfWork, name: str, number: int) -> Publication:
    """Give one publication of a flow.

    Raises:
        NotFound: there is none of that number; says which there are.
    """
    history = uow.publications(name)
    found = next((each for each in history if each.number == number), None)
    if found is not None:
        return found
    if not history:
        raise NotFound(f"nothing of {name!r} was ever published → aftersale flows list says what was")
    there_are = "v1 only" if len(history) == 1 else f"v1 to v{history[-1].number}"
    raise NotFound(f"{name} has no v{number} → it has {there_are}; see: aftersale flows list {name}")


def content_of(uow: UnitOfWork, name: str, number: int) -> tuple[Publication, Flow | None]:
    """Give a version with its content; none where it took the flow out of use.

    Raises:
        NotFound, FlowError: there is no such version, or it cannot be read any more.
    """
    found = publication_of(uow, name, number)
    return found, as_kept(uow, name, found.version) if found.version else None


def is_kept(uow: UnitOfWork, name: str, text: str) -> bool:
    """Tell whether some version of a flow has just this text, so that nothing is lost where it is overwritten."""
    kept = (uow.flow_version(name, each.version) for each in uow.publications(name))
    return any(each is not None and each.source == text for each in kept)


def _plan(
    uow: UnitOfWork,
    house: House,
    name: str,
    kind: PlanKind,
    history: Sequence[Publication],
    draft: Flow | None,
    refusals: Sequence[str],
    how: PublishedHow,
) -> Plan:
    head = history[-1] if history else None
    old = house.pinned(uow, name, head.version) if head is not None and head.version else None
    changes = difference(old, draft) if old is not None and draft is not None else Difference()
    seen = head.number if head else 0
    standing = tuple(_standing(uow, house, name, history, draft))
    return Plan(name, kind, seen, seen + 1, draft, old, changes, standing, tuple(refusals), how)


def _standing(
    uow: UnitOfWork, house: House, name: str, history: Sequence[Publication], new: Flow | None
) -> Iterable[Standing]:
    """Tell of each version how many conversations are on it, and which of them could go on in `new`."""
    numbers = {each.version: each.number for each in history if each.version}
    running = {version: count for (_, version), count in uow.running_on(name).items()}
    for version in sorted(running, key=lambda each: -numbers.get(each, 0)):
        if new is None or version == new.version:
            yield Standing(version, numbers.get(version), running[version])
            continue
        old, could, why_not = house.pinned(uow, name, version), 0, Counter[str]()
        for conversation in _all_on(uow, name, version):
            reason = may_move(old, new, conversation)
            could += reason is None
            if reason is not None:
                why_not[reason] += 1
        yield Standing(version, numbers.get(version), running[version], could, dict(why_not.most_common()))


def _all_on(uow: UnitOfWork, name: str, version: str) -> Iterable[Conversation]:
    after = ""
    while page := uow.unfinished_on(name, version, after, PAGE):
        yield from page
        after = page[-1].id


# Publishing -------------------------------------------------------------------------------------------------------


def publish(uow: UnitOfWork, plan: Plan, now: datetime, *, by: str, note: str = "") -> Publication:
    """Publish what was planned; from now on new conversations begin with it. Those that run stay as they are.

    Raises:
        InputRefused: check or tests have something against it.
        Conflict: somebody else published since the plan was made; says who, when and what to do.
    """
    if plan.refusals:
        raise InputRefused([(plan.flow, each) for each in plan.refusals])
    head = next(iter(uow.publications(plan.flow)[-1:]), None)
    content = plan.new.version if plan.new else ""
    taken_up = head is not None and head.how == "start" and head.version == content
    if head is not None and head.number != plan.seen and not taken_up:
        raise _overtaken(plan, head)
    if plan.new is not None:
        keep(uow, plan.new, now)
    number = (head.number if head else 0) + 1
    publication = Publication(plan.flow, number, content, plan.how, now, by, note)
    if not uow.publish(publication):
        raise _overtaken(plan, uow.publications(plan.flow)[-1])
    note_down(
        uow, now, "flow.published", flow=plan.flow, number=number, version=content, how=plan.how, by=by, note=note
    )
    return publication


def _overtaken(plan: Plan, head: Publication) -> Conflict:
    whose = f"by {head.by or 'the running program'} at {head.at:%H:%M} UTC" + (f", “{head.note}”" if head.note else "")
    return Conflict(
        f"{plan.flow}: v{head.number} was published meanwhile ({whose}); nothing of yours was published "
        f"→ look at the difference anew: aftersale flows diff {plan.flow}"
    )


# Moving -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of moving: how many went, and how many stay, by reason."""

    moved: int
    stay: Mapping[str, int]


def may_move(old: Flow | None, new: Flow, conversation: Conversation) -> str | None:
    """Say why a conversation has to stay on its version; None if it can go on in `new`."""
    if old is None:
        return "its version cannot be read any more"
    carried = carried_over(old, new, conversation.state)
    return carried if isinstance(carried, str) else None


def to_move(
    uow: UnitOfWork, name: str, version: str, *, sale_id: str | None = None, after: str = ""
) -> list[Conversation]:
    """Give the next page of conversations that stand on a version, beyond the id `after`, of one sale or of all."""
    if sale_id is None:
        return uow.unfinished_on(name, version, after, PAGE)
    found = [each for each in uow.conversations_of(sale_id) if each.flow == name and each.version == version]
    return [each for each in found if each.state.status != "finished" and each.id > after]


def move(
    uow: UnitOfWork,
    house: House,
    conversations: Sequence[Conversation],
    start: Publication,
    target: Publication,
    now: datetime,
    *,
    by: str,
) -> Moved:
    """Let conversations go on in another version of their flow, those that can. What they wait for keeps its moment.

    Nothing is said to anybody by it. Each is looked at again under its customer's lock; one that answered, ended or was
    moved meanwhile is judged as it stands now.

    Args:
        uow: the transaction; a page of them in one is enough.
        house: reads both versions.
        conversations: as they were found.
        start: what they are on.
        target: where they go.
        now: aware UTC.
        by: who decided it.

    Raises:
        NotFound: the target took the flow out of use, or cannot be read.
    """
    old, new = (house.pinned(uow, each.flow, each.version) for each in (start, target))
    if new is None:
        raise NotFound(f"v{target.number} of {target.flow} cannot be moved to: it has no content that can be read")
    uow.read_ahead(
        customers={each.customer_id for each in conversations}, sales={each.sale_id for each in conversations}
    )
    moved, stay = 0, Counter[str]()
    for each in conversations:
        conversation = uow.conversation(each.id)
        if conversation is None or conversation.version != start.version:
            continue
        carried = carried_over(old, new, conversation.state) if old else "its version cannot be read any more"
        if isinstance(carried, str):
            stay[carried] += 1
            continue
        uow.put_conversation(replace(conversation, version=new.version, state=carried))
        note_down(
            uow, now, "conversation.moved", sale_id=conversation.sale_id, customer_id=conversation.customer_id,
            flow=conversation.flow, conversation=conversation.id, to=f"v{target.number}", by=by,
            **{"from": f"v{start.number}"},
        )  # fmt: skip
        moved += 1
    return Moved(moved, dict(stay))


@dataclass(frozen=True, slots=True)
class MovedPage:
    """What came of one page of them, and the id that it ended with; "": there are no more."""

    moved: Moved
    after: str


def move_page(
    uow: UnitOfWork,
    house: House,
    start: Publication,
    target: Publication,
    now: datetime,
    *,
    by: str,
    sale_id: str | None = None,
    after: str = "",
) -> MovedPage:
    """Move the next page of those that stand on `start`, beyond the id `after`: a transaction that nobody waits for."""
    found = to_move(uow, start.flow, start.version, sale_id=sale_id, after=after)
    done = move(uow, house, found, start, target, now, by=by)
    return MovedPage(done, max((each.id for each in found), default=""))


# Troubles ---------------------------------------------------------------------------------------------------------


def unreadable(uow: UnitOfWork) -> list[str]:
    """Say which versions cannot be read that somebody is on, or that are published; their conversations wait."""
    running = uow.running_on()
    numbers = {(each.flow, each.version): each.number for each in uow.publications()}
    published = {(head.flow, head.version): 0 for head in heads_of(uow).values() if head.version and is_by_hand(head)}
    said = []
    for (name, version), count in sorted({**published, **running}.items()):
        try:
            as_kept(uow, name, version)
        except FollowUpError as error:
            number = numbers.get((name, version))
            which = f"v{number}" if number else version
            waits = f"{count} conversation{'s' if count != 1 else ''} on it wait" if count else "no new one begins"
            said.append(f"{which} of {name} cannot be read, so {waits + ('s' if count == 1 else '')}: {error}")
    return said
