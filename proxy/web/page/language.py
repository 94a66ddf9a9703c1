"""Chooses a page's language, and translates and formats for it."""

import re
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from babel import Locale
    from babel.support import NullTranslations

COOKIE: Final = "michiq-language"
LANGUAGES: Final = ("es", "en")

_LOCALES: Final = Path(__file__).parent / "locales"
_RANGE: Final = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?")


def language_of(request: web.Request) -> str:
    """Returns the language that the operator has chosen, else the one that their browser asks for."""
    chosen = request.cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    return _preferred(",".join(request.headers.getall("Accept-Language", [])))


def _preferred(accepted: str) -> str:
    """Returns the best language by RFC 9110, section 12.5.4; English without one that there is."""
    found = [match for each in accepted.split(",") if (match := _RANGE.fullmatch(each))]
    weights = {match[1].lower(): float(match[2] or 1) for match in reversed(found)}
    best = max(LANGUAGES, key=lambda each: (weights.get(each, 0.0), each == "en"))
    return best if weights.get(best) else "en"


@dataclass(frozen=True, slots=True)
class Words:
    """A language's texts, and its way of writing numbers and durations."""

    language: str
    locale: "Locale"
    translations: "NullTranslations"

    def gettext(self, text: str) -> str:
        return self.translations.gettext(text)

    def ngettext(self, one: str, many: str, count: int) -> str:
        return self.translations.ngettext(one, many, count)

    def number(self, value: float) -> str:
        from babel.numbers import format_decimal

        return format_decimal(value, locale=self.locale)

    def percent(self, value: float, digits: int = 1) -> str:
        """Writes a number of percent: 12.5 becomes "12.5%"."""
        from babel.numbers import format_percent

        return format_percent(value / 100, f"#,##0.{'#' * digits}%", locale=self.locale)

    def duration(self, value: timedelta | float) -> str:
        """Writes a duration, or a number of seconds, in its largest unit: "3 hours"."""
        from babel.dates import format_timedelta

        delta = value if isinstance(value, timedelta) else timedelta(seconds=value)
        return format_timedelta(delta, threshold=1.2, locale=self.locale)

    def size(self, count: float) -> str:
        """Writes a number of bytes: "3.2 GB"."""
        units = ("B", "kB", "MB", "GB", "TB")
        power = 0
        while count >= 1000 and power < len(units) - 1:
            count, power = count / 1000, power + 1
        return f"{self.number(round(count, 1 if power else 0))} {units[power]}"


def load_words(language: str) -> Words:
    """Reads a language's texts from its catalog; it imports Babel, which takes a moment."""
    from babel import Locale
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po
    from babel.support import NullTranslations, Translations

    locale, path = Locale.parse(language), _LOCALES / language / "LC_MESSAGES" / "messages.po"
    if not path.is_file():  # the texts of the templates are in this language
        return Words(language, locale, NullTranslations())
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Words(language, locale, Translations(compiled))
