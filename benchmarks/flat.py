"""Does a read cost the same of a million records and of ten? Both hubs alternate in one run.

    .venv/bin/python -m benchmarks.flat [--sizes 1000000 10000000] [--rounds 5] [--folder DIR]

Small invented trademarks of several offices are published in deliveries of 50,000, in a process
for each hub; then one worker of each is asked by one connection: single records, pages of 100,
filtered pages, and pages of 1,000 changes, all at random places of the register. Printed are
medians of the server's CPU and the ratio of the largest hub to the smallest. Ten million records
take 7 GB and a core for about eleven minutes; ``--folder`` keeps the hubs between runs.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec

from api.paging import bound_to
from api.parameters import FILTERS
from benchmarks.api import measure
from benchmarks.served import HOST, TOKEN, UNLIMITED, Server, serving
from connectors.cursors import Cursors
from connectors.hub import Hub
from connectors.serving_store import Publication, ServingRow
from connectors.settings import Settings
from ipregister.identifiers import record_id, record_key
from ipregister.model import Disclosure, Right

RIGHT = Right.TRADEMARKS
OFFICES = ("VN", "PH", "KH", "TH")
DELIVERY = 50_000
SAMPLES = 100
"""Addresses of each kind: enough to be all over the register."""
LIMIT_RATIO = 1.25
"""What two medians of one and the same hub may differ by on a machine with other work."""
STATUSES = ("registered", "pending", "ended")


def rows(office: str, first: int, count: int) -> Iterator[ServingRow]:
    """Yield small trademarks, about 350 bytes of JSON."""
    for number in range(first, first + count):
        application = f"{office}/4/{1990 + number % 35}/{number:08d}"
        name, status = _name(office, application), STATUSES[number % 3]
        core = (
            f'{{"recordId":"{name}","officeCode":"{office}","right":"trademarks",'
            f'"applicationNumber":"{application}","markVerbalElements":[{{"text":"MARK {number}"}}]'
        )
        parts = {
            Disclosure.CORE: core,
            Disclosure.STAKEHOLDER: ',"applicants":[{"names":[{"text":"Invented Trading"}]}]',
            Disclosure.STATUS_CHANGE: f',"status":"{status}"',
        }
        yield ServingRow(
            *(name, number, application, {key: part.encode() for key, part in parts.items()}),
            applicationNumber=application,
            status=status,
            classes=(("nice", str(1 + number % 45)),),
            searchText=f"mark {number}",
        )


def _name(office: str, application: str) -> str:
    return record_id(record_key(office, RIGHT, application))


def prepare(home: Path, count: int) -> None:
    """Make a hub with so many records, unless it is there already."""
    if not (home / "done").exists():
        hub, started = Hub.create(Settings(home=home)), time.perf_counter()
        now = datetime.now(UTC)
        client, _ = hub.ledger.clients.add(name="bench", third_party="Bench", at=now, by="bench")
        hub.ledger.clients.configure(client.clientId, UNLIMITED, at=now, by="bench")
        each = count // len(OFFICES)
        for office in OFFICES:
            hub.ledger.authorizations.set(office, "Bench", {RIGHT: ()}, None, now, "bench")
            for first in range(0, each, DELIVERY):
                part = rows(office, first, min(DELIVERY, each - first))
                hub.serving.publish(Publication(f"{office} {first}", office, RIGHT, now, part))
        hub.close()
        (home / "done").write_text(client.clientId)
        print(f"{count:,} records in {time.perf_counter() - started:,.0f} s", flush=True)


def let_in(home: Path) -> None:
    """Give the client its token: for the 15 minutes after all hubs are made."""
    hub, now = Hub.open(Settings(home=home)), datetime.now(UTC)
    digest, expires = sha256(TOKEN.encode()).digest(), now + timedelta(minutes=15)
    hub.ledger.tokens.revoke(digest, now)
    hub.ledger.tokens.issue((home / "done").read_text(), digest, expires, now)
    hub.close()


def addresses(home: Path, count: int) -> dict[str, list[str]]:
    """Return what is asked of a hub, by kind: the same number of places in each."""
    hub, chance = Hub.open(Settings(home=home)), Random(7)
    client, cursors = (home / "done").read_text(), Cursors(hub.home.pepper())
    each = count // len(OFFICES)
    deliveries = -(-each // DELIVERY)
    access = hub.ledger.access(sha256(TOKEN.encode()).digest(), datetime.now(UTC), HOST)
    assert access is not None  # ``let_in``
    kinds = ("point", "page", "filtered", "several", "narrow", "changes")
    found: dict[str, list[str]] = {name: [] for name in kinds}
    filters = {
        "page": {},
        "filtered": {"status": "registered"},
        "several": {"status": "registered,pending"},
        "narrow": {"niceClass": "7", "status": "registered"},
    }
    for _ in range(SAMPLES):
        office, number = chance.choice(OFFICES), chance.randrange(each)
        application = f"{office}/4/{1990 + number % 35}/{number:08d}"
        base, name = f"/v1/offices/{office}/{RIGHT}/records", _name(office, application)
        found["point"].append(f"{base}/{name}")
        for kind, values in filters.items():
            bound = bound_to(("records", client, office, RIGHT), values, FILTERS)
            cursor = cursors.seal(msgspec.json.encode((application, name)), bound)
            asked = "&".join(f"{key}={text}" for key, text in values.items())
            found[kind].append(f"{base}?{asked}{'&' if asked else ''}cursor={cursor}")
        space = (office, RIGHT)
        # Its own grant: under another the mark would be one of a right that was given anew.
        page = hub.serving.changes({space: access.grants[space]}, None, 1)
        passed = chance.randrange(deliveries)
        counts = tuple(passed if now else 0 for now in page.marks[0].counts)
        mark = msgspec.structs.replace(page.marks[0], counts=counts, record=name)
        sealed = cursors.seal(
            msgspec.msgpack.encode([mark]), ("changes", client, office, RIGHT, "")
        )
        found["changes"].append(
            f"/v1/changes?office={office}&right={RIGHT}&limit=1000&cursor={sealed}"
        )
    hub.close()
    return found


def main() -> None:
    """Fill the hubs, ask them in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        homes = {size: (asked.folder or Path(temporary)) / f"hub-{size}" for size in asked.sizes}
        servers, paths = dict[int, Server](), dict[int, dict[str, list[str]]]()
        with ProcessPoolExecutor(len(homes)) as pool:
            list(pool.map(prepare, homes.values(), homes))
        for size, home in homes.items():
            let_in(home)
            paths[size] = addresses(home, size)
        root = str(Path(__file__).parents[1])
        for port, (size, home) in enumerate(homes.items(), 18_811):
            environment = {"IPHUB_HOME": str(home), "PYTHONPATH": root}
            application = serving("iphub.serve:application", port, os.environ | environment)
            servers[size] = stack.enter_context(application)
        report(servers, paths, asked.rounds)


def report(servers: dict[int, Server], paths: dict[int, dict[str, list[str]]], rounds: int) -> None:
    """Ask every hub for every kind in turn, and print medians and ratios."""
    kinds = next(iter(paths.values())).keys()
    cpu = {(kind, size): list[float]() for kind in kinds for size in servers}
    for _ in range(rounds):
        for kind, size in cpu:
            server = servers[size]
            server.latencies, server.cpu = [], 0.0
            measure(server, paths[size][kind], SAMPLES)
            cpu[kind, size].append(server.cpu / SAMPLES * 1_000)
    for kind in kinds:
        taken = {size: statistics.median(cpu[kind, size]) for size in servers}
        told = ", ".join(f"{size:,}: {spent:.3f} ms" for size, spent in taken.items())
        ratio = taken[max(taken)] / taken[min(taken)]
        print(f"{kind:8} CPU {told}; {ratio:.2f} times (limit {LIMIT_RATIO})")


if __name__ == "__main__":
    main()
