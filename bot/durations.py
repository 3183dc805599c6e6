"""Lengths of time as admins write them: ``10s``, ``15m``, ``4h``, ``2d``, ``1w``, ``1bd``.

Pure values. A business day has no fixed length: whoever holds a calendar turns it into a moment.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

_FORM = re.compile(r"\s*(\d{1,5})\s*(s|m|h|d|w|bd)\s*")
BUSINESS_DAYS_MAX = 999
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: a fixed `span`, or a number of `business_days` of whichever calendar applies."""

    span: timedelta = timedelta()
    business_days: int = 0

    def __str__(self) -> str:
        """Write it the way an admin would."""
        if self.business_days:
            return f"{self.business_days}bd"
        seconds = int(self.span.total_seconds())
        for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
            if seconds and seconds % size == 0:
                return f"{seconds // size}{unit}"
        return f"{seconds}s"

    def is_zero(self) -> bool:
        """Tell whether no time at all passes."""
        return not self.span and not self.business_days


def parse_duration(text: object) -> Duration:
    """Read one duration.

    Raises:
        ValueError: not of the form ``10s``, ``15m``, ``4h``, ``2d``, ``1w`` or ``1bd``; the message says so.
    """
    match = _FORM.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        msg = f"{text!r} is not a length of time; write 10s, 15m, 4h, 2d, 1w or 1bd (business day)"
        raise ValueError(msg)
    number, unit = int(match[1]), match[2]
    if unit == "bd":
        if number > BUSINESS_DAYS_MAX:
            msg = f"{text!r} is more than {BUSINESS_DAYS_MAX} business days; write days, weeks, or fewer"
            raise ValueError(msg)
        return Duration(business_days=number)
    return Duration(span=number * _UNITS[unit])
