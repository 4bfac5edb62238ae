"""Deliveries in any order of arrival end in one register, one answer and the same receipts.

Histories are staged rows and not XML, many small ones side by side in every delivery, and
all arrivals of the deliveries share their beginnings; so thousands of cases cost seconds. The
oracle knows nothing but a dictionary per record and the deliveries in the office's order.
"""

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import connectors.log_rows as log_rows
import connectors.schema as schema
import connectors.served_rows as served_rows
from connectors.changes import Changes
from connectors.publication import append_to_register, publish_to_serving
from connectors.register.difference import MANIFEST, difference
from connectors.register.incoming import Arriving
from connectors.register.manifests import Effective, keep_manifest
from connectors.register.store import RegisterStore
from connectors.serving_store import START, Filters, ServingStore
from ipregister.authorizations import Grant
from ipregister.deliveries import Kind, Receipt
from ipregister.model import Disclosure, Right

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE
MARKS, OFFICE = Right.TRADEMARKS, "KH"
EVERYTHING = Grant(frozenset(Disclosure))
HISTORIES = 40
"""Small histories side by side; each has three records of its own."""
AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
GONE = ""


@dataclass(frozen=True)
class Statement:
    """What a delivery says of a record: its content, or that it is gone; critical or not."""

    record: str
    content: str
    critical: bool = False


@dataclass(frozen=True)
class Sent:
    """A delivery; names sort as the office's order does."""

    name: str
    kind: Kind
    statements: tuple[Statement, ...]


class Oracle:
    """What the office's deliveries mean, one after the other in its own order."""

    def __init__(self, history: list[Sent]) -> None:
        self.latest: dict[str, tuple[str, bool] | None] = {}
        self.visible: dict[str, str] = {}
        self.receipts: dict[str, Receipt] = {}
        for sent in sorted(history, key=lambda each: each.name):
            self.receipts[sent.name] = self.take(sent)

    def take(self, sent: Sent) -> Receipt:
        last = {each.record: each for each in sent.statements}
        counts: Counter[str] = Counter(recordsRead=len(sent.statements))
        counts["duplicates"] = len(sent.statements) - len(last)
        for record, said in last.items():
            contents = {each.content for each in sent.statements if each.record == record}
            held = said.critical or (sent.kind is FULL and len(contents) > 1)
            counts["held"] += held
            if said.content == GONE:
                if not held:
                    was_there = self.remove(record)
                    counts["vanished"] += was_there
                    counts["accepted" if was_there else "unchanged"] += 1
                continue
            if record not in self.latest:
                op = "inserted"
            elif self.latest[record] is None:
                op = "restored"
            else:
                op = "unchanged" if self.latest[record] == (said.content, held) else "updated"
            self.latest[record] = (said.content, held)
            if not held:
                self.visible[record] = said.content
                counts[op] += 1
                counts["accepted"] += op != "unchanged"
        if sent.kind is FULL:
            counts["vanished"] += sum(self.remove(r) for r in list(self.latest) if r not in last)
        return Receipt(**counts)

    def remove(self, record: str) -> bool:
        was_there = self.latest.get(record) is not None
        if was_there:
            self.latest[record] = None
            self.visible.pop(record, None)
        return was_there


@dataclass(frozen=True)
class World:
    """A register and a serving store that some deliveries reached, in some order."""

    root: Path
    arrived: tuple[Sent, ...] = ()
    receipts: tuple[tuple[str, Receipt], ...] = ()
    changes: int = 1

    @property
    def store(self) -> RegisterStore:
        return RegisterStore(self.root / "register")

    def then(self, sent: Sent, root: Path, *, fold: bool) -> "World":
        """Return a copy of this world that one more delivery reached."""
        if self.root.exists():
            shutil.copytree(self.root, root)
        root.mkdir(exist_ok=True)
        store, serving = RegisterStore(root / "register"), ServingStore(root / "serving.sqlite")
        newer = sorted((s for s in self.arrived if s.name > sent.name), key=lambda each: each.name)
        rows, removals = staged(sent, root.parent / "staged")
        arriving = Arriving(
            OFFICE, MARKS, sent.kind, rows=rows, removals=removals, delivery_id=sent.name,
            order=sent.name, newer=[
                Effective(each.name, each.kind, each.name, store.manifest(MARKS, OFFICE, each.name))
                for each in newer
            ],
        )  # fmt: skip
        found = difference(store, arriving, root / "plan.parquet")
        keep_manifest(root / MANIFEST, store.manifest(MARKS, OFFICE, sent.name))
        if found.changes:
            changes = Changes(sent.name, OFFICE, MARKS, found.plan, rows, self.changes, AT)
            append_to_register(store, changes)
            publish_to_serving(store, serving, changes, AT)
        if fold:
            store.fold(MARKS, OFFICE)
        receipts = dict(self.receipts) | {sent.name: found.receipt}
        for name, change in found.amendments.items():
            before = asdict(receipts[name])
            receipts[name] = Receipt(**{n: before[n] + change.get(n, 0) for n in before})
        serving.close()
        after = self.changes + found.changes
        return World(root, (*self.arrived, sent), tuple(receipts.items()), after)

    def check(self, oracle: Oracle) -> None:
        """Compare everything anybody can read with the oracle."""
        assert dict(self.receipts) == oracle.receipts
        assert all(receipt.adds_up() for receipt in oracle.receipts.values())
        latest, visible = self.registered()
        assert latest == {r: state for r, state in oracle.latest.items() if state}
        assert visible == oracle.visible
        serving = ServingStore(self.root / "serving.sqlite")
        page = serving.page(OFFICE, MARKS, EVERYTHING, Filters(), after=START, limit=10_000)
        served = {json.loads(body)["recordId"]: body for body in page.bodies}
        assert served == {record: rendered(record, c) for record, c in oracle.visible.items()}
        replayed: dict[str, bytes] = {}
        for item in serving.changes({(OFFICE, MARKS): EVERYTHING}, None, 10_000).items:
            change = json.loads(item)
            replayed.pop(change["recordId"], None)
            if change["changeType"] == "upsert":
                replayed[change["recordId"]] = json.dumps(change["record"]).encode()
        assert set(replayed) == set(served)
        serving.close()

    def registered(self) -> tuple[dict[str, tuple[str, bool]], dict[str, str]]:
        """Return the latest and the visible contents the register itself knows."""
        with self.store.connect() as con:
            self.store.define_history(con, MARKS, OFFICE, "history")
            rows = con.execute(
                "SELECT recordId, op, contentHash, held FROM history "
                "ORDER BY officeOrder, changeSeq"
            ).fetchall()
            self.store.define_visible(con, MARKS, "visible")
            seen = con.execute("SELECT recordId, contentHash FROM visible").fetchall()
        latest = {record: (op, content, held) for record, op, content, held in rows}
        there = {r: (content, held) for r, (op, content, held) in latest.items() if op != "vanish"}
        return there, dict(seen)


def rendered(record: str, content: str) -> bytes:
    return f'{{"recordId":"{record}","content":"{content}"}}'.encode()


def staged(sent: Sent, directory: Path) -> tuple[list[Path], list[Path]]:
    """Write what staging would; once per delivery."""
    rows, removals = directory / f"{sent.name}.parquet", directory / f"{sent.name}-removed.parquet"
    if not rows.exists():
        directory.mkdir(parents=True, exist_ok=True)
        every = [staged_row(place, said) for place, said in enumerate(sent.statements)]
        kept = [row for row in every if row["contentHash"] != GONE]
        gone = [row for row in every if row["contentHash"] == GONE]
        pq.write_table(pa.Table.from_pylist(kept, schema=schema.staged_schema(MARKS)), rows)
        pq.write_table(pa.Table.from_pylist(gone, schema=schema.REMOVALS), removals)
    return [rows], [removals]


def staged_row(place: int, said: Statement) -> dict[str, Any]:
    return {
        "recordId": said.record,
        "recordKey": f"KH/trademarks/{said.record}",
        "applicationNumber": said.record,
        "contentHash": said.content,
        "classHashes": {name: said.content for name in Disclosure},
        "source": {"file": "a.xml", "sha256": "", "member": "", "line": place},
        "sourceFile": "a.xml",
        "sourceLine": place,
        "critical": said.critical,
        "part": 1,
        "sequence": place,
        **{schema.fragment_column(name): b"" for name in Disclosure},
        "fragment_core": rendered(said.record, said.content)[:-1],
    }


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A register of five columns: what is proven here does not depend on the other 400."""
    wanted = ("recordId", "applicationNumber", "applicationDate", "registrationNumber", "status")
    fields = tuple(each for each in schema.canonical_fields(MARKS) if each.name in wanted)
    for module in (schema, log_rows):
        monkeypatch.setattr(module, "canonical_fields", lambda _right: fields)
    nothing = dict.fromkeys(Right, "NULL")
    monkeypatch.setattr(served_rows, "CLASSES", nothing)
    monkeypatch.setattr(served_rows, "WORDS", nothing)
    monkeypatch.setattr(log_rows, "PIECE_RECORDS", 1)  # boundaries wherever there can be one
    monkeypatch.setattr(served_rows, "row_facts", lambda *_: "NULL, NULL, false, NULL, NULL, NULL")
    caches = (schema.staged_schema, schema.log_schema)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


def histories(seed: int, kinds: list[Kind]) -> list[Sent]:
    """Return deliveries of many small histories: two of one day among them, some empty."""
    chance = random.Random(seed)
    sent = []
    for day, kind in enumerate(kinds):
        statements = []
        for history in range(HISTORIES):
            pool = [f"H{history:02}R{n}" for n in range(3)]
            for record in chance.choices(pool, k=chance.choice([0, 1, 2, 3, 3, 4])):
                content = chance.choice(["A", "A", "B", "B", "C", GONE])
                statements.append(Statement(record, content, chance.random() < 0.2))
        # The second and the third are of one day: arrival was written into their order.
        sent.append(Sent(f"2026-11-0{max(1, day)} {day}", kind, tuple(statements)))
    return sent


def arrivals(sent: list[Sent], directory: Path, chance: random.Random) -> Iterator[World]:
    """Yield a world for every order in which the deliveries can arrive, beginnings shared."""
    worlds: dict[tuple[Sent, ...], World] = {(): World(directory / "nowhere")}
    for order in permutations(sent):
        for reached in range(1, len(order) + 1):
            before, here = order[: reached - 1], order[:reached]
            if here not in worlds:
                root = directory / f"world-{len(worlds)}"
                worlds[here] = worlds[before].then(here[-1], root, fold=chance.random() < 0.2)
        yield worlds[order]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("seed", "kinds"), [(1, [FULL, UPDATE, UPDATE, FULL]), (2, [UPDATE, FULL, FULL, UPDATE])]
)
def test_any_arrival_ends_in_the_same_register_answers_and_receipts(
    seed: int, kinds: list[Kind], tmp_path: Path
) -> None:
    sent = histories(seed, kinds)
    oracle = Oracle(sent)
    seen = 0
    for world in arrivals(sent, tmp_path, random.Random(seed)):
        world.check(oracle)
        seen += HISTORIES
    assert seen == 24 * HISTORIES
