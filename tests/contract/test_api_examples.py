"""The examples of the description: there for every route, and what the schemas say."""

from types import SimpleNamespace
from typing import Any, cast

import jsonschema_rs
import pytest

from api.app import create_app
from api.openapi_examples import load
from api.service import Service

APP = create_app(cast(Service, SimpleNamespace(public_url="https://hub.example", counting=None)))
DESCRIBED: dict[str, Any] = APP.openapi()
ROUTES = {
    f"{method.upper()} {path}": operation
    for path, methods in DESCRIBED["paths"].items()
    for method, operation in methods.items()
}
JSON = ("application/json", "application/jwk-set+json")
ALWAYS_FAILS = "/tables/{table}/changes"
"""A route of Delta Sharing that only says where changes are told."""


def fits(schema: dict[str, Any], value: object) -> list[str]:
    """Return what is wrong with a value."""
    whole = schema | {"components": DESCRIBED["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(value)]


def contents(operation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the forms of the body and of what comes when all is well."""
    good = [answer for status, answer in operation["responses"].items() if status[0] == "2"]
    parts = [*good, *([operation["requestBody"]] if "requestBody" in operation else [])]
    return [form for part in parts for form in part.get("content", {}).items()]


def test_examples_are_of_routes_there_are() -> None:
    assert load().keys() == ROUTES.keys()


def members(schema: dict[str, Any]) -> set[str]:
    """Return the names of the members a schema describes."""
    if "$ref" in schema:
        schema = DESCRIBED["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    parts = [*schema.get("allOf", ()), *schema.get("anyOf", ())]
    return set(schema.get("properties", ())).union(*map(members, parts))


@pytest.mark.parametrize("route", ROUTES)
def test_no_example_has_a_member_that_is_not_described(route: str) -> None:
    for form, content in contents(ROUTES[route]):
        if form in JSON and (told := members(content["schema"])):
            assert set(content.get("example", ())) <= told


def test_a_job_is_described_whichever_it_is_of() -> None:
    ((_, content),) = contents(ROUTES["GET /v1/jobs/{jobId}"])
    examples = load()
    for route in ("GET /v1/jobs/{jobId}", "POST /v1/exports"):
        assert fits(content["schema"], examples[route]["answer"]) == []


@pytest.mark.parametrize("route", ROUTES)
def test_every_example_is_what_its_schema_says(route: str) -> None:
    operation = ROUTES[route]
    for form, content in contents(operation):
        if form in JSON and ALWAYS_FAILS not in route and "/packages" not in route:
            assert "example" in content, form
        if "example" in content and form in JSON:
            assert fits(content["schema"], content["example"]) == []
    for parameter in operation.get("parameters", ()):
        if parameter.get("required"):
            assert "example" in parameter, parameter["name"]
        if "example" in parameter:
            value = parameter["example"]
            kind = parameter["schema"].get("type")
            value = int(value) if kind == "integer" else value
            assert fits(parameter["schema"], value) == []


def test_an_example_that_does_not_fit_is_found() -> None:
    record = ROUTES["GET /v1/offices/{office}/{right}/records"]["responses"]["200"]
    schema = record["content"]["application/json"]["schema"]
    assert fits(schema, {"items": [{"recordId": 1}]})
    assert fits(schema, {})


def test_the_description_is_openapi() -> None:
    """Schemas are JSON Schema 2020-12, parameters of a path are those in it, names are once."""
    for name, schema in DESCRIBED["components"]["schemas"].items():
        jsonschema_rs.meta.validate(
            schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}
        )
        assert name.isidentifier()
    identifiers = [operation["operationId"] for operation in ROUTES.values()]
    assert len(identifiers) == len(set(identifiers))
    for route, operation in ROUTES.items():
        parameters = operation.get("parameters", ())
        named = {parameter["name"] for parameter in parameters if parameter["in"] == "path"}
        assert named == {part.split("}")[0] for part in route.split("{")[1:]}, route
        pairs = [(parameter["name"], parameter["in"]) for parameter in parameters]
        assert len(pairs) == len(set(pairs)), route
        assert operation["responses"], route
        for answer in operation["responses"].values():
            assert answer["description"], route


@pytest.mark.parametrize(
    "route", [r for r, operation in ROUTES.items() if operation.get("security")]
)
def test_whatever_needs_a_token_says_401_429_and_503(route: str) -> None:
    assert {"401", "429", "503"} <= ROUTES[route]["responses"].keys()


@pytest.mark.parametrize("route", ROUTES)
def test_headers_are_described_where_they_are_sent(route: str) -> None:
    for status, answer in ROUTES[route]["responses"].items():
        assert "X-Request-Id" in answer["headers"]
        assert ("WWW-Authenticate" in answer["headers"]) is (status == "401")
        assert ("Retry-After" in answer["headers"]) is (status in ("429", "503"))
