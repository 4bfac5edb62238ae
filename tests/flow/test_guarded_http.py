"""What a caller can draw out has an end: heads, addresses, waiting, connections."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from iphub import guarded_http, serve
from iphub.guarded_http import GuardedHttp


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    size = 20_000_000 if scope["path"] == "/large" else len(body)
    await send({"type": "http.response.body", "body": b"x" * size})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    # The rules are the same with shorter times.
    for name, seconds in (("HEAD", 0.5), ("STALL", 0.5), ("LOOK", 0.1)):
        monkeypatch.setattr(guarded_http, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(guarded_http, "MAX_CONNECTIONS", 20)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(echo, http=GuardedHttp, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def answer(connection: socket.socket) -> bytes:
    """Return all until the server closes; a reset is an end too."""
    data = b""
    try:
        while part := connection.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return data


def test_ordinary_requests_pass(port: int) -> None:
    with connect(port) as connection:
        for body in (b"", b"hello"):
            head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body)
            connection.sendall(head + body)
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 1_000_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"a" * 1_000_000, b"431"),
        (b"NONSENSE\r\n\r\n", b"400"),
    ],
    ids=["address", "many headers", "one header", "one name", "no request"],
)
def test_a_head_without_end_is_refused(port: int, head: bytes, status: bytes) -> None:
    with connect(port) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
            connection.sendall(head)
        assert answer(connection)[9:12] in (status, b""), "refused, or cut off while sending"
    with connect(port) as again:
        again.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert answer(again).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nhost: x\r\n",
        b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc",
        b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "blank lines", "half a body", "nobody reads"],
)
def test_a_connection_without_progress_ends(port: int, sent: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(sent)
        if b"large" in sent:
            time.sleep(2)  # longer than the server waits for someone to take its answer
        received = len(answer(connection))  # returns because the server closes
        assert received == 0 or (b"large" in sent and received < 20_000_000)


@pytest.mark.parametrize(
    ("head", "status", "code"),
    [
        (b"GET /" + b"a" * 20_001, 414, "address_too_long"),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 65_536 + b"\r\n\r\n", 431, "headers_too_long"),
        (b"NONSENSE\r\n\r\n", 400, "no_http_request"),
    ],
)
def test_what_ends_before_the_application_is_asked_is_a_problem_document_too(
    port: int, head: bytes, status: int, code: str
) -> None:
    with connect(port) as connection:
        connection.sendall(head)
        told, _, body = answer(connection).partition(b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 %d " % status)
    assert b"content-type: application/problem+json\r\n" in told + b"\r\n"
    assert b"connection: close" in told
    problem = json.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["requestId"]
    assert b"\r\nx-request-id: %b\r\n" % problem["requestId"].encode() in told + b"\r\n"


def test_more_connections_than_a_worker_takes_are_told_to_come_back(port: int) -> None:
    opened = [connect(port) for _ in range(20)]
    with connect(port) as one_more:
        refused = answer(one_more)
    assert refused.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 5" in refused
    assert json.loads(refused.partition(b"\r\n\r\n")[2])["code"] == "busy"
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("other", [b"h2c", b"websocket"])
@pytest.mark.parametrize("piece", [1, 7, 1_000_000])
@pytest.mark.parametrize(
    "framed",
    [
        b"content-length: 5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
    ids=["length", "chunks"],
)
def test_a_request_that_asks_for_another_protocol_is_one_like_any_other(
    port: int, framed: bytes, piece: int, other: bytes
) -> None:
    asks = b"host: x\r\nconnection: Upgrade\r\nupgrade: " + other + b"\r\n"
    with_body = b"POST / HTTP/1.1\r\n" + asks + framed
    without = b"GET / HTTP/1.1\r\n" + asks + b"\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    data = with_body + with_body + without + with_body + last
    with connect(port) as connection:
        for start in range(0, len(data), piece):
            connection.sendall(data[start : start + piece])
        answers = answer(connection)
    assert answers.count(b"HTTP/1.1 200") == 5
    assert answers.count(b"\r\n5\r\nxxxxx\r\n") == 3, "each body is read to its end"


def test_no_connection_leaves_the_guards_as_a_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {}

    def options(**given: Any) -> Any:
        told.update(given)
        raise SystemExit

    with monkeypatch.context() as patched, suppress(SystemExit):
        patched.setattr(uvicorn, "Config", options)
        serve.run("127.0.0.1", 0, 1, lambda: None)
    told["app"] = echo
    config = uvicorn.Config(**told | {"factory": False})
    config.load()
    assert config.ws_protocol_class is None
