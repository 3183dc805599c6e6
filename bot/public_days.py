"""Days that are not like the others: the public holidays of a country, each year's looked up once. Pure.

What a day means (nobody works, nobody is written to) is said elsewhere.

Source: https://holidays.readthedocs.io/en/latest/ (read 2026-11-25).
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Literal, TypeAlias

import holidays

QuietDay: TypeAlias = Literal["sundays", "holidays"]
"""Whole days on which the bot writes nothing of its own accord: Sundays, and the public holidays of a country."""

QUIET_DAYS: tuple[QuietDay, ...] = ("sundays", "holidays")


@lru_cache(maxsize=512)
def holidays_of(
    country: str, subdivision: str | None, categories: tuple[str, ...], year: int, language: str = "en"
) -> Mapping[date, str]:
    """Give one year's holidays; names in `language`, or else in English, where there are any."""
    languages = holidays.country_holidays(country).supported_languages
    asked = (language, "en")
    known = next((each for code in asked for each in languages if each.partition("_")[0] == code), None)
    found = holidays.country_holidays(country, subdiv=subdivision, years=year, categories=categories, language=known)
    return dict(found)


def public_holiday(country: str, day: date) -> str | None:
    """Name the public holiday that falls on `day` everywhere in `country`; None: there is none, or nobody knows."""
    return _public(country.upper(), day.year).get(day)


@lru_cache(maxsize=512)
def _public(country: str, year: int) -> Mapping[date, str]:
    try:
        return holidays_of(country, None, ("public",), year)
    except (NotImplementedError, ValueError):  # a country that the library does not know, or knows no public ones of
        return {}
