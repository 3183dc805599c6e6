"""`aftersale flows list` and `diff`: which version of each flow runs, what was published, and what differs."""

from collections.abc import Mapping, Sequence

from bot import publishing
from bot.cli.flow_desk import Desk, content_of, desk_of, number_of
from bot.cli.flow_difference import show_difference
from bot.cli.opening import opened
from bot.cli.terminal import clock, counted, grid, heading, say, show, write_json
from bot.errors import NotFound
from bot.flows.differences import difference
from bot.ports.records import Publication

_HOW = {"start": "taken from its file", "restore": "taken back", "withdraw": "out of use"}
_NOT_YET = "not in the history yet: the next aftersale run notes it"


def list_flows(name: str | None, *, as_json: bool) -> None:
    """Print what runs of each flow, or the whole history of one.

    Raises:
        NotFound: there is no flow of that name.
    """
    with opened() as base:
        desk = desk_of(base)
        history, running = base.database.run_now(lambda uow: (uow.publications(name), uow.running_on(name)))
        if name is not None:
            desk.known(name)
        shown = history if name is not None else list(desk.now_running().values())
        numbers = {(each.flow, each.version): each.number for each in history}
        if as_json:
            write_json([{**_told(each), "running": _running(each, numbers, running)} for each in shown])
            return
        if name is None:
            _print_flows(desk, running)
        else:
            _print_history(desk, name, history, numbers, running)
        for problem in publishing.unpublished(desk.files.flows, desk.files.names, desk.now_running()):
            if name is None or problem.startswith((f"{name} ", f"{desk.file(name)} ", f"{desk.file(name)}:")):
                say(f"! {problem}", "yellow")


def _told(each: Publication) -> dict[str, object]:
    return {field: getattr(each, field) for field in Publication.__dataclass_fields__}


def _running(each: Publication, numbers: Mapping[tuple[str, str], int], running: Mapping[tuple[str, str], int]) -> int:
    """Tell how many are on a publication; where one content was published twice, they count for the newer."""
    key = (each.flow, each.version)
    return running.get(key, 0) if numbers.get(key) == each.number else 0


def _print_flows(desk: Desk, running: Mapping[tuple[str, str], int]) -> None:
    at = clock(desk.base.house.shop.time_zone)
    table = grid("flow", "runs", "since", "by", "conversations", "note", header=True)
    for name in desk.names():
        head = desk.now_running().get(name)
        on_others = sum(count for (flow, version), count in running.items() if flow == name)
        here = running.get((name, head.version), 0) if head else 0
        count = str(here) + (f" (and {on_others - here} on older versions)" if on_others > here else "")
        if head is None:
            table.add_row(
                name, "as its file says", "", "", count, "not in the history yet: the next aftersale run notes it"
            )
        elif not publishing.is_by_hand(head):
            table.add_row(name, f"v{head.number}, as its file says", at(head.at), "", count, _since(desk, name, head))
        else:
            table.add_row(
                name, f"v{head.number}" if head.version else "out of use", at(head.at), head.by, count, head.note
            )
    show(table)


def _since(desk: Desk, name: str, head: Publication) -> str:
    """Say what became of the file of a flow that runs as it says."""
    flow = desk.files.flows.get(name)
    if flow is None:
        return "it has no file any more that can be read"
    return (
        "" if flow.version == head.version else "edited since: a program that runs takes it up, or else the next start"
    )


def _print_history(
    desk: Desk,
    name: str,
    history: Sequence[Publication],
    numbers: Mapping[tuple[str, str], int],
    running: Mapping[tuple[str, str], int],
) -> None:
    if not history:
        say(f"{name} runs as its file says; {_NOT_YET}.")
    at = clock(desk.base.house.shop.time_zone)
    table = grid("version", "when", "by", "conversations", "note", header=True)
    for each in reversed(history):
        same = next((one.number for one in history if one.version == each.version and one.number < each.number), None)
        words = [_HOW.get(each.how, ""), f"the same as v{same}" if same and each.version else "", each.note]
        count = str(_running(each, numbers, running)) if numbers[each.flow, each.version] == each.number else ""
        table.add_row(f"v{each.number}", at(each.at), each.by, count, "; ".join(word for word in words if word))
    if history:
        show(table)
    unknown = {version: count for (_, version), count in running.items() if (name, version) not in numbers}
    if unknown:
        say(f"{counted(sum(unknown.values()), 'conversation')} on versions from before the history began.")


def show_differences(names: Sequence[str], start: str | None, end: str | None) -> None:
    """Print what is different: from what runs to the files, or between two versions.

    Raises:
        NotFound: there is no such flow or version.
    """
    with opened() as base:
        desk = desk_of(base)
        wanted = [desk.known(name) for name in names] or desk.names()
        if (start or end) and len(names) != 1:
            raise NotFound("--from and --to are versions of one flow → name it: aftersale flows diff FLOW --from v2")
        is_any = False
        for name in wanted:
            is_any = _show_one(desk, name, start, end, is_alone=bool(names)) or is_any
        if not is_any and not names:
            say("Every file says what runs.", "green")


def _show_one(desk: Desk, name: str, start: str | None, end: str | None, *, is_alone: bool) -> bool:
    head = desk.now_running().get(name)
    old_number = number_of(start) if start else head.number if head else None
    if old_number is None:
        say(f"{name} was never published; it runs as {desk.file(name)} says.")
        return True
    to_file = end is None or end.lower() == "file"
    old_name, old = content_of(desk, name, old_number)
    new_name, new = (
        (desk.file(name), desk.files.flows.get(name)) if to_file else content_of(desk, name, number_of(end or ""))
    )
    if old is not None and new is not None and old.version == new.version:
        if is_alone:
            say(f"{name}: {new_name} says what {old_name} says.", "green")
        return False
    heading(f"{name}: {old_name} → {new_name}")
    for refusal in desk.refusals(name) if to_file and new is None else ():
        say(f"  {refusal}", "red")
    if old is None or new is None:
        say(f"  {new_name if new is None else old_name} has no content: the flow is out of use there.", "yellow")
        return True
    show_difference(difference(old, new))
    return True
