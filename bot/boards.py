"""What a member of staff sees at a glance: their cases, their team's, what waits for the customer. Pure.

Reads nothing and decides nothing about a case; how it is drawn is the adapter's.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from bot.cards import lit, task_lit
from bot.desk import machine
from bot.desk.states import Case, Task
from bot.desk.working_time import said_at
from bot.messages import House
from bot.ports.board import Board, CaseSeen, Found, Line
from bot.ports.records import Sale

LINES_MAX = 30
"""How many lines of one list are gathered; of more it is only said how many there are."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {"due": "due {at}", "order": "order {id}", "task": "{team}: {text}"},
    "da": {"due": "senest {at}", "order": "ordre {id}", "task": "{team}: {text}"},
}


def board_of(
    house: House,
    user: str,
    teams: Collection[str],
    seen: Sequence[CaseSeen],
    figures: Mapping[str, int],
    now: datetime,
) -> Board:
    """Give what somebody who works for `teams` sees first.

    Args:
        house: the shop.
        user: who they are, a Slack user id.
        teams: the teams that they work for.
        seen: the cases that are not settled yet, those that are due first.
        figures: the day's.
        now: the moment that it is.
    """
    own = [each for each in seen if each.case.claimed_by == user and machine.is_awaited(each.case)]
    theirs = [each for each in seen if each.case.team in teams and each not in own]
    staff_waits = [each for each in theirs if machine.is_awaited(each.case)]
    waiting = [each for each in seen if not machine.is_awaited(each.case)]
    waiting = [each for each in waiting if each.case.team in teams or each.case.claimed_by == user]
    tasks = [(each, task) for each in seen for task in each.case.tasks if task.team in teams and task.done_at is None]
    tasks.sort(key=lambda each: each[1].due_at)
    lists: Mapping[str, Sequence[object]] = {"mine": own, "teams": staff_waits, "waiting": waiting, "my_tasks": tasks}
    zone = house.shop.calendar.zone
    return Board(
        at=said_at(now, zone, house.shop.staff_language),
        language=house.shop.staff_language,
        shop=house.shop.name,
        teams=tuple(teams),
        mine=_lines(house, own, now),
        team=_lines(house, staff_waits, now),
        waiting=_lines(house, waiting, now),
        tasks=[_task_line(house, each, task, now) for each, task in tasks[:LINES_MAX]],
        more={name: max(0, len(found) - LINES_MAX) for name, found in lists.items()},
        figures=figures,
    )


def _lines(house: House, seen: Iterable[CaseSeen], now: datetime) -> list[Line]:
    return [_line(house, each, now) for each in list(seen)[:LINES_MAX]]


def _line(house: House, each: CaseSeen, now: datetime) -> Line:
    case, words = each.case, _words(house)
    light, word, shape = lit(house, case, now)
    due = words["due"].format(at=_time(house, case.team, case.due_at)) if machine.is_awaited(case) else ""
    return Line(
        title=_name(each),
        about=_about(house, each.sale),
        light=light,
        light_word=word,
        light_shape=shape,
        due=due,
        claimed_by=case.claimed_by,
        card=(each.post.channel, each.post.ts) if each.post else None,
    )


def _task_line(house: House, each: CaseSeen, task: Task, now: datetime) -> Line:
    light, word, shape = task_lit(house, task, now)
    return Line(
        title=_name(each),
        about=_words(house)["task"].format(team=each.case.team, text=task.text),
        light=light,
        light_word=word,
        light_shape=shape,
        due=_words(house)["due"].format(at=_time(house, task.team, task.due_at)),
        card=(task.channel, task.ts) if task.channel and task.ts else None,
    )


def found_of(
    house: House,
    sales: Sequence[Sale],
    names: Mapping[str, str],
    cases: Mapping[str, Case],
    cards: Mapping[str, tuple[str, str]],
    now: datetime,
) -> list[Found]:
    """Say in words what a search found: `names` by customer, `cases` by sale, and where `cards` of cases stand."""
    found = []
    for sale in sales:
        case = cases.get(sale.id)
        shown = ""
        if case is not None:
            _, word, shape = lit(house, case, now)
            shown = f"{shape} {word}, {case.team}"
        elif sale.confirmed_at is not None:
            shown = "✅"
        found.append(
            Found(
                sale.id,
                names.get(sale.customer_id) or sale.customer_id,
                sale.summary,
                sale.stage.partition(".")[2].replace("_", " "),
                shown,
                cards.get(case.id) if case else None,
            )
        )
    return found


def _words(house: House) -> Mapping[str, str]:
    return _WORDS.get(house.shop.staff_language, _WORDS["en"])


def _name(each: CaseSeen) -> str:
    return each.customer.name or each.customer.id


def _about(house: House, sale: Sale) -> str:
    order = _words(house)["order"].format(id=sale.id)
    return f"{sale.summary}, {order}" if sale.summary else order


def _time(house: House, team: str, at: datetime) -> str:
    return said_at(at, house.shop.team(team).calendar.zone, house.shop.staff_language)
