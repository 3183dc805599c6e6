"""Which alarms are on, and what is to be said about them: once when one begins, once when it is over, never a flood.

Pure: facts, what was said before and `now` in; what is now known and what is to be said out. Looking at the facts and
sending the words is `bot.app.alarming`'s.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from bot.silence import Silence

Weight: TypeAlias = Literal["problem", "warning"]
"""Whether the program cannot do all of its work, or a person should merely look."""

SAME_AGAIN = timedelta(hours=1)
"""How long nothing more is said about the same alarm, however often it comes and goes."""

CALM = timedelta(minutes=2)
"""How long all must be well before an alarm counts as over."""

LAG = timedelta(minutes=10)
"""How far a queue may lag behind."""

LAG_OVER = LAG / 2
"""How far behind a queue that lagged may be when that counts as over."""

LAG_RISES_OVER = timedelta(minutes=5)
"""Over how long a lag must have risen: a queue that is being worked off is nobody's alarm, however long it is."""

UNREACHED = timedelta(minutes=3)
UNHELD = timedelta(minutes=1)

_SOURCES = {"shop": "the shop", "telegram": "customers in Telegram", "slack": "staff in Slack"}
_LOOK_AT = {
    "shop": "see in the shop whether its calls to /events (or the import) still run and what it is answered",
    "telegram": "write to the bot yourself; aftersale doctor looks at token, polling and webhook",
    "slack": "press a button on a card yourself; aftersale doctor looks at token and Socket Mode",
}


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a queue lags behind now, and `LAG_RISES_OVER` ago (None: not known)."""

    now: timedelta
    before: timedelta | None = None

    @property
    def is_too_long(self) -> bool:
        """Whether it is long, and rising."""
        return self.before is not None and self.now >= LAG and self.now > self.before


@dataclass(frozen=True, slots=True)
class Facts:
    """How things stand at one moment.

    `unreached`: what cannot be reached, by name (its first word is the service), and why. `lags`: by queue. `unheld`:
    duties that no program has. `failed`: how many rows of inbox and outbox were given up. `silences`: by source.
    """

    unreached: Mapping[str, str] = field(default_factory=dict)
    lags: Mapping[str, Lag] = field(default_factory=dict)
    unheld: Sequence[str] = ()
    failed: Mapping[str, int] = field(default_factory=dict)
    silences: Mapping[str, Silence] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that is not as it should be: what (`says`), what to do (`mend`), how long it may be so (`patience`).

    A greater `level` is worse, and worth another word.
    """

    key: str
    says: str
    mend: str
    weight: Weight = "warning"
    patience: timedelta = timedelta()
    level: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """A sign with its history. `gone_at`: since when it has not been seen; `told_at`: when last something was said.

    `is_told`: the present spell was told of, up to `told_level`. `is_over`: kept only so that the same is not soon told
    again.
    """

    sign: Sign
    since: datetime
    gone_at: datetime | None = None
    told_at: datetime | None = None
    is_told: bool = False
    told_level: int = 0
    is_over: bool = False

    def is_on(self, now: datetime) -> bool:
        """Tell whether it is so, and has been for longer than it may be."""
        return not self.is_over and now - self.since >= self.sign.patience


Book: TypeAlias = Mapping[str, Alarm]
"""What is known of alarms, by the key of their sign."""


@dataclass(frozen=True, slots=True)
class Word:
    """One thing to be said: `key` is the same should it be decided twice."""

    key: str
    text: str


# What is not as it should be ---------------------------------------------------------------------------------------


def signs(facts: Facts, book: Book, now: datetime) -> list[Sign]:
    """Give everything that is not as it should be. What is on already goes on until it is clearly over."""
    return [*_unreached(facts), *_unheld(facts), *_lags(facts, book), *_silences(facts, book, now), *_failed(facts)]


def _unreached(facts: Facts) -> Iterator[Sign]:
    services: dict[str, dict[str, None]] = {}
    for name, why in facts.unreached.items():
        services.setdefault(name.partition(" ")[0], {})[why] = None
    for service, reasons in services.items():
        what, _, mend = next(iter(reasons)).partition(" → ")
        mend = mend or "see whether this machine reaches the internet; aftersale doctor says more"
        yield Sign(f"unreached:{service}", f"{service}: {what}", mend, "problem", UNREACHED)


def _unheld(facts: Facts) -> Iterator[Sign]:
    for duty in facts.unheld:
        mend = "start aftersale run again; if DATABASE_URL leads through a pooler, it must pool sessions"
        yield Sign(f"duty:{duty}", f"no program has the duty {duty!r}", mend, "problem", UNHELD)


def _lags(facts: Facts, book: Book) -> Iterator[Sign]:
    away = {name.partition(" ")[0].lower() for name in facts.unreached}
    for queue, lag in facts.lags.items():
        key = f"lag:{queue}"
        if queue.startswith("outbox") and any(service in queue for service in away):
            continue  # what waits for a service that is away waits for a reason, which is told already
        if lag.is_too_long or (_is_told(book, key) and lag.now >= LAG_OVER):
            says = f"the {queue} lags {in_words(lag.now)} behind, and more and more"
            mend = "look at /health and the log; aftersale inbox list and outbox list show what waits, and why"
            yield Sign(key, says, mend)


def _silences(facts: Facts, book: Book, now: datetime) -> Iterator[Sign]:
    for source, silence in facts.silences.items():
        key = f"silent:{source}"
        still = _is_told(book, key) and silence.heard_at is not None and silence.heard_at <= book[key].since
        if silence.is_longer_than_normal or still:
            length = now - silence.heard_at if silence.heard_at else silence.length
            who = _SOURCES.get(source, source)
            says = f"nothing has come from {who} for {in_words(length)}, which is longer than normal at this time"
            yield Sign(key, says, _LOOK_AT.get(source, "see whether it still runs"))


def _failed(facts: Facts) -> Iterator[Sign]:
    words = {"inbox": "that came in could not be handled", "outbox": "could not be sent"}
    for queue, number in facts.failed.items():
        if number:
            what = {"inbox": "thing", "outbox": "message"}[queue] + ("" if number == 1 else "s")
            says, mend = f"{number} {what} {words[queue]}", f"aftersale {queue} list --state failed says why"
            yield Sign(f"failed:{queue}", says, mend, level=number)


def _is_told(book: Book, key: str) -> bool:
    return key in book and book[key].is_told and not book[key].is_over


# What is to be said ------------------------------------------------------------------------------------------------


def decide(book: Book, seen: Sequence[Sign], now: datetime) -> tuple[dict[str, Alarm], list[Word]]:
    """Give what is known after a look, and what is to be said about it."""
    known: dict[str, Alarm] = {}
    words: list[Word] = []
    for sign in seen:
        known[sign.key], said = _seen(book.get(sign.key), sign, now)
        words += said
    for key, alarm in book.items():
        if key not in known:
            later, said = _missed(alarm, now)
            words += said
            if later is not None:
                known[key] = later
    return known, words


def _seen(alarm: Alarm | None, sign: Sign, now: datetime) -> tuple[Alarm, list[Word]]:
    if alarm is None or alarm.is_over:
        alarm = Alarm(sign, since=now, told_at=alarm.told_at if alarm else None)
    alarm = replace(alarm, sign=sign, gone_at=None)
    may_tell = alarm.told_at is None or now - alarm.told_at >= SAME_AGAIN
    is_news = not alarm.is_told or sign.level > alarm.told_level
    if not (may_tell and is_news and now - alarm.since >= sign.patience):
        return alarm, []
    again = f"{sign.level}" if alarm.is_told else "on"
    word = Word(f"alarm:{sign.key}:{alarm.since.isoformat()}:{again}", f"🚨 {_sentence(sign)}\n→ {sign.mend}")
    return replace(alarm, is_told=True, told_at=now, told_level=sign.level), [word]


def _missed(alarm: Alarm, now: datetime) -> tuple[Alarm | None, list[Word]]:
    words = []
    if not alarm.is_over:
        alarm = replace(alarm, gone_at=alarm.gone_at or now)
        if alarm.gone_at is not None and now - alarm.gone_at < CALM and alarm.is_told:
            return alarm, []
        if alarm.is_told:
            lasted = in_words((alarm.gone_at or now) - alarm.since)
            text = f"✅ Resolved after {lasted}: {alarm.sign.says}"
            words = [Word(f"alarm:{alarm.sign.key}:{alarm.since.isoformat()}:over", text)]
        alarm = replace(alarm, is_over=True, is_told=False, told_level=0)
    is_recent = alarm.told_at is not None and now - alarm.told_at < SAME_AGAIN
    return (alarm if is_recent else None), words


def _sentence(sign: Sign) -> str:
    return sign.says[:1].upper() + sign.says[1:]


def in_words(length: timedelta) -> str:
    """Write a length of time as people say it: ``40 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    seconds = max(int(length.total_seconds()), 0)
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    told = [f"{number} {unit}" for number, unit in parts if number]
    return " ".join(told[:2])


# Keeping it --------------------------------------------------------------------------------------------------------


def write_book(book: Book) -> str:
    """Give it as text, to be kept."""
    return json.dumps({key: _plain(alarm) for key, alarm in book.items()}, ensure_ascii=False)


def _plain(alarm: Alarm) -> dict[str, Any]:
    sign, times = alarm.sign, {"since": alarm.since, "gone_at": alarm.gone_at, "told_at": alarm.told_at}
    return {
        "says": sign.says,
        "mend": sign.mend,
        "weight": sign.weight,
        "patience": sign.patience.total_seconds(),
        "level": sign.level,
        **{name: at.isoformat() if at else None for name, at in times.items()},
        "is_told": alarm.is_told,
        "told_level": alarm.told_level,
        "is_over": alarm.is_over,
    }


def read_book(text: str | None) -> dict[str, Alarm]:
    """Read what was kept; nothing, or what no version of this program writes: no alarm is known."""
    try:
        return {key: _alarm(key, kept) for key, kept in json.loads(text or "{}").items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _alarm(key: str, kept: Mapping[str, Any]) -> Alarm:
    def at(name: str) -> datetime | None:
        return datetime.fromisoformat(kept[name]) if kept[name] else None

    patience = timedelta(seconds=kept["patience"])
    weight: Weight = "problem" if kept["weight"] == "problem" else "warning"
    return Alarm(
        Sign(key, kept["says"], kept["mend"], weight, patience, kept["level"]),
        since=datetime.fromisoformat(kept["since"]),
        gone_at=at("gone_at"),
        told_at=at("told_at"),
        is_told=kept["is_told"],
        told_level=kept["told_level"],
        is_over=kept["is_over"],
    )
