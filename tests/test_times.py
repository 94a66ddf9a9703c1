"""Times as texts: RFC 3339 is written in two lengths, and read strictly or as any ISO 8601."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from proxy.times import from_iso8601, from_rfc3339, rfc3339, rfc3339_exact

NOON = datetime(2026, 3, 21, 12, tzinfo=UTC)
IN_BOGOTA = NOON.replace(microsecond=123456).astimezone(timezone(timedelta(hours=-5)))


def test_a_time_is_written_in_utc_to_the_millisecond_or_as_exactly_as_it_is_there() -> None:
    assert (rfc3339(NOON), rfc3339_exact(NOON)) == ("2026-03-21T12:00:00.000Z", "2026-03-21T12:00:00Z")
    assert rfc3339(IN_BOGOTA) == "2026-03-21T12:00:00.123Z"
    assert rfc3339_exact(IN_BOGOTA) == "2026-03-21T12:00:00.123456Z"


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("2026-03-21T12:00:00Z", timedelta(0)),
        ("2026-03-21T07:00:00-05:00", timedelta(0)),
        ("2026-03-21T12:00:00.5Z", timedelta(seconds=0.5)),
        ("2026-03-21T12:00:00.123456789Z", timedelta(microseconds=123456)),
    ],
)
def test_a_time_with_its_zone_is_read_into_utc(text: str, later: timedelta) -> None:
    for read in (from_rfc3339, from_iso8601):
        assert read(text) == NOON + later
        assert read(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["2026-03-21T12:00:00", "2026-03-21 12:00:00", "20260321T120000"])
def test_a_time_without_a_zone_is_utc_where_any_iso_8601_is_read(text: str) -> None:
    assert from_iso8601(text) == NOON
    with pytest.raises(ValueError, match="not an RFC 3339 time"):
        from_rfc3339(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-02-30T12:00:00Z",
        "2026-13-21T12:00:00Z",
        "٢٠٢٦-03-21T12:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    for read in (from_rfc3339, from_iso8601):
        with pytest.raises(ValueError):  # noqa: PT011 - Python's own words differ by version
            read(text)
