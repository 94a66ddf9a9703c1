"""Decodes the `config` of the platform's pages: standard base64 of UTF-8 JSON, checked key by key."""

import base64
import binascii
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

Text: TypeAlias = Annotated[str, Field(min_length=1)]


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
