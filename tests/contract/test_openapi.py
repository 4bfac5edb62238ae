"""The description of the API: what it promises is written down, and true."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import FastAPI

from api.app import create_app
from api.parameters import FILTERS
from api.service import Service
from ipregister.model import Right, load_tables

SNAPSHOT = Path(__file__).with_name("openapi.json")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(
        cast(Service, SimpleNamespace(public_url="https://hub.example", counting=None))
    )


@pytest.fixture(scope="module")
def described(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def outline(described: dict[str, Any]) -> dict[str, Any]:
    """Return routes, parameters and answers; records are the tables', tested elsewhere."""
    return {
        f"{method.upper()} {path}": {
            "parameters": [
                {name: p[name] for name in ("name", "in", "required") if name in p}
                for p in operation.get("parameters", ())
            ],
            "security": operation.get("security", []),
            "responses": {
                code if media.endswith(("/json", "+json")) else f"{code} {media}": answer[
                    "content"
                ][media]["schema"]
                for code, answer in operation["responses"].items()
                for media in answer.get("content", ())
            },
        }
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }


def test_routes_are_those_of_the_snapshot(described: dict[str, Any]) -> None:
    """A difference is a change for our users: look, then write the outline into the file."""
    assert outline(described) == json.loads(SNAPSHOT.read_text("utf-8"))


def test_every_route_is_described(app: FastAPI, described: dict[str, Any]) -> None:
    for operation in outline(described).values():
        assert operation["responses"]
    for methods in described["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert operation["description"]
            assert "HTTPValidationError" not in json.dumps(operation["responses"])


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    names = described["components"]["schemas"]
    text = json.dumps(described)
    references = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert references <= names.keys()
    assert references >= {f"{right}Record" for right in Right}


@pytest.mark.parametrize("right", Right)
def test_every_field_of_the_tables_is_described(described: dict[str, Any], right: Right) -> None:
    schema = described["components"]["schemas"][f"{right}Record"]
    fields = load_tables()[right].fields
    assert list(schema["properties"]) == [field.name for field in fields]
    for field in fields:
        assert schema["properties"][field.name]["description"] == field.description


def test_every_filter_is_described(described: dict[str, Any]) -> None:
    operation = described["paths"]["/v1/offices/{office}/{right}/records"]["get"]
    assert {p["name"] for p in operation["parameters"]} >= FILTERS.keys() | {"limit", "cursor"}
