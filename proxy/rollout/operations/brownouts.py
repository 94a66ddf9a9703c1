"""Proposes brownouts: short times in which a route answers 503, so that who still calls it is noticed."""

from datetime import date, datetime, time, timedelta
from typing import Final

_MONDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 4, 5, 6
_HOUR: Final = time(10)
# Short first: the second one finds who has not noticed the first.
_LENGTHS: Final = (timedelta(minutes=15), timedelta(hours=2))


def brownout_toml(route: str, now: datetime) -> str:
    """Returns two brownouts to add to the route's mapping file: on working days, at an hour with people."""
    first = _working_day(now.date() + timedelta(days=7))
    days = (first, _working_day(first + timedelta(days=7)))
    parts = [f"# mappings/{route}.toml: who still calls gets 503 for a while, and can be found."]
    for day, length in zip(days, _LENGTHS, strict=True):
        begin = datetime.combine(day, _HOUR)
        parts.append(f"[[brownouts]]\nbegin = {begin.isoformat()}Z\nend = {(begin + length).isoformat()}Z")
    return "\n\n".join(parts) + "\n"


def _working_day(day: date) -> date:
    """Returns the day, or the next Tuesday if it is a Friday, a Monday or at the weekend."""
    while day.weekday() in (_MONDAY, _FRIDAY, _SATURDAY, _SUNDAY):
        day += timedelta(days=1)
    return day
