"""The service described to other languages by its message types: OpenAPI 3.1 for HTTP, AsyncAPI 3.0 for the socket."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from keyboard_lm import __version__
from keyboard_lm.serve import messages as wire

_HTTP: tuple[tuple[str, str, str, Any, Any], ...] = (
    ("/v1/suggest", "post", "The bar for a field", wire.SuggestRequest, wire.AnswerGiven),
    ("/v1/swipe", "post", "The words that a path may mean", wire.SwipeRequest, wire.AnswerGiven),
    ("/v1/correct", "post", "A text corrected", wire.CorrectRequest, wire.Corrected),
    ("/v1/tokens", "post", "A short signed token", wire.TokenRequest, wire.TokenGiven),
    ("/v1/offered", "get", "What can be asked for", None, wire.Offered),
    ("/v1/layouts/{name}", "get", "Where the keys are", None, wire.KeyLayout),
    ("/v1/personal", "get", "What was learned, as JSON lines", None, "application/x-ndjson"),
    ("/v1/personal", "delete", "Forget everything that was learned", None, None),
    ("/v1/personal/forget", "post", "Forget a word", wire.ForgetRequest, wire.Forgotten),
    ("/healthz", "get", "Whether the service runs", None, "text/plain"),
    ("/readyz", "get", "Whether it can suggest", None, "text/plain"),
    ("/metrics", "get", "Counters for Prometheus", None, "text/plain"),
)
_OPEN = ("/v1/offered", "/v1/layouts/{name}", "/healthz", "/readyz")
_REF = "#/components/schemas/{name}"


def openapi() -> dict[str, Any]:
    """Return the description of HTTP."""
    types = [kind for *_, asked, given in _HTTP for kind in (asked, given) if _is_struct(kind)]
    paths: dict[str, dict[str, Any]] = {}
    for path, method, summary, asked, given in _HTTP:
        operation: dict[str, Any] = {"summary": summary, "responses": {"default": _response("An error", wire.Failed)}}
        operation["responses"]["200" if given is not None else "204"] = _response(summary, given)
        if asked is not None:
            operation["requestBody"] = {"required": True, "content": _content(asked)}
        if "{name}" in path:
            operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
        if path in _OPEN:
            operation["security"] = []
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "keyboard-lm", "version": __version__, "license": {"name": "Apache-2.0"}},
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas([*types, wire.Failed]),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def asyncapi() -> dict[str, Any]:
    """Return the description of the socket."""
    sent, received = get_args(wire.ClientMessage), get_args(wire.ServiceMessage)
    schemas = _schemas([*sent, *received])
    messages = {
        kind.__name__: {"name": _tag(kind), "payload": {"$ref": _REF.format(name=kind.__name__)}}
        for kind in (*sent, *received)
    }
    address = "#/channels/session"

    def refs(kinds: tuple[Any, ...]) -> list[dict[str, str]]:
        return [{"$ref": f"{address}/messages/{kind.__name__}"} for kind in kinds]

    return {
        "asyncapi": "3.0.0",
        "info": {"title": "keyboard-lm", "version": __version__, "license": {"name": "Apache-2.0"}},
        "channels": {
            "session": {
                "address": "/v1/session",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": {
            "receiveFromClient": {"action": "receive", "channel": {"$ref": address}, "messages": refs(sent)},
            "sendToClient": {"action": "send", "channel": {"$ref": address}, "messages": refs(received)},
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def describe() -> list[Route]:
    """Return the routes of both."""

    async def http(request: Request) -> JSONResponse:
        return JSONResponse(openapi())

    async def socket(request: Request) -> JSONResponse:
        return JSONResponse(asyncapi())

    return [Route("/openapi.json", http, methods=["GET"]), Route("/asyncapi.json", socket, methods=["GET"])]


def _schemas(types: list[Any]) -> dict[str, Any]:
    return msgspec.json.schema_components(types, ref_template=_REF)[1]


def _response(description: str, given: Any) -> dict[str, Any]:
    return {"description": description, **({"content": _content(given)} if given is not None else {})}


def _content(kind: Any) -> dict[str, Any]:
    if not _is_struct(kind):
        return {kind: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _tag(kind: Any) -> str:
    return str(kind.__struct_config__.tag)
