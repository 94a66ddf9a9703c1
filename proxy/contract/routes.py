"""The legacy routes as a client knows them (michiq-legacy)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Route:
    """A route's name in `--routes`, its method and its path, with or without an id at the end."""

    name: str
    method: str
    base: str
    with_id: bool = True

    def path(self, legacy_id: str = "prueba-michiq-proxy") -> str:
        """Returns the path for an id, which is quoted already when a URL needs that."""
        return f"{self.base}/{legacy_id}" if self.with_id else self.base


NEW_CASE: Final = Route("new_case", "POST", "/michiQ/newCase", with_id=False)
DOC: Final = Route("doc", "GET", "/michiQ/doc")
ENCOUNTERS: Final = Route("encounters", "GET", "/michiQ/encounters", with_id=False)
QUERY: Final = Route("query", "POST", "/michiQ/query")
UPLOAD_AUDIO: Final = Route("upload_audio", "POST", "/michiQ/uploadAudio")
SPEECH_TO_TEXT: Final = Route("speech_to_text", "POST", "/michiQ/speechToText")
ENCOUNTER_PAGE: Final = Route("encounter_page", "GET", "/app/encounter")
WEBHOOKS: Final = Route("webhooks", "POST", "/webhooks/llamalitica", with_id=False)

LEGACY: Final = (NEW_CASE, DOC, ENCOUNTERS, QUERY, UPLOAD_AUDIO, SPEECH_TO_TEXT, ENCOUNTER_PAGE)
ROUTES: Final = tuple(route.name for route in (*LEGACY, WEBHOOKS))
WITH_TOKEN: Final = LEGACY[1:]
