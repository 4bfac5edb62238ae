"""Rules that were found valid, kept from one process to the next.

Parsing some sixty rules and trying them on their table takes half a second, which is much of
a small update. Their SQL is kept under a digest of all it was made from: rules, table, columns,
the versions of parser and database, and the code of this package. So nothing kept is ever out of
date, and what cannot be read is made again.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import msgspec

from connectors.rules.query import RuleParts
from connectors.schema import staged_schema
from ipregister.model import Table
from ipregister.quality import Rule


class Remembered:
    """The SQL of these rules against this table, if an earlier process left it."""

    def __init__(self, directory: Path, rules: Sequence[Rule], table: Table) -> None:
        """Look in ``directory``, which ``write`` makes when it is missing."""
        digest = blake2b(digest_size=16)
        digest.update(f"duckdb {version('duckdb')} sqlglot {version('sqlglot')}".encode())
        digest.update(staged_schema(table.name).serialize())
        for model in (table, *rules):
            digest.update(model.model_dump_json().encode())
        for module in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(module.read_bytes())
        self.path = directory / f"{digest.hexdigest()}.json"

    def read(self) -> list[RuleParts] | None:
        """Return one entry per rule; ``None`` when there is nothing, or nothing whole."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=list[RuleParts])
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, parts: Sequence[RuleParts]) -> None:
        """Keep what was compiled; a full disk costs the next process half a second, no more."""
        unfinished = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_bytes(msgspec.json.encode(parts))
            unfinished.replace(self.path)
