"""What the description shows is what a hub takes and gives: every example, sent to one."""

import json
from typing import Any

import jsonschema_rs
import pytest

from api.openapi_examples import load

TRIES = ("granted", "manager", "authorizer", "operator")
LATE = ("/release", "DELETE", "/revoke", "/purge-approvals")
"""What ends what others are about, or lets it pass where it would be held; in this order."""
ORDER = sorted(load(), key=lambda route: [part in route for part in reversed(LATE)])
ELSEWHERE = ("/oauth2/", "/tables/{table}/changes", "DELETE /v1/jobs")
"""Sent with a secret of their own in the OAuth tests; a route that only refuses; and one that needs
a file nobody has prepared yet (``test_export_jobs``)."""


@pytest.mark.parametrize("route", [r for r in ORDER if not any(part in r for part in ELSEWHERE)])
def test_a_documented_request_gets_a_documented_answer(attacked: Any, route: str) -> None:
    method, template = route.split()
    example, operation = load()[route], attacked.described()[route]
    sent = attacked.body(method, template)
    if "body" in example and "/upload-urls" not in template:
        # The one host there is here; the example's is somebody's on the internet.
        text = json.dumps(example["body"]).replace("https://hooks.example/asean-ip", attacked.hook)
        sent["json"] = json.loads(text)
    queries = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
    given = {name: example.get("parameters", {}).get(name) for name in queries}
    given = {name: text for name, text in given.items() if text and name not in attacked.real}
    path, _, query = attacked.path(template).partition("?")
    real = dict(part.split("=", 1) for part in query.split("&") if part)
    sent["params"] = given | sent.get("params", {}) | real
    answers = (attacked.ask(method, path, who, **sent) for who in TRIES)
    answer = next((answer for answer in answers if answer.status_code < 300), None)
    assert answer is not None, "nobody may do what the example shows"
    content = operation["responses"][str(answer.status_code)].get("content", {})
    form = answer.headers.get("content-type", "").partition(";")[0]
    assert (form in content) if answer.content else not content
    if answer.content and form in ("application/json", "application/jwk-set+json"):
        schema = content[form]["schema"] | {"components": attacked.app.openapi()["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        wrong = [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(answer.json())]
        assert wrong == []
