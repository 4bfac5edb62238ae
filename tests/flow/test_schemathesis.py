"""Schemathesis attacks the API by its own description: no crash, no answer that is not described.

As a third party and as an office, behind the real server, always with the same requests: the
examples, every boundary of every parameter, some at random. ``make attack`` has ten times as
many of those (``IPHUB_ATTACK=all``).
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ALL = os.environ.get("IPHUB_ATTACK") == "all"
RANDOM_CASES = 40 if ALL else 2
SECONDS = 540

CONFIGURATION = """
hooks = "hooks.py"

[cache]
enabled = false

[generation]
deterministic = true
database = "none"

# Cursors, tickets and addresses of webhooks cannot be made up: 400 is an answer to good data,
# too, and so are the refusals of what does not exist.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "400", "401", "403", "404", "409", "410", "412", "415", "422"]

[parameters]
{parameters}

# Who may not decide learns nothing about what is missing.
[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "404", "428"]

[[operations]]
include-path = "/metrics"
# Open to who asks from the machine itself, as this does.
checks.ignored_auth.enabled = false
"""


HOOKS = """
import schemathesis

@schemathesis.hook
def before_load_schema(context, raw_schema):
    # Schemathesis reads application/jwt as JSON, which a compact JWS is not.
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                answer.get("content", {}).get("application/jwt", {}).pop("schema", None)
"""

# A method that is not there is ``test_hostile_requests``'s: OAuth's endpoints refuse GET with
# 400 in OAuth's own form, and Schemathesis knows no exceptions by path.
NOT_HERE = "unsupported_method"


def configured(attacked: Any, folder: Path) -> Path:
    """Write a configuration that names what is really there; return its path."""
    there = {
        "office": "KH",
        "share": "KH",
        "schema": "register",
        "thirdParty": "Ann",
        "recordId": attacked.record,
        "deliveryId": attacked.sent.deliveryId,
        "jobId": attacked.sent.deliveryId,
        "requestId": attacked.receipt,
    }
    lines = [f'"path.{name}" = "{value}"' for name, value in there.items()]
    (folder / "hooks.py").write_text(HOOKS)
    path = folder / "schemathesis.toml"
    path.write_text(CONFIGURATION.format(parameters="\n".join(lines)))
    return path


@pytest.mark.parametrize(
    "who", ["granted", "manager", *(["authorizer", "operator"] if ALL else [])]
)
def test_every_route_keeps_what_the_description_promises(
    attacked: Any, attack_tools: Any, tmp_path: Path, who: str
) -> None:
    program = str(Path(sys.executable).with_name("schemathesis"))
    with attack_tools.serving(attacked.app) as url:
        command = [
            *(program, "--no-color", "--config-file", str(configured(attacked, tmp_path))),
            *("run", f"{url}/openapi.json", "--url", url),
            *("--header", f"Authorization: Bearer {attacked.tokens[who]}"),
            *("--phases", "examples,coverage,fuzzing", "--seed", "1"),
            *("--max-examples", str(RANDOM_CASES), "--continue-on-failure"),
            *("--checks", "all", "--exclude-checks", NOT_HERE),
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=tmp_path
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-6_000:]
    routes = len(attacked.described())
    assert f"{routes} selected / {routes} total" in said
