"""Names that end as the container does."""

import pytest

from proxy.audio.naming import with_ending
from proxy.audio.sniff import Container, extension
from tests.samples import CONTAINERS, OTHER_CONTAINERS


@pytest.mark.parametrize(
    ("name", "container", "sent"),
    [
        ("blob", "webm", "blob.webm"),
        ("visita.webm", "m4a", "visita.m4a"),
        ("visita.WEBM", "m4a", "visita.m4a"),
        ("visita.mp4", "m4a", "visita.mp4"),
        ("Visita.MP3", "mp3", "Visita.MP3"),
        ("dictado.mp3", "wma", "dictado.wma"),
        ("nota.opus", "ogg", "nota.opus"),
        ("consulta 21.03", "wav", "consulta 21.03.wav"),
        ("Dr. Pérez", "flac", "Dr. Pérez.flac"),
        ("audio.wav.tmp", "wav", "audio.wav.tmp.wav"),
        (".webm", "webm", ".webm.webm"),
        ("", "webm", ".webm"),
        ("blob", None, "blob"),
        ("visita.webm", None, "visita.webm"),
        ("visita.webm", "a later release's", "visita.webm"),
    ],
)
def test_naming_U04_a_name_ends_as_its_container_does(name: str, container: str | None, sent: str) -> None:
    assert with_ending(name, container) == sent


@pytest.mark.parametrize("name", CONTAINERS + OTHER_CONTAINERS)
def test_naming_U04_the_usual_ending_of_each_container_stays(name: Container) -> None:
    assert with_ending(f"visita{extension(name)}", name) == f"visita{extension(name)}"
    assert with_ending("blob", name) == f"blob{extension(name)}"
