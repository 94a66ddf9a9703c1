"""Judges real HTTP exchanges by an OpenAPI 3.1 description, more strictly than a client would."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from ruamel.yaml import YAML

from proxy.compare.paths import means_json
from proxy.headers import media_type
from proxy.jsons import BadJson, load
from tests.conftest import ROOT
from tests.contracts.exchange import Exchange, Message
from tests.contracts.form import BadForm, form_value

CONTRACTS: Final = ROOT / "contracts"
METHODS: Final = ("get", "head", "post", "put", "delete")
_URI: Final = "urn:description"
# What JSON has to escape is let pass, and so is a text with a backslash of its own before the u.
_ASCII_ESCAPE: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u(?!00[01])[0-9a-fA-F]{4}")

Node = dict[str, Any]


@dataclass(frozen=True)
class Description:
    """A description in `folder`; `webhooks` are the paths that take them in."""

    name: str
    webhooks: tuple[tuple[str, str], ...] = ()
    folder: Path = CONTRACTS

    @cached_property
    def document(self) -> Node:
        """The description with every reference absolute, so that its parts can be used alone."""
        document: Node = _absolute(YAML(typ="safe").load(self.folder / f"{self.name}.yaml"))
        return document

    @cached_property
    def operations(self) -> Mapping[str, Mapping[str, Node]]:
        """Path template → method → operation, with the parameters of its path."""
        items = dict(self.document["paths"])
        items |= {path: self.document["webhooks"][name] for name, path in self.webhooks}
        return {
            path: {
                method.upper(): {
                    **item[method],
                    "parameters": [*item.get("parameters", []), *item[method].get("parameters", [])],
                }
                for method in METHODS
                if method in item
            }
            for path, item in items.items()
        }

    def template(self, exchange: Exchange) -> str | None:
        """The documented path that a request's path is one of; the one with more literal text goes first."""
        patterns = {each: re.sub(r"{\w+}", "[^/]+", each) for each in self.operations}
        fitting = [each for each, pattern in patterns.items() if re.fullmatch(pattern, exchange.path)]
        return max(fitting, key=lambda each: (-each.count("{"), len(each)), default=None)

    def operation(self, exchange: Exchange) -> Node | None:
        """The operation; for a wrong method any of the path, as they all describe that refusal."""
        methods = self.operations.get(self.template(exchange) or "", {})
        given = methods.get(exchange.method)
        return given or (next(iter(methods.values()), None) if exchange.status == 405 else None)

    def documented(self) -> set[tuple[str, str, int]]:
        """Returns every path, method and status; a wrong method's refusal is asked for by one method only."""
        return {
            (path, method, int(status))
            for path, methods in self.operations.items()
            for method, operation in methods.items()
            for status in operation["responses"]
        }

    def seen(self, exchange: Exchange) -> tuple[str, str, int]:
        """The entry of `documented` that an exchange is an example of."""
        template = self.template(exchange) or exchange.path
        methods = self.operations.get(template, {})
        wrong = exchange.status == 405 and exchange.method not in methods
        return template, next(iter(methods), "") if wrong else exchange.method, exchange.status

    def answer_problems(self, exchange: Exchange) -> list[str]:
        """Returns a sentence for each thing in an answer that is not as described."""
        operation = self.operation(exchange)
        if operation is None:
            return [f"{exchange.title}: no such operation"]
        response = self.resolved(operation["responses"].get(str(exchange.status)))
        if response is None:
            return [f"{exchange.title}: the status is not documented"]
        content = {} if exchange.method == "HEAD" else response.get("content", {})
        problems = [*self._headers(response.get("headers", {}), exchange.answer)]
        if content:
            problems += self._body(content, exchange.answer)
            if _ASCII_ESCAPE.search(exchange.answer.body):
                problems.append("JSON is ASCII-escaped")
        elif exchange.answer.body:
            problems.append("a body where none is documented")
        return [f"{exchange.title}: {problem}" for problem in problems]

    def request_problems(self, exchange: Exchange) -> list[str]:
        """Returns a sentence for each thing in a request that is not as described."""
        operation = self.operation(exchange)
        if operation is None:
            return [f"{exchange.title}: no such operation"]
        problems = [*self._security(operation, exchange.request), *self._parameters(operation, exchange)]
        body = self.resolved(operation.get("requestBody"))
        if body is not None and (exchange.request.body or body.get("required")):
            problems += self._body(body["content"], exchange.request)
        elif exchange.request.body:
            problems.append("a body where none is documented")
        return [f"{exchange.title}: {problem}" for problem in problems]

    def resolved(self, node: Node | None) -> Node | None:
        while node is not None and "$ref" in node:
            node = self._registry.resolver().lookup(node["$ref"]).contents
        return node

    def errors(self, schema: Any, value: Any) -> list[str]:
        validator = Draft202012Validator(
            schema, registry=self._registry, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        return [f"{error.json_path}: {_short(error.message)}" for error in validator.iter_errors(value)]

    @cached_property
    def _registry(self) -> Registry[Any]:
        registry: Registry[Any] = Registry().with_resource(_URI, DRAFT202012.create_resource(self.document))
        return registry

    def _headers(self, documented: Node, message: Message) -> Iterator[str]:
        for name, node in documented.items():
            header, given = self.resolved(node) or {}, message.header(name)
            if given is None and header.get("required"):
                yield f"header {name} is missing"
            elif given is not None:
                yield from (f"header {name}: {error}" for error in self.errors(header["schema"], given))

    def _body(self, content: Node, message: Message) -> Iterator[str]:
        given = message.header("Content-Type") or ""
        documented = next((each for each in content if _same_type(each, given)), None)
        if documented is None:
            yield f"content type {given!r} instead of {' or '.join(content)}"
            return
        media = content[documented]
        try:
            yield from self.errors(media["schema"], self._value(media, given, message.body))
        except (BadJson, BadForm, UnicodeDecodeError) as error:
            yield f"the body can't be read: {type(error).__name__}"

    def _value(self, media: Node, content_type: str, body: bytes) -> Any:
        kind, options = media_type(content_type)
        if means_json(kind):
            return load(body)
        if kind == "multipart/form-data":
            schema = self.resolved(media["schema"]) or {}
            fields = {name: self.resolved(each) or {} for name, each in schema["properties"].items()}
            return form_value(body, options.get("boundary", ""), fields)
        return body.decode()

    def _security(self, operation: Node, message: Message) -> Iterator[str]:
        ways = operation.get("security", self.document.get("security", []))
        if ways and not any(all(self._bears(name, message) for name in way) for way in ways):
            yield "no credentials"

    def _bears(self, name: str, message: Message) -> bool:
        scheme = self.document["components"]["securitySchemes"][name]
        return bool(message.header(scheme["name"] if scheme["type"] == "apiKey" else "Authorization"))

    def _parameters(self, operation: Node, exchange: Exchange) -> Iterator[str]:
        query = parse_qs(exchange.query, keep_blank_values=True, strict_parsing=bool(exchange.query))
        for node in operation["parameters"]:
            parameter = self.resolved(node) or {}
            name, given = parameter["name"], None
            if parameter["in"] == "header":
                given = exchange.request.header(name)
            elif parameter["in"] == "query":
                given = query.get(name, [None])[0]
            elif parameter["in"] == "path":
                given = unquote(self._in_path(exchange, name))
            if given is not None:
                yield from (f"{name}: {error}" for error in self._parameter(parameter["schema"], given))
            elif parameter.get("required"):
                yield f"{name} is missing"

    def _in_path(self, exchange: Exchange, name: str) -> str:
        """Returns the parameter's text in the path."""
        pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.template(exchange) or "")
        found = re.fullmatch(pattern, exchange.path)
        return found[name] if found else ""

    def _parameter(self, schema: Node, given: str) -> Iterator[str]:
        number = schema.get("type") == "integer" and given.isdecimal()
        problems = self.errors(schema, int(given) if number else given)
        yield from problems
        if not problems and schema.get("contentEncoding") == "base64":
            inner = load(base64.b64decode(given, validate=True))
            yield from self.errors(schema["contentSchema"], inner)


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: f"{_URI}{value}" if key == "$ref" and isinstance(value, str) else _absolute(value)
            for key, value in node.items()
        }
    return [_absolute(each) for each in node] if isinstance(node, list) else node


def _short(sentence: str) -> str:
    """Returns the sentence, cut in the middle if long: it may quote a whole file; its verdict is last."""
    return sentence if len(sentence) < 400 else f"{sentence[:100]} … {sentence[-100:]}"


def _same_type(documented: str, given: str) -> bool:
    """The same type and charset; JSON may say its charset, a form says its boundary."""
    (wanted, parameters), (kind, options) = media_type(documented), media_type(given)
    free = {"application/json": {"charset": "utf-8"}, "multipart/form-data": options}.get(wanted, {})
    return wanted == kind and parameters.items() <= options.items() <= {**parameters, **free}.items()


LEGACY: Final = Description("michiq-legacy")
LLAMALITICA: Final = Description("llamalitica", webhooks=(("report", "/webhooks/llamalitica"),))
LLAMACHAT: Final = Description("llamachat")
ADMIN: Final = Description("admin")
