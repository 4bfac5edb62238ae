"""The third parties' Python client against a server that misbehaves."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from asean_ip_hub_client import (
    Hub,
    HubError,
    HubProblem,
    HubUnreachable,
    PrivateKey,
    verify_notification,
)
from asean_ip_hub_client.credentials import Secret
from asean_ip_hub_client.transport import Transport


@dataclass
class Script:
    """What a server answers, one entry per request after the token: status and headers."""

    answers: list[tuple[int, dict[str, str]]]
    asked: int = 0
    slept: list[float] = field(default_factory=list)


@pytest.fixture
def misbehaving() -> Iterator[Any]:
    servers: list[ThreadingHTTPServer] = []

    def start(*answers: tuple[int, dict[str, str]]) -> tuple[Transport, Script]:
        script = Script(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self._answer(200, {}, {"access_token": "t", "expires_in": 600})

            def do_GET(self) -> None:
                status, headers = script.answers[min(script.asked, len(script.answers) - 1)]
                script.asked += 1
                self._answer(status, headers, {"code": "busy", "detail": "later"})

            def _answer(self, status: int, headers: dict[str, str], document: object) -> None:
                body = json.dumps(document).encode()
                if "text/html" in headers.values():
                    body = b"<p>Sign in</p>"
                if "X-Code" in headers:
                    body = json.dumps({"code": headers["X-Code"]}).encode()
                if "gzip" in headers.values():
                    body = b"cut"
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        return Transport(url, Secret("me", "s"), sleep=script.slept.append), script

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_temporary_refusals_are_waited_out_as_the_server_asks(misbehaving: Any) -> None:
    transport, script = misbehaving((429, {"Retry-After": "61"}), (503, {}), (200, {}))
    assert transport.get("/v1/me") == {"code": "busy", "detail": "later"}
    assert script.slept[0] == 61.0
    assert 1.0 <= script.slept[1] <= 2.0
    transport.close()


def test_a_long_limit_is_told_and_not_slept_through(misbehaving: Any) -> None:
    transport, script = misbehaving((429, {"Retry-After": "3600"}))
    with pytest.raises(HubProblem) as refused:
        transport.get("/v1/me")
    assert (refused.value.retry_after, refused.value.code, script.slept) == (3600.0, "busy", [])
    transport.close()


def test_refusals_that_do_not_end_are_told_after_five_attempts(misbehaving: Any) -> None:
    transport, script = misbehaving((503, {}))
    with pytest.raises(HubProblem, match="503 busy"):
        transport.get("/v1/me")
    assert (script.asked, len(script.slept)) == (5, 4)
    transport.close()


def test_a_search_that_takes_too_long_is_not_repeated(misbehaving: Any) -> None:
    transport, script = misbehaving((503, {"Retry-After": "5", "X-Code": "search_too_slow"}))
    with pytest.raises(HubProblem, match="503 search_too_slow"):
        transport.get("/v1/offices/KH/trademarks/records")
    assert (script.asked, script.slept) == (1, [])
    transport.close()


def test_the_page_of_something_between_is_no_answer_of_the_hub(misbehaving: Any) -> None:
    transport, _ = misbehaving((200, {"Content-Type": "text/html"}))
    with pytest.raises(HubError, match="/v1/me did not answer with JSON"):
        transport.get("/v1/me")
    transport.close()


def test_an_address_that_leads_elsewhere_is_told(misbehaving: Any) -> None:
    transport, _ = misbehaving((301, {"Location": "https://hub.example/v1/me"}))
    with pytest.raises(HubError, match=r"leads to https://hub\.example/v1/me"):
        transport.get("/v1/me")
    transport.close()


NO_ADDRESSES = ["hub.example", "", "ftp://hub.example", "https://", "https://hub.example?q=1"]


@pytest.mark.parametrize("url", [*NO_ADDRESSES, "https://hub.example\n", "http://hub.example:p"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not a hub's address"):
        Hub(url, "tp-1", "secret")


def test_an_answer_that_cannot_be_unpacked_is_asked_for_again(misbehaving: Any) -> None:
    transport, script = misbehaving((200, {"Content-Encoding": "gzip"}), (200, {}))
    assert transport.get("/v1/me") == {"code": "busy", "detail": "later"}
    transport.close()
    transport, script = misbehaving((200, {"Content-Encoding": "gzip"}))
    with pytest.raises(HubUnreachable):
        transport.get("/v1/me")
    assert script.asked == 5
    transport.close()


def test_a_hub_that_is_away_is_unreachable() -> None:
    slept: list[float] = []
    transport = Transport("http://127.0.0.1:9", Secret("me", "s"), sleep=slept.append)
    with pytest.raises(HubUnreachable, match="does not answer"):
        transport.get("/v1/me")
    assert len(slept) == 4
    transport.close()


def test_what_is_missing_is_named_by_a_distribution_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The client itself is on no index: whoever took its name there would be installed instead.
    for missing in ("jwt", "standardwebhooks.webhooks", "pandas"):
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(HubError, match=r"^pip install 'pyjwt\[crypto\]' "):
        PrivateKey("tp-1", "a key").prove("https://hub.example")
    with pytest.raises(HubError, match=r"^pip install standardwebhooks "):
        verify_notification(b"{}", {}, "whsec_c2VjcmV0")
    with pytest.raises(HubError, match=r"^pip install pandas "):
        Hub("https://hub.example", "tp-1", "x").records("KH", "patents").to_pandas()
