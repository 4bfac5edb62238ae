"""All stores of a hub at one instant, held still while they are copied.

The gate is closed for the milliseconds in which every store is pinned: ledger and serving
store by an open read transaction, the register by the versions of its tables, decided
deliveries by hard links. Copying afterwards disturbs nobody. How copies are kept in one file
is ``archive``.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from connectors.faults import reach
from connectors.home import Home
from connectors.hub import Hub
from connectors.ledger.copying import pinned_ledger
from connectors.receipts.journal import journals
from connectors.register.cutting import files_now
from connectors.sqlite_copies import copy_to, pinned

LEDGER, SERVING = "ledger.sqlite", "serving.sqlite"
"""Names in a backup; a ledger on PostgreSQL is kept as a SQLite file too."""

LEFT_OUT = (
    *("dagster", "counting", "exports", "staging", "ledger-proofs"),
    *("register", "findings", LEDGER, SERVING),
)
"""Entries of a home that are not copied as they stand. Dagster's own state and what the API
counts by the minute are not needed, nor are the proofs used within the last minutes, whose file
would be copied while it is written; prepared files are made again; a delivery that is only being
read starts again; the others are cut on their own."""

DECISIONS = ("publication.json", "reversal.json")
"""Beside what a delivery needs to be published, or taken back, exactly as it was decided."""

SCRATCH = ".backup-"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a backup: its name in the home, where its bytes are now.

    What is not ``required`` may disappear while it is copied (a prepared export that expires).
    """

    name: str
    path: Path
    required: bool = True


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where everything is at the instant."""

    home: Home
    scratch: Path
    decided: list[Path]
    serving: sqlite3.Connection
    copy_ledger: Callable[[Path], None]
    register: list[Path]


@contextmanager
def cut(hub: Hub) -> Iterator[Iterator[Entry]]:
    """Hold all stores at one instant; lend their files, to be copied in the order given."""
    home = hub.home
    with ExitStack() as held:
        scratch = Path(mkdtemp(prefix=SCRATCH, dir=home.root))
        held.callback(shutil.rmtree, scratch, ignore_errors=True)
        reach("backup.begun")
        with hub.gate.closed():
            decided = _link_decided(home, scratch)
            reach("backup.linked")
            serving = held.enter_context(pinned(home.serving, "publication"))
            ledger = held.enter_context(pinned_ledger(hub.ledger_url))
            register = files_now(hub.register.root)
            reach("backup.pinned")
        yield _entries(_Cut(home, scratch, decided, serving, ledger, register))


def _entries(held: _Cut) -> Iterator[Entry]:
    root = held.home.root
    ledger, serving = held.scratch / LEDGER, held.scratch / SERVING
    held.copy_ledger(ledger)
    reach("backup.ledger")
    kept = _with_findings(ledger) | {path.parent.name for path in held.decided}
    yield Entry(LEDGER, ledger)
    ledger.unlink()
    copy_to(held.serving, serving)
    reach("backup.serving")
    yield Entry(SERVING, serving)
    serving.unlink()
    for path in held.decided:
        yield Entry(f"staging/{path.relative_to(held.scratch)}", path)
    for path in held.register:
        yield Entry(str(path.relative_to(root)), path)
    for path in map(held.home.findings, sorted(kept)):
        if path.exists():
            yield Entry(str(path.relative_to(root)), path)
    for path in _link_journals(held.home, held.scratch):
        yield Entry(str(path.relative_to(held.scratch)), path, required=False)
    for path in _others(root):
        name = path.relative_to(root)
        if path.parent == journals(held.home.receipts):
            continue
        yield Entry(str(name), path, required=name.parts[0] in ("landing", "keys"))


def _link_decided(home: Home, scratch: Path) -> list[Path]:
    """Link what is needed to publish decided deliveries exactly as they were decided."""
    linked = []
    for decision in (path for name in DECISIONS for path in home.root.glob(f"staging/*/{name}")):
        target = scratch / decision.parent.name
        target.mkdir()
        # One that is just being cleared away: the ledger, pinned later, calls it published.
        with suppress(FileNotFoundError):
            for path in decision.parent.iterdir():
                if path.is_file():
                    _link(path, target / path.name)
                    linked.append(target / path.name)
    return sorted(linked)


def _link_journals(home: Home, scratch: Path) -> list[Path]:
    """Link the journals of receipts: sealed meanwhile, they would go before they are copied.

    One that has gone already is in a seal, and those are only listed after this.
    """
    target = journals(scratch / home.receipts.relative_to(home.root))
    target.mkdir(parents=True)
    for path in sorted(journals(home.receipts).glob("*")):
        with suppress(FileNotFoundError):
            _link(path, target / path.name)
    return sorted(target.iterdir())


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(path, target)


def _with_findings(ledger: Path) -> set[str]:
    """Return the deliveries whose findings are final; those of others are made again."""
    with closing(sqlite3.connect(ledger)) as connection:
        rows = connection.execute("SELECT delivery_id FROM deliveries WHERE receipt IS NOT NULL")
        return {str(name) for (name,) in rows}


def _others(root: Path) -> Iterator[Path]:
    """Yield what is copied as it stands: landing, keys, and what other parts keep here."""
    for top in sorted(root.iterdir()):
        if top.name.startswith((".", *LEFT_OUT)):
            continue
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.is_file() and not path.is_symlink() and not hidden:
                yield path
