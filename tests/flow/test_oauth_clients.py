"""Other people's OAuth clients, unmodified, against a real server on loopback."""

import json
import logging
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import requests
import uvicorn
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session

from api.app import create_app
from api.service import Service
from connectors.cursors import Cursors
from connectors.ledger import ClientChanges, Ledger
from connectors.receipts.journal import Journal
from connectors.serving_store import ServingStore
from ipregister.model import Right


@dataclass
class Server:
    """A server with two clients of one third party: one with a secret, one with a key."""

    url: str
    client_id: str
    secret: str
    key_id: str
    key: ec.EllipticCurvePrivateKey
    ledger: Ledger

    def pem(self) -> bytes:
        """Return the private key as a file of openssl's."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


CLIENTS = Path(__file__).with_name("clients")


@pytest.fixture(scope="session")
def openid_client() -> str:
    """Folder of node's openid-client; ``.ci/third_party_clients`` installs it."""
    folder = os.environ.get("IPHUB_TEST_OPENID_CLIENT")
    if not folder or shutil.which("node") is None:
        pytest.skip("IPHUB_TEST_OPENID_CLIENT names no openid-client, or there is no node")
    return folder


def run(*command: str | Path) -> Any:
    """Run somebody else's program; return the JSON it prints."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    # Clients refuse http without this; the hub's TLS is its proxy's.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite", pepper=b"p" * 32)
    serving, now = ServingStore(tmp_path / "serving.sqlite"), datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key()))
    add = ledger.clients.add
    client, secret = add(name="one", third_party="Acme", at=now, by="test")
    signer, _ = add(name="two", third_party="Acme", public_jwk=jwk, at=now, by="test")
    rights: dict[Right, frozenset[Any]] = {Right.DESIGNS: frozenset()}
    ledger.authorizations.set("LA", "Acme", rights, None, now, "test")
    app = create_app(
        Service(ledger, serving, Cursors(b"k" * 32), url, receipts=Journal(tmp_path / "receipts"))
    )
    runner = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    yield Server(url, client.clientId, str(secret), signer.clientId, key, ledger)
    runner.should_exit = True
    thread.join(10)
    serving.close()
    ledger.close()


def test_requests_oauthlib(server: Server) -> None:
    session = OAuth2Session(client=BackendApplicationClient(client_id=server.client_id))
    session.fetch_token(f"{server.url}/oauth2/token", client_secret=server.secret)
    assert session.get(f"{server.url}/v1/me").json()["clientId"] == server.client_id


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_with_a_secret(server: Server, method: str) -> None:
    session = AuthlibSession(server.client_id, server.secret, token_endpoint_auth_method=method)
    session.fetch_token(f"{server.url}/oauth2/token", grant_type="client_credentials")
    assert session.get(f"{server.url}/v1/me").json()["clientId"] == server.client_id


def test_authlib_with_a_key(server: Server) -> None:
    pem = server.pem()
    endpoint = f"{server.url}/oauth2/token"
    session = AuthlibSession(
        server.key_id,
        ECKey.import_key(pem),
        token_endpoint_auth_method=PrivateKeyJWT(endpoint, alg="ES256"),
    )
    session.fetch_token(endpoint, grant_type="client_credentials")
    assert session.get(f"{server.url}/v1/me").json()["clientId"] == server.key_id


@pytest.mark.parametrize("way", ["default", "post", "basic", "key", "dpop"])
def test_openid_client_of_node(server: Server, openid_client: str, way: str) -> None:
    name, credential = server.client_id, server.secret
    if way in ("key", "dpop"):
        private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(server.key))
        registered = server.ledger.clients.by_id(server.key_id)
        assert registered is not None
        name, credential = server.key_id, json.dumps(private | {"kid": registered.keys[0].kid})
    script = CLIENTS / "openid_client.mjs"
    told = run("node", script, openid_client, server.url, name, way, credential)
    assert told["me"]["clientId"] == name
    assert told["type"] == ("dpop" if way == "dpop" else "bearer")  # it writes them small
    assert told["active"] == [True, False]


def test_openid_client_meets_the_strictest_profile(server: Server, openid_client: str) -> None:
    strict = ClientChanges(strictAudience=True, dpopRequired=True)
    server.ledger.clients.configure(server.key_id, strict, at=datetime.now(UTC), by="test")
    test_openid_client_of_node(server, openid_client, "dpop")


def test_delta_sharings_own_way_to_a_token(server: Server, delta_sharing_python: str) -> None:
    script = CLIENTS / "delta_sharing_token.py"
    told = run(delta_sharing_python, script, server.url, server.client_id, server.secret)
    assert told["clientId"] == server.client_id


def test_a_das_office_with_curl_and_openssl(server: Server, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(server.pem())
    command = CLIENTS / "das_token.sh", f"{server.url}/oauth2/token", server.key_id
    refused = run(*command, tmp_path / "key.pem")
    assert refused["error"] == "invalid_client", "without a jti only who is allowed to"
    allowed = ClientChanges(dasCompat=True)
    server.ledger.clients.configure(server.key_id, allowed, at=datetime.now(UTC), by="test")
    token = run(*command, tmp_path / "key.pem")
    assert (token["token_type"], token["scope"]) == ("Bearer", "das-api/das-access")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert httpx.get(f"{server.url}/v1/me", headers=headers).json()["clientId"] == server.key_id


def test_plain_httpx_and_head(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    form = {"grant_type": "client_credentials"}
    pair = (server.client_id, server.secret)
    token = httpx.post(f"{server.url}/oauth2/token", data=form, auth=pair).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    get = httpx.get(f"{server.url}/v1/offices", headers=headers)
    head = httpx.head(f"{server.url}/v1/offices", headers=headers)
    assert get.json()["items"][0]["officeCode"] == "LA"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))
    time.sleep(0.05)  # a server complains after it has answered
    assert [
        record.levelname for record in caplog.records if record.levelno >= logging.WARNING
    ] == []


def test_a_client_that_is_not_believed_gets_oauths_own_error(server: Server) -> None:
    answer = requests.post(
        f"{server.url}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(server.client_id, "wrong"),
        timeout=10,
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
