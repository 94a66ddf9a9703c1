"""The platform's web pages as small HTML pages: they show their config, or why they can't be opened."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Final

from aiohttp import web

from proxy.sandbox.cases import Case
from proxy.sandbox.page_config import BadConfig, PageConfig, decode
from proxy.sandbox.tokens import BadToken, Claims

_PAGE: Final = """<!doctype html>
<html lang="es"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1>
{body}
</body></html>
"""


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
