"""A complaint points at the line where its key stands."""

from typing import Final

import pytest

from proxy.mapping.lines import line_of

TEXT: Final = '''# a comment = no key
flow = "new_case"   # not [a.table]
"quoted key" = 1
dotted . key = 2

[patient]
id = """
[id, name]
nhc = 'x'
"""
name = "[a]"

[ organizations . "Clínica [Norte] #1" . templates ] # its own
"1" = "agent"
'2' = "another"

[[list]]
a = 1
[[list]]
b = 2
[text]
raw = \'\'\'
[patient]
name = 0
\'\'\'
say = "she said \\"\\"\\" = "
after = { status = 1 }
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("flow",), 2),
        (("quoted key",), 3),
        (("dotted", "key"), 4),
        (("patient",), 6),
        (("patient", "id"), 7),
        (("patient", "name"), 11),
        (("organizations", "Clínica [Norte] #1", "templates"), 13),
        (("organizations", "Clínica [Norte] #1", "templates", "1"), 14),
        (("organizations", "Clínica [Norte] #1", "templates", "2"), 15),
        (("list", "b"), 20),
        (("text", "raw"), 22),
        (("text", "say"), 26),
        (("text", "after"), 27),
        (("text", "after", "status"), 27),
        (("patient", "missing"), 6),
        (("missing",), 1),
        ((), 1),
    ],
)
def test_a_key_or_else_its_nearest_table_is_found(path: tuple[str, ...], line: int) -> None:
    assert line_of(TEXT, path) == line


def test_what_only_looks_like_a_line_end_is_none() -> None:
    assert line_of("a = '\u2028\x0b\x85'\nb = 1\n", ("b",)) == 2
