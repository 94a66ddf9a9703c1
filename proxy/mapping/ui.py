"""The platform page's settings, in the platform's spelling."""

from typing import Annotated, Literal

from pydantic import Field

from proxy.mapping.base import Model, Url


class DefaultAgent(Model):
    id: Annotated[str, Field(min_length=1)]
    when: Literal["afterLoad", "afterStopRecording"] | None = None


class Telemedicine(Model):
    captureSurface: Literal["currentTab", "fullPicker"] | None = None
    enabledByDefault: bool | None = None


Color = Annotated[str, Field(pattern=r"^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})$")]


class Colors(Model):
    primary: Color | None = None
    foreground: Color | None = None
    background: Color | None = None


class Ui(Model):
    """Every documented `ui` key, in the platform's spelling; unset ones are left out.

    Source: llamalitica-integration, "Base URL and Configuration".
    """

    showSidebar: bool | None = None
    showUploadButton: bool | None = None
    showAudioRecorder: bool | None = None
    showThemeToggle: bool | None = None
    showChat: bool | None = None
    showEditorAIButton: bool | None = None
    showPdfDownloadButton: bool | None = None
    saveAndFinishText: Annotated[str, Field(min_length=1)] | None = None
    defaultAgent: DefaultAgent | None = None
    availableAgents: list[Annotated[str, Field(min_length=1)]] | None = None
    telemedicine: Telemedicine | None = None
    colors: Colors | None = None
    chatOnly: bool | None = None


class Page(Model):
    redirect_url: Url | None = None
    """The address to which the platform sends the user after saving; never taken from a request (E04)."""
    ui: Ui = Ui()
