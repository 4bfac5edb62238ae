"""What a generated demo tree holds: its files, and the faults planted in it.

Facts about one run of the generator; how faults are made is ``faults``, how files are
written is ``tree``.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ipregister.deliveries import Kind
from ipregister.model import Right


@dataclass(frozen=True, slots=True)
class DemoFile:
    """One file of the tree: path relative to its root, and the records inside."""

    path: str
    office: str
    right: Right
    kind: Kind
    records: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault planted on purpose and the rules that must find it.

    ``member`` is the path inside the archive, ``record`` the application number as it is
    written; both are empty for a fault of the whole file. ``rules`` are all expected, more
    may follow from them (a date nobody can read is also a missing date).
    """

    name: str
    office: str
    right: Right
    path: str
    member: str
    record: str
    rules: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class DemoManifest:
    """Everything one run of the generator wrote."""

    root: Path
    seed: int
    files: tuple[DemoFile, ...]
    faults: tuple[Fault, ...]
    withdrawn: tuple[str, ...]
    """``office/right/number`` of the records withdrawn in the updates."""

    def document(self) -> dict[str, Any]:
        """Return the manifest as one JSON document, without the machine's own path."""
        return {
            "seed": self.seed,
            "files": [asdict(file) for file in self.files],
            "faults": [asdict(fault) for fault in self.faults],
            "withdrawn": list(self.withdrawn),
        }


def fault_table(faults: Iterable[Fault]) -> str:
    """Return the faults as the Markdown table that ``docs/demo.md`` shows."""
    lines = [
        "| Office | File, and member of the archive | Record | What is wrong | Found by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for fault in faults:
        place = f"`{fault.path}`" + (f" `{fault.member}`" if fault.member else "")
        record = f"`{fault.record}`" if fault.record else "(whole file)"
        rules = ", ".join(f"`{rule}`" for rule in fault.rules)
        lines.append(f"| {fault.office} | {place} | {record} | {fault.what} | {rules} |")
    return "\n".join(lines) + "\n"
