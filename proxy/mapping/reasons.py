"""Says in an operator's words, never in pydantic's, which value is wrong and how to write it."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from proxy.mapping.complaints import did_you_mean

_Context = Mapping[str, Any]

_FIXED: Final = {
    "missing": "this key is missing",
    "extra_forbidden": "unknown key",
    "date_type": "write a date without quotes, such as 2027-01-31",
    "date_from_datetime_inexact": "write a date without a time, such as 2027-01-31",
    "datetime_type": "write a time without quotes, such as 2027-01-31T18:00:00Z",
    "timezone_aware": "write a time with its time zone, such as 2027-01-31T18:00:00Z",
    "bool_type": "write true or false, without quotes",
    "int_type": "write a whole number, without quotes",
    "int_parsing": "write a whole number",
    "float_type": "write a number, without quotes",
    "finite_number": "write a finite number",
    "string_type": "write a text in quotes",
    "list_type": 'write a list in brackets, such as ["a", "b"]',
    "dict_type": "write a table: lines of key = value below its name in brackets",
    "model_type": "write a table: lines of key = value below its name in brackets",
}
# The meaning of each pattern: an operator could not read the pattern itself.
_FORMS: Final = {
    "#": "write a colour such as #1a2b3c, in quotes",
    "@": "write a domain such as clinica.example, without @",
    "[": "write a field's path such as document.files[].name",
}
_PROBES: Final = (("a[].b", "["), ("#fff", "#"), ("clinica.example", "@"))


def reason_of(problem: Mapping[str, Any]) -> str:
    """Returns the sentence for one of pydantic's problems; reads its `ctx` and `input` if needed."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _MADE:
        return _MADE[kind](context, problem.get("input"))
    return _FIXED.get(kind) or str(problem["msg"]).removeprefix("Value error, ")


def _choice(context: _Context, given: object) -> str:
    choices = re.findall(r"'([^']*)'", str(context["expected"]))
    hint = did_you_mean(given, choices) if isinstance(given, str) else ""
    return f"write {_or(choices)}, in quotes{hint}"


def _or(words: list[str]) -> str:
    quoted = [f'"{word}"' for word in words]
    return quoted[0] if len(quoted) == 1 else f"one of {', '.join(quoted[:-1])} or {quoted[-1]}"


def _form(context: _Context, _: object) -> str:
    pattern = str(context["pattern"])
    sign = next((sign for sample, sign in _PROBES if re.match(pattern, sample)), None)
    return _FORMS[sign] if sign else f"write a text of the form {pattern}"


def _short(context: _Context, _: object) -> str:
    least = context["min_length"]
    return "write something: it is empty" if least == 1 else f"write at least {least} characters"


_MADE: Final[Mapping[str, Callable[[_Context, object], str]]] = {
    "literal_error": _choice,
    "string_pattern_mismatch": _form,
    "string_too_short": _short,
    "too_short": _short,
    "string_too_long": lambda context, _: f"write at most {context['max_length']} characters",
    "greater_than_equal": lambda context, _: f"write a number that is at least {context['ge']:g}",
    "less_than_equal": lambda context, _: f"write a number that is at most {context['le']:g}",
    "greater_than": lambda context, _: f"write a number above {context['gt']:g}",
    "less_than": lambda context, _: f"write a number below {context['lt']:g}",
}
