"""What is lost of Dagster while it runs is brought back, or said by the exit code."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from connectors.hub import Hub
from connectors.settings import Settings
from iphub import dagster_ui
from iphub.stopping import stop_children
from ipregister.errors import ConfigurationError

LOADED, LOST = "RepositoryLocation", "PythonError"


class Web:
    """Dagster's web server as far as it is asked; ``answers`` are how the code fares."""

    def __init__(self, answers: list[str | None]) -> None:
        self.answers = answers
        self.reloaded: list[str] = []
        self.done = threading.Event()
        self.schema = create_schema().graphql_schema

    def answer(self, query: str, variables: dict[str, str]) -> Any:
        assert validate(self.schema, parse(query)) == []
        if "mutation" in query:
            self.reloaded.append(variables["name"])
            return {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}
        loaded = self.answers.pop(0)
        if not self.answers:
            self.done.set()
        if loaded is None:
            return None
        entry = {"name": "hub", "locationOrLoadError": {"__typename": loaded}}
        return {"workspaceOrError": {"locationEntries": [entry]}}


@pytest.fixture
def web() -> Iterator[Any]:
    """Serve what ``answers`` say on loopback; yields the server with a ``Web`` on it."""
    told = Web([])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"data": told.answer(asked["query"], asked["variables"])}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield told, server.server_port
        server.shutdown()


@pytest.mark.parametrize(
    ("answers", "reloaded"),
    [
        ([LOADED, LOADED], []),
        ([LOADED, LOST, LOADED], ["hub"]),
        ([None, LOST, LOST, LOADED], ["hub", "hub"]),
    ],
)
def test_code_that_dagster_lost_is_loaded_again(
    web: Any, answers: list[str | None], reloaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, port = web
    told.answers += [*answers, LOADED]
    monkeypatch.setattr(dagster_ui, "LOOKED_AFTER_SECONDS", 0.01)
    stopped = threading.Event()
    looking = threading.Thread(target=dagster_ui.look_after, args=(port, stopped))
    looking.start()
    told.done.wait()
    stopped.set()
    looking.join()

    assert told.reloaded == reloaded


def test_on_a_port_that_is_taken_no_second_dagster_is_started(
    web: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Hub.create(Settings(home=tmp_path / "hub")).close()
    monkeypatch.setattr(dagster_ui, "start_dagster", lambda *_: pytest.fail("it was started"))
    with pytest.raises(ConfigurationError, match=f"Port {web[1]} is taken"):
        dagster_ui.dagster(tmp_path / "hub", port=web[1])


def test_a_file_where_the_command_was_started_is_no_module_of_dagsters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.py").write_text("raise SystemExit(7)", "utf-8")
    monkeypatch.chdir(tmp_path)
    process = dagster_ui.start_dagster(tmp_path, 1, log=tmp_path / "log")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    stop_children([process])
