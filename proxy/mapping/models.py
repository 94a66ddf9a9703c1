"""The pydantic models of the mapping files: one for each route, and the organizations' file."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, model_validator

from proxy.mapping.base import HeaderText, IdPath, Model, OrganizationName, Origin, Path, Url
from proxy.mapping.moving import Brownout, Canary, Compare, Shadow, StepBack, Switch
from proxy.mapping.ui import Page
from proxy.mapping.units import LONGEST_PAUSE, Duration, Pause, Size, Window
from proxy.modes import Mode

Expression = Annotated[str, Field(min_length=1, description="JMESPath")]

# A `shape.Tree` or one expression; `facts.check` checks it, so that each complaint names its field.
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
    """The status and text of the answer to a kind of error."""

    status: Annotated[int, Field(ge=400, le=599)]
    text: str


class Notice(Model):
    """Headers that announce a route's end to clients; each is sent only if its value is given."""

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
    """The keys of every route's file."""

    flow: str
    method: Literal["GET", "POST"]
    path: str
    mode: Mode
    """The mode of the route, unless an override is in force."""
    canary_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Percent of the organizations that the new side answers while the mode is canary."""
    shadow_writes: Literal["dry-run", "live"] = "dry-run"
    """live really sends a shadowed call that makes something upstream; dry-run does not."""
    unknown_to_legacy: bool = True
    """true sends a token or id that this proxy never saw to the legacy server (CONTRACT G07)."""
    timeout: Duration
    """Most time from the end of the request's body to the answer, upstream calls included."""
    body_pause: Annotated[Pause, Field(default_factory=lambda: LONGEST_PAUSE)]
    """Longest pause of a client in the middle of a body; 60 s by default."""
    body_limit: Annotated[Size, Field(default_factory=int)]
    """Largest body of a request; leave it out for a route without a body."""
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
    """Returns the brownouts that are on at this moment, for everyone or for some."""
    return [each for each in mapping.brownouts if each.runs(now)]


class Patient(Model):
    """JMESPath over the ehr object; the first non-empty string or number counts (CONTRACT N09)."""

    id: Expression
    name: Expression
    birth_date: Expression
    unnamed: Annotated[str, Field(min_length=1)]
    """The name of a patient if the ehr has none."""


class Templates(Model):
    templates: dict[str, Annotated[str, Field(min_length=1)]] = {}
    """Legacy template id = agent id of the new platform (CONTRACT N14)."""


class NewCase(RouteMapping, Templates):
    flow: Literal["new_case"]
    path: Path
    body_limit: Size
    patient: Patient
    provision: Literal["any", "known", "domains"] = "any"
    """The users and organizations that the new platform may create (CONTRACT N05)."""
    conversation: Literal["file", "clinical-data"] = "file"
    """The form of the conversation: conversation.txt, or a key of other-clinical-data (CONTRACT N11)."""
    unreadable: Literal["reject", "forward"] = "reject"
    """reject answers a damaged PDF with an error; forward sends it to the new platform (CONTRACT N12)."""
    strict_templates: bool = False
    session_lifetime: Duration
    """Lifetime of a legacy token."""
    me_beside: Window = timedelta(minutes=15)
    """Time after a successful users/me in which the next call to it runs in parallel with POST /api/cases;
    "0 s" never does that (CONTRACT N19)."""
    organizations: dict[OrganizationName, Templates] = {}


class Doc(RouteMapping):
    flow: Literal["doc"]
    path: IdPath


class Encounters(RouteMapping):
    flow: Literal["encounters"]
    path: Path
    merge: Literal["required", "best-effort", "off"] = "required"
    """Merging of the legacy server's own list for a user with a session there; required fails the call if
    that list fails, best-effort leaves the list out (CONTRACT L03)."""


class Query(RouteMapping):
    flow: Literal["query"]
    path: IdPath
    body_limit: Size
    instruction: Annotated[str, Field(min_length=1, max_length=400)]
    """The instruction to LlamaChat before the passages and the question."""
    part_instruction: Annotated[str, Field(min_length=1, max_length=200)]
    """The instruction to LlamaChat with each part but the last of a question too long for one message."""


class UploadAudio(RouteMapping):
    flow: Literal["upload_audio"]
    path: IdPath
    body_limit: Size


class SpeechToText(RouteMapping):
    flow: Literal["speech_to_text"]
    path: IdPath
    body_limit: Size
    forward: Literal["linked-case", "none"] = "linked-case"
    """linked-case sends new audio also to the new platform, as a second case (CONTRACT S05)."""


class EncounterPage(RouteMapping, Page):
    flow: Literal["encounter_page"]
    path: IdPath
    template_agent_when: Literal["afterLoad", "afterStopRecording"] | None = None
    """The moment when the agent of newCase's template runs as the page's default agent."""
    organizations: dict[OrganizationName, Page] = {}


class Organization(Model):
    """An organization by its legacy name, and its settings on the new side."""

    send_as: HeaderText | None = None
    """The value of X-ORGANIZATION; unset: the legacy name itself."""
    parent: bool = False
    """true leaves X-ORGANIZATION out on purpose: the parent (testing) organization (CONTRACT N02)."""
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
