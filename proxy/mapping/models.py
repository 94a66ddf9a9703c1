"""What a mapping file may hold: one pydantic model per route, and the organizations' file."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from proxy.mapping.base import HeaderText, IdPath, Model, OrganizationName, Origin, Path, Url
from proxy.mapping.moving import Brownout, Canary, Compare, Shadow, StepBack, Switch
from proxy.mapping.ui import Page
from proxy.mapping.units import LONGEST_PAUSE, Duration, Pause, Size, Window
from proxy.overrides import Mode

Expression = Annotated[str, Field(min_length=1, description="JMESPath")]

# A `shape.Tree` or one expression; `facts.check` judges it, so that each complaint names its field.
Answer = Annotated[
    Any,
    WithJsonSchema(
        {
            "description": "legacy field = JMESPath over the flow's facts, or { when_known = JMESPath }",
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "object", "additionalProperties": {"type": ["string", "object"], "minLength": 1}},
            ],
        }
    ),
]


class ErrorAnswer(Model):
    """The status and text that a kind of error is answered with."""

    status: Annotated[int, Field(ge=400, le=599)]
    text: str


class Notice(Model):
    """What a client is told of a route's end; each header only where its value is given."""

    deprecation: date | None = None
    """Sent as `Deprecation` (RFC 9745)."""
    sunset: date | None = None
    """Sent as `Sunset` (RFC 8594); never before the deprecation."""
    links: dict[Literal["deprecation", "sunset", "successor-version"], Url] = {}
    """Sent as `Link`, one for each relation."""

    @model_validator(mode="after")
    def _in_order(self) -> "Notice":
        if self.deprecation and self.sunset and self.sunset < self.deprecation:
            raise ValueError("sunset comes before deprecation (RFC 9745, section 4)")
        return self


class RouteMapping(Model):
    """What every route's file holds."""

    flow: str
    method: Literal["GET", "POST"]
    path: str
    mode: Mode
    """Who answers, where no override of the store says otherwise."""
    canary_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Of the organizations, those that the new side answers while the mode is canary."""
    shadow_writes: Literal["dry-run", "live"] = "dry-run"
    """Whether a shadowed call that would make something upstream is really sent."""
    unknown_to_legacy: bool = True
    """Whether a token or id that this proxy never saw goes to the legacy server (CONTRACT G07)."""
    timeout: Duration
    """From the end of the request's body to the answer, upstream calls included."""
    body_pause: Annotated[Pause, Field(default_factory=lambda: LONGEST_PAUSE)]
    """For how long a client may send nothing in the middle of a body; 60 s where it is left out."""
    body_limit: Annotated[Size, Field(default_factory=int)]
    """Left out where the route takes no body."""
    cors_origins: list[Origin] = []
    """Origins whose pages may call the route from a browser while the new side answers (CONTRACT G02)."""
    answer: Answer
    errors: dict[str, ErrorAnswer]
    notice: Notice = Notice()
    brownouts: list[Brownout] = []
    canary: Canary = Canary()
    step_back: StepBack = StepBack()
    shadow: Shadow = Shadow()
    compare: Compare = Compare()
    switch: Switch = Switch()


def running_brownouts(mapping: RouteMapping, now: datetime) -> list[Brownout]:
    """Returns those that are on at this moment, for everyone or for some."""
    return [each for each in mapping.brownouts if each.runs(now)]


class Patient(Model):
    """JMESPath over the ehr object; the first non-empty string or number counts (CONTRACT N09)."""

    id: Expression
    name: Expression
    birth_date: Expression
    unnamed: Annotated[str, Field(min_length=1)]
    """The name of a patient whose ehr gives none."""


class Templates(Model):
    templates: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """Legacy template id = agent id of the new platform (CONTRACT N14)."""


class NewCase(RouteMapping, Templates):
    flow: Literal["new_case"]
    path: Path
    body_limit: Size
    patient: Patient
    provision: Literal["any", "known", "domains"] = "any"
    """Whose users and organizations the new platform may create (CONTRACT N05)."""
    conversation: Literal["file", "clinical-data"] = "file"
    """Where the conversation goes: conversation.txt, or a key of other-clinical-data (CONTRACT N11)."""
    unreadable: Literal["reject", "forward"] = "reject"
    """What happens to a damaged PDF (CONTRACT N12)."""
    strict_templates: bool = False
    session_lifetime: Duration
    """How long a legacy token is good for."""
    me_beside: Window = timedelta(minutes=15)
    """For how long users/me is asked beside POST /api/cases for a caller whom it has known; "0 s" never
    (CONTRACT N19)."""
    organizations: dict[OrganizationName, Templates] = {}


class Doc(RouteMapping):
    flow: Literal["doc"]
    path: IdPath


class Encounters(RouteMapping):
    flow: Literal["encounters"]
    path: Path
    merge: Literal["required", "best-effort", "off"] = "required"
    """Whether the legacy server's own list is added for a user who has a session there, and what its
    failure means (CONTRACT L03)."""


class Query(RouteMapping):
    flow: Literal["query"]
    path: IdPath
    body_limit: Size
    instruction: Annotated[str, Field(min_length=1, max_length=400)]
    """What LlamaChat is told before the passages and the question."""
    part_instruction: Annotated[str, Field(min_length=1, max_length=200)]
    """What LlamaChat is told with each part but the last of a question that doesn't fit one message."""


class UploadAudio(RouteMapping):
    flow: Literal["upload_audio"]
    path: IdPath
    body_limit: Size


class SpeechToText(RouteMapping):
    flow: Literal["speech_to_text"]
    path: IdPath
    body_limit: Size
    forward: Literal["linked-case", "none"] = "linked-case"
    """Whether new audio also reaches the new platform as a second case (CONTRACT S05)."""


class EncounterPage(RouteMapping, Page):
    flow: Literal["encounter_page"]
    path: IdPath
    template_agent_when: Literal["afterLoad", "afterStopRecording"] | None = None
    """When the agent of newCase's template runs as the page's default agent."""
    organizations: dict[OrganizationName, Page] = {}


class Organization(Model):
    """An organization as the legacy clients name it, and what it is on the new side."""

    send_as: HeaderText | None = None
    """The value of X-ORGANIZATION; unset: the legacy name itself."""
    parent: bool = False
    """True leaves X-ORGANIZATION out on purpose: the parent (testing) organization (CONTRACT N02)."""
    domains: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]] = []
    """Mail domains of its users, for `provision = "domains"`."""
    llamachat_api_key_file: Annotated[str, Field(min_length=1)] | None = None
    """A file that holds this organization's own LlamaChat key; relative to this folder."""

    @model_validator(mode="after")
    def _one_meaning(self) -> "Organization":
        if self.parent and self.send_as is not None:
            raise ValueError("parent = true leaves X-ORGANIZATION out, send_as sets it: keep one of them")
        return self


class OrganizationsFile(Model):
    organizations: dict[OrganizationName, Organization] = {}
