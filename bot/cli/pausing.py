"""`aftersale pause` and `aftersale resume`: hold what the bot would say of its own accord, and let it go on."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.cli.opening import opened
from bot.cli.terminal import clock, counted, say
from bot.durations import parse_duration
from bot.errors import InputRefused
from bot.holding import Resumed, pause, resume
from bot.messages import House
from bot.ports.records import Pause, PauseScope
from bot.sales import after

_BY = "a command"
_WHICH = "say what: --all, --flow NAME, --sale ID or --import NAME"


def hold(named: Sequence[tuple[PauseScope, str | None]], reason: str, until: str | None) -> None:
    """Pause what is named.

    Raises:
        InputRefused: not exactly one thing is named, or the time is none.
        NotFound: there is no such flow or sale.
    """
    scope, name = _one(named)
    with opened() as base:
        house = base.house
        now = house.clock.now()
        ends = _time(until, house, now) if until else None
        found = base.database.run_now(
            lambda uow: pause(uow, house, now, scope=scope, name=name, reason=reason, by=_BY, until=ends)
        )
        at = clock(house.shop.time_zone)
    lasts = f"until {at(found.until)}" if found.until else f"until you say: aftersale resume {_option(found)}"
    say(f"✔ Paused: {_words(found)}, since {at(found.since)}, {lasts}.", "green")
    say("Questions, reminders and notices wait. Answers to customers, staff's replies, cases and /stop go on.")


def let_go(named: Sequence[tuple[PauseScope, str | None]]) -> None:
    """End a pause, or, where nothing is named, tell what is paused.

    Raises:
        InputRefused: more than one thing is named.
        NotFound: that is not paused.
    """
    with opened() as base:
        house = base.house
        now, at = house.clock.now(), clock(house.shop.time_zone)
        if not any(name is not None for _, name in named):
            found = base.database.run_now(lambda uow: uow.pauses())
            for each in found:
                until = f", until {at(each.until)}" if each.until else ""
                why = f": {each.reason}" if each.reason else ""
                say(f"{_words(each)} is paused since {at(each.since)}{until}{why}  → aftersale resume {_option(each)}")
            if not found:
                say("Nothing is paused.")
            return
        scope, name = _one(named)
        done: Resumed = base.database.run_now(lambda uow: resume(uow, house, now, scope=scope, name=name, by=_BY))
        per_hour = house.shop.guards.catch_up_per_hour
    say(f"✔ {_words(done.pause)} goes on; it was paused since {at(done.pause.since)}.", "green")
    if done.moments or done.messages:
        waited = f"{counted(done.moments, 'conversation')} and {counted(done.messages, 'message')}"
        say(f"{waited} had waited: they are given turns, {per_hour} an hour.")
    for each in done.others:
        say(f"! {_words(each)} is still paused  → aftersale resume {_option(each)}", "yellow")


def _one(named: Sequence[tuple[PauseScope, str | None]]) -> tuple[PauseScope, str]:
    given = [(scope, name) for scope, name in named if name is not None]
    if len(given) != 1:
        raise InputRefused([("which", _WHICH + ("" if not given else "; one at a time"))])
    return given[0]


def _words(found: Pause) -> str:
    return "Everything" if found.scope == "all" else f"The {found.scope} {found.name}"


def _option(found: Pause) -> str:
    return "--all" if found.scope == "all" else f"--{found.scope} {found.name}"


def _time(text: str, house: House, now: datetime) -> datetime:
    """Read a moment on the shop's clock, or a length of time from now."""
    try:
        return after(house, parse_duration(text), now)
    except ValueError:
        pass
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        mend = "write 2d, or a time such as 2026-12-27T08:00"
        raise InputRefused([("--until", f"{text!r} is no time; {mend}")]) from None
    return given if given.tzinfo else given.replace(tzinfo=ZoneInfo(house.shop.time_zone))
