"""What other languages are told is what is sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from keyboard_lm.serve import messages as wire
from keyboard_lm.serve.app import create_app
from keyboard_lm.serve.descriptions import asyncapi, openapi

from .conftest import Running
from .talk import ask, hear, hello, say

jsonschema = pytest.importorskip("jsonschema", reason="comes with the dev extra")
referencing = pytest.importorskip("referencing", reason="comes with jsonschema")
ROOT = Path(__file__).parents[3]


def _refs(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {node["$ref"]} if "$ref" in node else set()
        return found.union(*map(_refs, node.values()))
    return set().union(*map(_refs, node)) if isinstance(node, list) else set()


def _at(document: Any, ref: str) -> Any:
    for name in ref.removeprefix("#/").split("/"):
        document = document[name.replace("~1", "/").replace("~0", "~")]
    return document


def _validator(document: dict[str, Any], name: str) -> Any:
    resource = referencing.Resource.from_contents(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}
    )
    registry = referencing.Registry().with_resource("urn:all", resource)
    return jsonschema.Draft202012Validator({"$ref": f"urn:all#/components/schemas/{name}"}, registry=registry)


@pytest.mark.parametrize("document", [openapi(), asyncapi()])
def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for ref in _refs(document):
        assert _at(document, ref) is not None
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_asyncapi_has_what_version_3_asks_for() -> None:
    document = json.loads(json.dumps(asyncapi()))
    assert document["asyncapi"] == "3.0.0"
    assert document["info"].keys() >= {"title", "version"}
    channel = document["channels"]["session"]
    assert channel["address"] == "/v1/session"
    sent = {ref["$ref"] for operation in document["operations"].values() for ref in operation["messages"]}
    assert sent == {f"#/channels/session/messages/{name}" for name in channel["messages"]}
    assert {operation["action"] for operation in document["operations"].values()} == {"send", "receive"}
    for name, message in document["components"]["messages"].items():
        tag = document["components"]["schemas"][name]["properties"]["type"]
        assert message["name"] in tag["enum"]


def test_openapi_has_what_version_3_1_asks_for() -> None:
    document = json.loads(json.dumps(openapi()))
    assert document["openapi"] == "3.1.0"
    for path, operations in document["paths"].items():
        assert path.startswith("/")
        for operation in operations.values():
            assert operation["responses"]
            assert ("{name}" in path) == ("parameters" in operation)
            assert all(response["description"] for response in operation["responses"].values())


def test_messages_of_a_running_service_fit(running: Running) -> None:
    document = asyncapi()
    names = {message["name"]: name for name, message in document["components"]["messages"].items()}
    socket = hello(running.socket, learning="memory")
    said: list[dict[str, Any]] = [{"type": "typed", "revision": 1, "char": "h"}, {"type": "learned_asked"}]
    for message, answers in zip(said, (("edit", "bar"), ("learned",)), strict=True):
        _validator(document, names[message["type"]]).validate(message)
        say(socket, **message)
        for kind in answers:
            _validator(document, names[kind]).validate(hear(socket, kind))
    say(socket, type="typed", revision=9, char="h")
    _validator(document, names["error"]).validate(hear(socket, "error"))
    with pytest.raises(Exception, match="required"):
        _validator(document, "KeyTyped").validate({"type": "typed", "revision": 1})
    http = openapi()
    for path, name in (("/v1/suggest", "AnswerGiven"), ("/v1/correct", "Corrected")):
        _validator(http, name).validate(ask(running.http + path, {"text": "what is teh"})[1])
    _validator(http, "Offered").validate(ask(running.http + "/v1/offered")[1])
    assert ask(running.http + "/openapi.json")[1] == json.loads(json.dumps(http))
    assert ask(running.http + "/asyncapi.json")[1] == json.loads(json.dumps(document))


def test_every_route_is_described(running: Running) -> None:
    routes = {route.path for route in create_app(running.service).routes if hasattr(route, "methods")}
    assert routes - {"/openapi.json", "/asyncapi.json"} == set(openapi()["paths"])


def test_the_page_of_documentation_names_every_message_and_field() -> None:
    page = (ROOT / "docs" / "serving.md").read_text()
    for kind in (*get_args(wire.ClientMessage), *get_args(wire.ServiceMessage)):
        assert f"`{kind.__struct_config__.tag}`" in page
        for field in msgspec.structs.fields(kind):
            assert re.search(rf"`{field.name}`", page), (kind, field.name)
    for code in get_args(wire.ErrorCode):
        assert f"`{code}`" in page, code
