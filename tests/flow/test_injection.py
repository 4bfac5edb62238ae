"""sqlmap against query parameters, with a token that is good: it finds nothing.

That it would is shown on a route made for it. Here a few parameters, those that come nearest
to SQL; ``make attack`` takes every one (``IPHUB_ATTACK=all``).
"""

import os
import subprocess
import sys
from pathlib import Path
from sqlite3 import connect
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SAMPLE = {
    "GET /v1/offices/{office}/{right}/records": ("applicationNumber", "q"),
    "GET /v1/offices/{office}/deliveries": ("state",),
    "GET /v1/offices/{office}/access-receipts": ("recordId", "thirdParty"),
}
"""The parameters whose text reaches a query as a value."""

GOOD = {
    "limit": "5",
    "applicationNumber": "KH/90001/2019",
    "applicationDateFrom": "2019-01-01",
    "applicationDateTo": "2020-01-01",
    "receivedFrom": "2019-01-01",
    "receivedTo": "2030-01-01",
    "readFrom": "2019-01-01",
    "readTo": "2030-01-01",
    "status": "filed",
    "niceClass": "30",
    "right": "trademarks",
    "kind": "update",
    "state": "published",
    "severity": "warning",
    "thirdParty": "Ann",
    "office": "KH",
    "type": "bearer_token",
    "fillRates": "true",
    "maxResults": "5",
    "q": "lumativa",
}
"""A value each parameter takes; others get a word."""

ALL = os.environ.get("IPHUB_ATTACK") == "all"


def attack(url: str, parameter: str, token: str, folder: Path) -> str:
    """Run sqlmap at one parameter of an address and return what it says."""
    command = [
        *(str(Path(sys.executable).with_name("sqlmap")), "-u", url, "-p", parameter),
        *("--batch", "--disable-coloring", "--flush-session", "--output-dir", str(folder)),
        *("--headers", f"Authorization: Bearer {token}", "--ignore-code", "400,404"),
        # No technique waits for the clock: that would measure this machine, not the hub.
        *("--technique", "BEUS", "--level", "1", "--risk", "1", "--answers", "follow=N"),
        *("--dbms", "sqlite", "--threads", "2", "--timeout", "30", "--retries", "0"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=folder
    )
    said = done.stdout + done.stderr
    assert "testing SQLite" in said or "heuristic" in said, said[-2_000:]
    return said


def cases(attacked: Any) -> list[tuple[str, str]]:
    """Return the parameters to attack: the sample, or all of the description."""
    if not ALL:
        return [(route, name) for route, names in SAMPLE.items() for name in names]
    return [
        (route, parameter["name"])
        for route, operation in attacked.described().items()
        for parameter in operation.get("parameters", ())
        if route.startswith("GET ") and parameter["in"] == "query"
    ]


@pytest.fixture(scope="module")
def address(attacked: Any, attack_tools: Any) -> Any:
    """The address of the hub behind its real server."""
    with attack_tools.serving(attacked.app) as url:
        yield url


def test_no_query_parameter_can_be_injected(attacked: Any, address: str, tmp_path: Path) -> None:
    found = []
    for route, name in cases(attacked):
        path, _, query = attacked.path(route.split()[1]).partition("?")
        others = [part for part in query.split("&") if part and not part.startswith(f"{name}=")]
        asked = "&".join([*others, f"{name}={quote(GOOD.get(name, 'word'))}"])
        who = "manager" if "/offices/{office}/" in route and "/records" not in route else "granted"
        said = attack(f"{address}{path}?{asked}", name, attacked.tokens[who], tmp_path)
        if "does not seem to be injectable" not in said and "not injectable" not in said:
            found.append((route, name, said[-1_500:]))
    assert found == []


def test_an_injection_would_be_found(attack_tools: Any, tmp_path: Path) -> None:
    async def search(request: Request) -> JSONResponse:
        with connect(":memory:") as database:
            database.execute("CREATE TABLE marks AS SELECT 'a' AS name UNION SELECT 'b'")
            wanted = request.query_params["name"]
            try:
                rows = database.execute(f"SELECT name FROM marks WHERE name = '{wanted}'")
                return JSONResponse({"items": [name for (name,) in rows]})
            except Exception:
                return JSONResponse({"items": []}, 400)

    with attack_tools.serving(Starlette(routes=[Route("/marks", search)])) as url:
        said = attack(f"{url}/marks?name=a", "name", "none", tmp_path)
    assert "is vulnerable" in said or "injectable" in said.partition("Parameter: name")[0]
    assert "Type: boolean-based blind" in said or "Type: UNION query" in said
