"""The platform's web pages as small HTML pages: they show their config, or why they can't be opened."""

import base64
import binascii
from collections.abc import Callable, Mapping
from html import escape
from typing import Annotated, Final, Literal, TypeAlias

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from proxy.sandbox.cases import Case
from proxy.sandbox.tokens import BadToken, Claims

Text: TypeAlias = Annotated[str, Field(min_length=1)]

_PAGE: Final = """<!doctype html>
<html lang="es"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


class BadConfig(Exception):
    """The config is not as documented; the text names the keys, without the values."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        validate_by_name=False,
        validate_by_alias=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, value: object) -> object:
        if isinstance(value, dict) and None in value.values():
            raise ValueError("an unset key is left out, not null")
        return value


class DefaultAgent(_Strict):
    id: Text
    when: Literal["afterLoad", "afterStopRecording"] | None = None


class Telemedicine(_Strict):
    capture_surface: Literal["currentTab", "fullPicker"] | None = None
    enabled_by_default: bool | None = None


class Colors(_Strict):
    primary: Text | None = None
    foreground: Text | None = None
    background: Text | None = None


class Ui(_Strict):
    """The documented `ui` keys (llamalitica-integration, "Base URL and Configuration"); all optional."""

    show_sidebar: bool | None = None
    show_upload_button: bool | None = None
    show_audio_recorder: bool | None = None
    show_theme_toggle: bool | None = None
    show_chat: bool | None = None
    show_editor_ai_button: Annotated[bool | None, Field(alias="showEditorAIButton")] = None
    show_pdf_download_button: bool | None = None
    save_and_finish_text: str | None = None
    default_agent: DefaultAgent | None = None
    available_agents: list[Text] | None = None
    telemedicine: Telemedicine | None = None
    colors: Colors | None = None
    chat_only: bool | None = None


class PageConfig(_Strict):
    access_token: Annotated[Text, Field(repr=False)]
    redirect_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    ui: Ui = Ui()


def case_page(
    request: web.Request, cases: Mapping[str, Case], check: Callable[[str], Claims]
) -> web.Response:
    """Returns the page of a case: 400 for a config that is not as documented, 401 for a bad token, 404.

    A case of another organization than the token's is not found.
    """
    try:
        config = decode(_only_config(request))
        claims = check(config.access_token)
    except BadConfig as bad:
        return _page(400, "Configuración no válida", f"<p>{escape(str(bad))}</p>")
    except BadToken:
        return _page(401, "Acceso no válido", "<p>El token de acceso no es válido o ha expirado.</p>")
    case = cases.get(request.match_info["id"])
    if case is None or case.user.organization.id != claims.organization:
        return _page(404, "Caso no encontrado", "")
    return _page(200, case.title, _body(request.path, config))


def _only_config(request: web.Request) -> str:
    values = request.query.getall("config", [])
    if len(values) != 1:
        raise BadConfig("config must be given exactly once")
    return values[0]


def _body(path: str, config: PageConfig) -> str:
    chat_only = config.ui.chat_only
    view = "mini-widget" if path.endswith("/mini-widget") else "chat" if chat_only else "case"
    ui = config.ui.model_dump(by_alias=True, exclude_none=True)
    rows = [("view", view), ("redirectUrl", config.redirect_url or ""), *ui.items()]
    cells = "\n".join(f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in rows)
    return f"<table>\n{cells}\n</table>"


def _page(status: int, title: str, body: str) -> web.Response:
    html = _PAGE.format(title=escape(title), body=body)
    return web.Response(status=status, text=html, content_type="text/html", charset="utf-8")


def decode(config: str) -> PageConfig:
    """Returns the page configuration in a `config` parameter (already URL-decoded). Raises BadConfig."""
    try:
        text = base64.b64decode(config.encode("ascii"), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError):
        raise BadConfig("config is not standard base64 of UTF-8 text") from None
    try:
        return PageConfig.model_validate_json(text)
    except ValidationError as error:
        keys = {".".join(str(part) for part in fault["loc"]) or "config" for fault in error.errors()}
        raise BadConfig(f"config is not as documented at: {', '.join(sorted(keys))}") from None
