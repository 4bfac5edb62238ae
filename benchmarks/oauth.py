"""The token endpoint against raw cryptography, and whether its refusals tell who exists.

    .venv/bin/python -m benchmarks.oauth [--tries 2000]

In process, without HTTP: CPU of a token by signed assertion against one ES256 signature and
one verification, and medians of a refusal for a known and an unknown client, by secret and by
assertion, alternating. Limits of the specification: 4 times raw, 10 % difference.
"""

import argparse
import asyncio
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import structlog
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec

from api.app import create_app
from connectors.hub import Hub
from connectors.settings import Settings
from iphub.serve import service

PUBLIC = "http://127.0.0.1:8000"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CPU_LIMIT, TIME_LIMIT_PERCENT = 4.0, 10


def post(loop: asyncio.AbstractEventLoop, app: Any, form: dict[str, str]) -> int:
    """Ask for a token, on a loop as a server has it; return the status."""
    body, statuses = urlencode(form).encode(), []
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"}
    scope |= {"path": "/oauth2/token", "raw_path": b"/oauth2/token", "query_string": b""}
    scope |= {"root_path": "", "scheme": "http", "server": ("127.0.0.1", 8000), "state": {}}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    asked = {**scope, "client": ("127.0.0.1", 1), "headers": headers}
    loop.run_until_complete(app(asked, receive, send))
    return int(statuses[0])


def cpu(work: Callable[[], object], tries: int) -> float:
    """Return the median CPU of one piece of work, in microseconds."""
    taken = []
    for _ in range(tries):
        started = time.process_time_ns()
        work()
        taken.append((time.process_time_ns() - started) / 1_000)
    return statistics.median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=2_000)
    tries = parser.parse_args().tries
    # Refusals are logged; a terminal would be measured with them.
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    with tempfile.TemporaryDirectory() as folder:
        hub = Hub.create(Settings(home=Path(folder) / "hub"))
        # Guessing would end after ten: what is compared is what is looked at.
        app = create_app(dataclasses.replace(service(hub, PUBLIC), limits=None))
        loop = uvloop.new_event_loop()
        measure(partial(post, loop, app), hub, tries)
        loop.close()
        hub.close()


def measure(post: Callable[[dict[str, str]], int], hub: Hub, tries: int) -> None:
    """Print what tokens cost and whether refusals differ."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    public = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())
    add = hub.ledger.clients.add
    signer, _ = add(name="a", third_party="A", public_jwk=public, at=now, by="bench")
    known, _ = add(name="b", third_party="A", at=now, by="bench")
    number = iter(range(10**9))

    def assertion(client: str, audience: str = PUBLIC) -> dict[str, str]:
        claims = {"iss": client, "sub": client, "aud": audience, "jti": str(next(number))}
        signed = jwt.encode(claims | {"exp": int(time.time()) + 600}, key, "ES256")
        form = {"client_assertion_type": ASSERTION, "client_assertion": signed}
        return form | {"grant_type": "client_credentials"}

    jwk, sample = jwt.PyJWK.from_json(public), assertion(signer.clientId)["client_assertion"]
    unchecked: Any = {"verify_aud": False}
    raw = cpu(lambda: jwt.decode(sample, jwk, algorithms=["ES256"], options=unchecked), tries)
    raw += cpu(lambda: jwt.encode({"a": 1}, key, "ES256"), tries)
    forms = iter([assertion(signer.clientId) for _ in range(tries)])
    token = cpu(lambda: post(next(forms)), tries)
    print(f"token by assertion {token:.0f} us CPU, raw {raw:.0f} us: {token / raw:.2f} x", end="")
    print(f" (limit {CPU_LIMIT})")
    unknown = "tp-0000000000000000"
    ways: dict[str, Callable[[str], dict[str, str]]] = {
        "secret": lambda name: {
            "grant_type": "client_credentials",
            "client_id": name,
            "client_secret": "guess",
        },
        # Somebody else's key: all is checked up to the signature.
        "assertion": lambda name: assertion(name),
    }
    for way, form in ways.items():
        names = [known.clientId if way == "secret" else signer.clientId, unknown]
        key = ec.generate_private_key(ec.SECP256R1())
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(tries):
            for name in names:
                sent, started = form(name), time.perf_counter_ns()
                if post(sent) != 401:
                    raise SystemExit("a wrong credential was believed")
                times[name].append((time.perf_counter_ns() - started) / 1_000)
        one, other = (statistics.median(times[name]) for name in names)
        difference = abs(one - other) / max(one, other) * 100
        print(f"refusal by {way}: known {one:.0f} us, unknown {other:.0f} us, ", end="")
        print(f"{difference:.1f} % apart (limit {TIME_LIMIT_PERCENT} %)")


if __name__ == "__main__":
    main()
