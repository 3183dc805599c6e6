"""The single values of a shop.yaml: each reads one text.

What will not do raises ValueError, whose message is what is wrong, a semicolon, and what to write instead.
"""

import re
from datetime import date, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel import Locale, UnknownLocaleError

from bot.desk.working_time import Day
from bot.durations import Duration, parse_duration


def count(text: str) -> int:
    """Read a whole number from 1."""
    if not re.fullmatch(r"[1-9]\d{0,4}", text, re.ASCII):
        msg = f"{text!r} is not a whole number; write 1 or more"
        raise ValueError(msg)
    return int(text)


MESSAGES_PER_SECOND_MAX = 1000
"""What Telegram lets a bot send that pays for it.

Source: https://core.telegram.org/bots/faq#how-can-i-message-all-of-my-bot-39s-subscribers-at-once (read 2026-11-25).
"""


def rate(text: str) -> int:
    """Read how many messages a second a bot may send."""
    number = count(text)
    if number > MESSAGES_PER_SECOND_MAX:
        msg = (
            f"{text} a second is more than Telegram takes from any bot;"
            f" write 30, or what the bot pays for, at most {MESSAGES_PER_SECOND_MAX}"
        )
        raise ValueError(msg)
    return number


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    if not re.fullmatch(r"0(\.\d{1,6})?|1(\.0{1,6})?", text, re.ASCII):
        msg = f"{text!r} is not a share; write a number from 0 to 1, such as 0.9"
        raise ValueError(msg)
    return float(text)


def yes_or_no(text: str) -> bool:
    """Read a yes or a no."""
    answer = {"true": True, "yes": True, "false": False, "no": False}.get(text.lower())
    if answer is None:
        msg = f"{text!r} is neither yes nor no; write true or false"
        raise ValueError(msg)
    return answer


def from_delivery(text: str) -> bool:
    """Read what a length of time counts from: true where that is the delivery."""
    if text not in ("click", "delivery"):
        msg = f"nothing counts from {text!r}; write click (of the remedy) or delivery (of what was sent)"
        raise ValueError(msg)
    return text == "delivery"


def fixed_length(text: str) -> timedelta:
    """Read a length of time that needs no calendar."""
    length = parse_duration(text)
    if length.business_days:
        msg = f"{text!r} depends on a calendar; write it in hours or days, such as 20h or 60d"
        raise ValueError(msg)
    return length.span


def working_length(text: str) -> Duration:
    """Read a length of working time: business days, or working hours."""
    length = parse_duration(text)
    if text[-1] in "dw" and not length.business_days:
        msg = f"{text!r} counts nights and week-ends; write business days (2bd) or working hours (4h)"
        raise ValueError(msg)
    if length.is_zero():
        msg = "nobody can answer in no time; write 1bd or 4h"
        raise ValueError(msg)
    return length


def language(text: str) -> str:
    """Read a language code, such as ``da`` or ``pt-BR``."""
    try:
        Locale.parse(text, sep="-")
    except (ValueError, UnknownLocaleError) as error:
        msg = f"{text!r} is not a language code; write two letters, such as en or da"
        raise ValueError(msg) from error
    return text


def time_zone(text: str) -> str:
    """Read the IANA name of a time zone."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        city = text.rpartition("/")[2].lower()
        near = [zone for zone in sorted(available_timezones()) if city in zone.lower()]
        mend = f"did you mean {near[0]!r}?" if city and near else "write one such as Europe/Copenhagen"
        msg = f"{text!r} is not a time zone; {mend}"
        raise ValueError(msg) from error
    return text


def channel(text: str) -> str:
    """Read a Slack channel: its id, or its name with ``#`` in front.

    Source: https://api.slack.com/types/conversation (ids; names are lower case, 80 characters at most; read 2025-11).
    """
    if not re.fullmatch(r"[CG][A-Za-z0-9_]{2,}|#[^\s#A-Z.,]{1,80}", text):
        msg = (
            f"{text!r} is not a Slack channel; write its id (C0123ABCD), or its name in quotation marks with # in front"
        )
        raise ValueError(msg)
    return text


def slack_user(text: str) -> str:
    """Read a Slack user id."""
    if not re.fullmatch(r"[UW][A-Za-z0-9_]{2,}", text):
        msg = f"{text!r} is not a Slack user id; copy the member ID from the profile in Slack, it begins with U or W"
        raise ValueError(msg)
    return text


def link(text: str) -> str:
    """Read a web address."""
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        msg = f"{text!r} is not a link; write it with https:// in front"
        raise ValueError(msg)
    return text


def quiet_hours(text: str) -> tuple[time, time]:
    """Read a period that may pass midnight, or ``none``: then both ends are equal."""
    return (time(), time()) if text == "none" else period(text)


def period(text: str) -> tuple[time, time]:
    """Read ``09:00-17:00``; the midnight at the end of a day, 24:00, comes back as 00:00."""
    match = re.fullmatch(r"(\d{1,2}):(\d\d)\s*[-–]\s*(\d{1,2}):(\d\d)", text, re.ASCII)
    hour, minute, to_hour, to_minute = (int(part) for part in match.groups()) if match else (99, 0, 0, 0)
    if (to_hour, to_minute) == (24, 0):
        to_hour = 0
    try:
        return time(hour, minute), time(to_hour, to_minute)
    except ValueError:
        msg = f"{text!r} is not a period of the day; write it as 09:00-17:00"
        raise ValueError(msg) from None


def calendar_day(text: str) -> Day:
    """Read ``2026-06-05``, or ``12-24`` for that day of every year."""
    match = re.fullmatch(r"(?:(\d{4})-)?(\d{1,2})-(\d{1,2})", text, re.ASCII)
    # 2024 stands in for every year: it has a 29 February.
    year, month, day = (int(part or 2024) for part in match.groups()) if match else (0, 0, 0)
    try:
        found = date(year, month, day)
    except ValueError:
        msg = f"{text!r} is not a day; write 2026-06-05, or 12-24 for every year"
        raise ValueError(msg) from None
    return found if match and match[1] else (found.month, found.day)
