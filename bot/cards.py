"""What a case and a task look like to staff: everything gathered, in plain words and on the team's own clock.

How that is drawn in Slack is the adapter's; what follows from what is `bot.desk.machine`'s.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from babel.dates import format_date

from bot.desk import machine
from bot.desk.shop import Team
from bot.desk.states import Case, Task
from bot.desk.working_time import said_at
from bot.messages import House, languages_for, short_of
from bot.ports.channels import Card, Light, TaskCard
from bot.ports.records import Customer, Json, Promise, Sale, Verdict
from bot.ports.store import UnitOfWork

SHAPES: Mapping[Light, str] = {"red": "🔺", "amber": "🔶", "green": "🟢", "grey": "⚪"}
"""One form for each colour, so that nobody needs to tell red from green."""

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "overdue": "overdue",
        "soon": "due soon",
        "time": "in good time",
        "call": "call the customer",
        "waits": "waiting for the customer",
        "asked": "the customer is being asked",
        "unconfirmed": "unconfirmed",
        "confirmed": "put right",
        "done": "done",
        "snoozed": "Put aside until {until}: it waits for the {what} – {reason}",
        "customer": "customer",
        "parcel": "parcel",
        "supplier": "supplier",
        "stands": "The clock stands since {since}: we wait for the customer.",
        "fell_back": "The channel {channel} cannot be used, so this case stands here. The clock goes on.",
        "by": "by {time}",
        "order.placed": "ordered",
        "order.shipped": "sent",
        "order.delayed": "delayed",
        "order.delivered": "delivered",
        "product.first_used": "in use since",
        "order.cancelled": "cancelled",
        "order.returned": "returned",
        "first": "first time that they say so",
    },
    "da": {
        "overdue": "over tiden",
        "soon": "haster",
        "time": "i god tid",
        "call": "ring til kunden",
        "waits": "venter på kunden",
        "asked": "kunden bliver spurgt",
        "unconfirmed": "ubekræftet",
        "confirmed": "bragt i orden",
        "done": "gjort",
        "snoozed": "Lagt til side til {until}: venter på {what} – {reason}",
        "customer": "kunden",
        "parcel": "pakken",
        "supplier": "leverandøren",
        "stands": "Uret står siden {since}: vi venter på kunden.",
        "fell_back": "Kanalen {channel} kan ikke bruges, så sagen står her. Uret går videre.",
        "by": "senest {time}",
        "order.placed": "bestilt",
        "order.shipped": "sendt",
        "order.delayed": "forsinket",
        "order.delivered": "leveret",
        "product.first_used": "i brug siden",
        "order.cancelled": "afbestilt",
        "order.returned": "sendt retur",
        "first": "første gang, at kunden siger det",
    },
}


HISTORY = 4
"""How many of the customer's answers a card tells of."""


def card(uow: UnitOfWork, house: House, case: Case, now: datetime) -> Card:
    """Gather what the card of a case shows now, in plain words."""
    customer = uow.customer(case.customer_id) or Customer(case.customer_id)
    sale = uow.sale(case.sale_id) or Sale(case.sale_id, case.customer_id)
    promise = next((each for each in uow.promises_of(sale.id) if each.id == case.promise_id), None)
    shop = house.shop
    team = shop.team(case.team)
    words = _words(house)
    light, word, shape = lit(house, case, now)
    remedies = [
        f"{shop.remedy_label(each.kind, shop.staff_language)}{f' ({each.value})' if each.value else ''} – {each.note}"
        for each in case.remedies
    ]
    return Card(
        case_id=case.id,
        status=case.status,
        team=team.name,
        why_team=case.why_team,
        customer=customer.name or customer.id,
        language=next(iter(languages_for(house, customer)), ""),
        sale_id=sale.id,
        bought=sale.summary or ", ".join(str(item.get("name")) for item in sale.items),
        promise=_promise_line(house, team, promise),
        said=case.said,
        factor=case.factor,
        touchpoint=case.touchpoint,
        cycle=case.cycle,
        due=_time(house, team, case.due_at),
        due_reason=case.due_reason,
        overdue=light == "red",
        claimed_by=case.claimed_by,
        remedy="; ".join(remedies) or None,
        reachable=customer.chat_id is not None and not customer.unreachable_at and not customer.stopped_at,
        history=_history(uow, house, team, sale),
        promised_by=(promise.made_by or promise.touchpoint) if promise else None,
        media=[each.kind for each in case.media],
        opened=_time(house, team, case.opened_at),
        max_cycles=shop.max_cycles,
        rung=case.rung,
        called_upon=present(uow, house, machine.called_upon(case, shop)),
        light=light,
        light_word=word,
        light_shape=shape,
        snoozed=_snoozed(house, team, case),
        clock=_clock(house, team, case),
        call_reason=case.call_reason,
        fell_back=words["fell_back"].format(channel=case.fell_back) if case.fell_back else None,
        tasks=[task_card(house, case, task, customer, now) for task in case.tasks],
        staff_language=shop.staff_language,
    )


def as_json(shown: Card | TaskCard) -> Json:
    """Give a card as the outbox keeps it."""
    return asdict(shown)


def task_card(house: House, case: Case, task: Task, customer: Customer, now: datetime) -> TaskCard:
    """Gather what a second team sees of its task."""
    team = house.shop.team(task.team)
    light, word, shape = task_lit(house, task, now)
    return TaskCard(
        id=task.id,
        case_id=case.id,
        team=task.team,
        for_team=case.team,
        text=task.text,
        asked_by=task.by,
        due=_time(house, team, task.due_at),
        due_reason=task.due_reason,
        is_done=task.done_at is not None,
        done_by=task.done_by,
        note=task.note,
        light=light,
        light_word=word,
        light_shape=shape,
        customer=customer.name or customer.id,
        sale_id=case.sale_id,
    )


def task_words(shown: TaskCard) -> str:
    """Say a task in one line, for whoever sees no more than that."""
    about = f"order {shown.sale_id}, {shown.customer}"
    asked = " ".join(shown.text.split()).replace("{user:", "{ user:")
    if shown.is_done:
        return f"☑️ Done by {{user:{shown.done_by}}}: “{asked}” ({about})"
    whose = f"For team {shown.for_team}, asked by {{user:{shown.asked_by}}}"
    return f"{shown.light_shape} {whose}: “{asked}” ({about}). Due {shown.due}: {shown.due_reason}."


def lit(house: House, case: Case, now: datetime) -> tuple[Light, str, str]:
    """Give the colour of a case, the word for it and its form."""
    light, word = light_of(house, case, now)
    return light, _words(house)[word], SHAPES[light]


def task_lit(house: House, task: Task, now: datetime) -> tuple[Light, str, str]:
    """Give the same of a task."""
    light, word = _pressing(house.shop.team(task.team), task.due_at, now)
    if task.done_at is not None:
        light, word = "grey", "done"
    return light, _words(house)[word], SHAPES[light]


def light_of(house: House, case: Case, now: datetime) -> tuple[Light, str]:
    """Tell how pressing a case is, as a colour and the name of a word."""
    still = {"confirmed": "confirmed", "unconfirmed": "unconfirmed", "remedied": "asked"}.get(case.status)
    if still is not None:
        return "grey", still
    if not machine.is_awaited(case):
        return ("amber", "call") if case.status == "call" else ("grey", "waits")
    light, word = _pressing(house.shop.team(case.team), case.due_at, now)
    return ("amber", "call") if case.status == "call" and light != "red" else (light, word)


def _pressing(team: Team, due_at: datetime, now: datetime) -> tuple[Light, str]:
    """Tell whether something is late, nearly due (the last quarter of its working time), or in good time."""
    if now >= due_at:
        return "red", "overdue"
    calendar, length = team.calendar, team.first_answer
    whole = length.span
    if length.business_days:
        opened = calendar.hours_on(due_at.astimezone(calendar.tz).date())
        a_day = sum((_hours(start.hour, start.minute, end.hour, end.minute) for start, end in opened), timedelta())
        whole = a_day * length.business_days
    is_near = calendar.working_between(now, due_at) <= whole * (1 - machine.WARN_AT)
    return ("amber", "soon") if is_near else ("green", "time")


def _hours(hour: int, minute: int, to_hour: int, to_minute: int) -> timedelta:
    length = timedelta(hours=to_hour - hour, minutes=to_minute - minute)
    return length if length > timedelta() else length + timedelta(days=1)


def present(uow: UnitOfWork, house: House, user: str | None) -> str | None:
    """Give somebody to call upon, or where they have left, the CX owner; None where nobody is there."""
    if user is None or not has_left(uow, user):
        return user
    owner = house.shop.cx_owner
    return None if owner is None or has_left(uow, owner) else owner


def has_left(uow: UnitOfWork, user: str) -> bool:
    """Tell whether a member of staff has left the workspace."""
    return uow.note(f"left:{user}") == "yes"


def _words(house: House) -> Mapping[str, str]:
    return _WORDS.get(house.shop.staff_language, _WORDS["en"])


def _time(house: House, team: Team, at: datetime) -> str:
    return said_at(at, team.calendar.zone, house.shop.staff_language)


def _snoozed(house: House, team: Team, case: Case) -> str | None:
    if case.snooze is None:
        return None
    words = _words(house)
    until, what = _time(house, team, case.snooze.until), words[case.snooze.waits_for]
    return words["snoozed"].format(until=until, what=what, reason=case.snooze.reason)


def _clock(house: House, team: Team, case: Case) -> str | None:
    """Say since when the clock stands, where it does."""
    if case.status not in machine.WAITS_FOR_STAFF:
        return None
    since = case.answered_at
    if since is None and case.snooze is not None and case.snooze.left is not None:
        since = case.snooze.since
    return _words(house)["stands"].format(since=_time(house, team, since)) if since is not None else None


def _promise_line(house: House, team: Team, promise: Promise | None) -> str | None:
    if promise is None:
        return None
    parts = [promise.text]
    if promise.due_at:
        parts.append(_words(house)["by"].format(time=_time(house, team, promise.due_at)))
    return ", ".join(parts)


def _history(uow: UnitOfWork, house: House, team: Team, sale: Sale) -> str:
    """Tell in one line how far the sale is, and what the customer said so far."""
    spoken, words = house.shop.staff_language, _words(house)
    told = [f"{words[sale.stage]} {_day(team, at, spoken)}" for at in [sale.happened.get(sale.stage)] if at]
    verdicts = [each for each in uow.verdicts_of(sale.id) if each.choice is not None]
    # The newest is what the card itself is about, word for word.
    told += [f"{each.flow.replace('_', ' ')}: {_tapped(house, each)}" for each in verdicts[-HISTORY:-1]]
    if len(verdicts) <= 1:
        told.append(words["first"])
    line = " · ".join(told)
    return line[:1].upper() + line[1:]


def _tapped(house: House, verdict: Verdict) -> str:
    """Give what stood on the button, or the choice's name where the flow has changed since."""
    flow = house.flows.flows.get(verdict.flow)
    step = flow.steps.get(verdict.step) if flow else None
    labels = {each.name: each.label for each in getattr(step, "choices", ())}.get(verdict.choice or "", {})
    spoken = (house.shop.staff_language, *house.shop.languages)
    known = next((labels[code] for code in spoken if code in labels), verdict.choice)
    return f"“{short_of(known or '')}”"


def _day(team: Team, at: datetime, spoken: str) -> str:
    return format_date(at.astimezone(team.calendar.tz).date(), "EEE d MMM", locale=spoken)
