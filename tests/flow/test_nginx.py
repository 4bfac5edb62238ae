"""Behind nginx, with the configuration we give away: the API decides, nginx sends."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def nginx_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Nginx with ``deploy/nginx.conf``, but for TLS and places: its address, and the file's folder.

    Behind it stands a program that hands over whatever is asked for below ``/v1``.
    """
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed (Debian: nginx)")
    port, behind = free_port(), free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    text = re.sub(r"\n    ssl_[^\n]*", "", text).replace("443 ssl", f"127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{behind}")
    files = tmp_path / "files"
    files.mkdir()
    text = text.replace("/srv/iphub/exports/files/", f"{files}/")
    (tmp_path / "hub.conf").write_text(text)
    scratch = "".join(
        f"{name}_temp_path {tmp_path}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {tmp_path}/pid; error_log {tmp_path}/error;"
        f"events {{}} http {{ access_log off; {scratch} include {tmp_path}/hub.conf; }}"
    )
    backend = subprocess.Popen(["python3", "-c", BACKEND, str(behind)])
    server = subprocess.Popen([found, "-p", tmp_path, "-c", tmp_path / "nginx.conf"])
    for _ in range(100):
        with socket.socket() as one, socket.socket() as two:
            if not one.connect_ex(("127.0.0.1", port)) | two.connect_ex(("127.0.0.1", behind)):
                break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", files
    for process in (server, backend):
        process.terminate()
        process.wait()


BACKEND = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.headers.get("Authorization") == "Bearer good"
        self.send_response(200 if allowed else 404)
        if allowed:
            self.send_header("X-Accel-Redirect", "/_prepared/" + self.path.rpartition("/")[2])
            self.send_header("Content-Disposition", 'attachment; filename="KH-trademarks.parquet"')
            self.send_header("Cache-Control", "private, no-cache")
            self.send_header("Content-Type", "application/vnd.apache.parquet")
            self.send_header("Repr-Digest", "sha-256=:aGFzaA==:")
            self.send_header("Vary", "Authorization")
            self.send_header("X-Request-Id", "0123456789abcdef")
            self.send_header("RateLimit", '"requests";r=9;t=1')
        if "/long" in self.path:
            self.send_header("Link", "x" * 10_000)
        self.send_header("X-Seen", self.headers.get("X-Forwarded-For", ""))
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_HEAD = do_GET
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_nginx_sends_what_the_api_hands_over(nginx_server: tuple[str, Path]) -> None:
    url, files = nginx_server
    content = os.urandom(300_000)
    (files / "abc.parquet").write_bytes(content)
    path, good = f"{url}/v1/snapshots/abc.parquet", {"Authorization": "Bearer good"}
    whole = httpx.get(path, headers=good | {"X-Forwarded-For": "10.9.8.7"})
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-type"] == "application/vnd.apache.parquet"
    assert whole.headers["content-disposition"] == 'attachment; filename="KH-trademarks.parquet"'
    assert whole.headers["cache-control"] == "private, no-cache"
    assert whole.headers["repr-digest"] == "sha-256=:aGFzaA==:"
    assert whole.headers["vary"] == "Authorization"
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-request-id"] == "0123456789abcdef"
    assert whole.headers["ratelimit"] == '"requests";r=9;t=1'
    # What the API takes for nginx's validator when it counts the rows of a part.
    seen = (files / "abc.parquet").stat()
    assert whole.headers["etag"] == f'"{int(seen.st_mtime):x}-{seen.st_size:x}"'
    rest = httpx.get(
        path, headers=good | {"Range": "bytes=1000-", "If-Range": whole.headers["etag"]}
    )
    assert (rest.status_code, rest.content) == (206, content[1000:])
    # Of days it says and takes nothing: the API would count what is not sent, or the reverse.
    assert "last-modified" not in whole.headers
    day = formatdate(seen.st_mtime, usegmt=True)
    again = httpx.get(path, headers=good | {"If-Modified-Since": day})
    assert (again.status_code, again.content) == (200, content)
    part = httpx.get(path, headers=good | {"Range": "bytes=1000-", "If-Range": day})
    assert (part.status_code, part.content) == (200, content)
    # Every range asks the API again, and the files have no address of their own.
    assert httpx.get(path, headers={"Range": "bytes=1000-"}).status_code == 404
    assert httpx.get(f"{url}/_prepared/abc.parquet", headers=good).status_code == 404
    assert httpx.get(f"{url}/v1/x", headers={"X-Forwarded-For": "10.9.8.7"}).headers["x-seen"] == (
        "127.0.0.1"
    )
    # The next page of a long query, in a query that is as long.
    long = httpx.get(f"{url}/v1/long", params={"q": "x" * 16_000})
    assert (long.status_code, len(long.headers.get("link", ""))) == (404, 10_000)
    assert httpx.get(f"{url}/metrics", headers=good).status_code == 404
    assert "x-seen" not in httpx.get(f"{url}/metrics").headers  # the API was not asked
