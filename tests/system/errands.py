"""What is done to a hub now and then: take back, read again, prepare, back up, restore, push.

Loaded by ``killing.py``, whose children run one errand each and may be killed in it. An errand
that is begun again ends what an earlier attempt left, or says that nothing is left to do.
"""

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from api.app import create_app
from api.service import Service
from connectors.backup.homes import back_up, restore
from connectors.cursors import Cursors
from connectors.exports.builder import drain
from connectors.exports.formats import Format
from connectors.exports.tasks import Task
from connectors.hub import Hub
from connectors.rebuilding import rebuild_serving
from connectors.receipts.journal import Journal
from connectors.settings import Settings
from connectors.sweeping import sweep
from ipregister import mapping, processing, profiles
from ipregister.authorizations import Grant
from ipregister.errors import InvalidRequest
from ipregister.model import Disclosure, Right
from pipelines.reprocessing import reprocess
from pipelines.reverting import revert

KH, MARKS, EVERYTHING = "KH", Right.TRADEMARKS, Grant(frozenset(Disclosure))
FORMATS = (Format.PARQUET, Format.NDJSON)
PUBLIC = "http://hub.example"
PUSHED = b"<pushed/>" * 2_000
PARTS = 3


def take_back(home: Path, at: datetime) -> None:
    """Revert the delivery that said last what most records are."""
    hub = Hub.open(Settings(home=home, workers=1))
    (delivery,) = (d for d in hub.ledger.deliveries.list() if d.order.startswith("2026-11-16"))
    revert(hub, delivery.deliveryId, by="Som", reason="a test file", at=at)
    hub.close()


def read_again(home: Path, at: datetime) -> None:
    """Reprocess with a mapping that says something else for the status."""
    load = profiles._load

    def changed(*path: str) -> dict[str, Any]:
        document = load(*path)
        if path == ("kh.yaml",):
            document["rights"]["trademarks"]["vocabularies"]["status"] = {"Filed": "lapsed"}
        return document

    profiles._load = changed
    for cache in (profiles.load_profile, mapping.mapping_for, processing.processing_version):
        cache.cache_clear()
    hub = Hub.open(Settings(home=home, workers=1))
    reprocess(hub, KH, MARKS, by="test", clock=lambda: at)
    hub.close()


def tasks(hub: Hub) -> list[Task]:
    """Return the files that ``prepare`` has made."""
    place = hub.serving.place(KH, MARKS, EVERYTHING)
    return [Task(KH, MARKS, place, kind) for kind in FORMATS]


def prepare(home: Path, _at: datetime) -> None:
    """Have two files prepared, and prepare them here."""
    hub = Hub.open(Settings(home=home))
    exports = hub.exports().store
    for task in tasks(hub):
        exports.ask(task)
    drain(hub.home.serving, exports, hub.home.receipts)
    hub.close()


def keep(home: Path, _at: datetime) -> None:
    """Write a backup beside the home; a second one may follow within the second."""
    hub, folder = Hub.open(Settings(home=home)), home.with_suffix(".backups")
    folder.mkdir(exist_ok=True)
    now = datetime.now(UTC)
    back_up(hub, folder / f"iphub-{now:%Y%m%dT%H%M%S.%fZ}.tar", at=now)
    hub.close()


def bring_back(home: Path, at: datetime, ledger_url: str | None = None) -> None:
    """Restore the backup of this hub into another home."""
    settings = Settings(home=home.with_suffix(".restored"), ledger_url=ledger_url)
    try:
        restore(home.with_name("kept.tar"), settings, at=at)
    except InvalidRequest as exc:
        if "is not empty: restore into a new directory" not in str(exc):
            raise


def rebuild(home: Path, at: datetime) -> None:
    """Make the serving store anew, as ``iphub rebuild-serving`` does."""
    hub = Hub.open(Settings(home=home))
    with hub.gate.closed():
        rebuild_serving(hub.register, hub.home.serving, at=at)
    hub.close()


def push(home: Path, at: datetime) -> None:
    """Send a large file in parts and name it in a package; push another package at once."""
    hub = Hub.open(Settings(home=home))
    service = Service(
        hub.ledger, hub.serving, Cursors(hub.home.pepper()), PUBLIC, lambda: at,
        hub=hub, receipts=Journal(hub.home.receipts),
    )  # fmt: skip
    (client,) = hub.ledger.clients.list()
    token = secrets.token_hex()
    hub.ledger.tokens.issue(
        client.clientId, sha256(token.encode()).digest(), at + timedelta(minutes=10), at, None
    )
    caller = TestClient(create_app(service), base_url=PUBLIC)
    caller.headers["Authorization"] = f"Bearer {token}"
    told = {"name": "b.xml", "sha256": sha256(PUSHED).hexdigest(), "bytes": len(PUSHED)}
    file = caller.get(f"/v1/files/{home.with_name('file-id').read_text()}").json()
    if file["state"] == "receiving":
        file = caller.post("/v1/files/upload-urls", json=told).json()
    while file["state"] == "receiving":
        start = int(caller.head(file["uploadUrl"]).headers["upload-offset"])
        end = min(start + len(PUSHED) // PARTS + 1, len(PUSHED))
        asked = {"Content-Range": f"bytes {start}-{end - 1}/{len(PUSHED)}"}
        sent = caller.put(file["uploadUrl"], content=PUSHED[start:end], headers=asked)
        file |= sent.raise_for_status().json()
    package = "/v1/offices/KH/trademarks/packages?kind=test"
    named = {"content": json.dumps({"fileIds": [file["fileId"]]})}
    for key, kind, body in (("a", "json", named), ("b", "xml", {"content": PUSHED[::-1]})):
        headers = {"Idempotency-Key": key, "Content-Type": f"application/{kind}"}
        caller.post(package, headers=headers, **body).raise_for_status()
    hub.close()


ERRANDS: dict[str, Callable[..., None]] = {
    "revert": take_back,
    "reprocess": read_again,
    "export": prepare,
    "backup": keep,
    "restore": bring_back,
    "rebuild": rebuild,
    "push": push,
}


def tidy(home: Path) -> None:
    """Sweep as the night does, days later: what is unfinished now is left over."""
    hub = Hub.open(Settings(home=home))
    now = datetime.now(UTC)
    sweep(hub, at=now + timedelta(seconds=1), abandoned=timedelta())
    hub.exports().store.maintain(now)
    hub.close()
