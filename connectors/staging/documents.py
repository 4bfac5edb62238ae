"""One XML document of a delivery: its records taken one by one, its troubles explained.

A record that cannot be read is rejected with its line and its neighbours go on; a document
without records says why. How records are mapped is ``ipregister.mapping``, how they are
written is ``parts``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from connectors.faults import reach
from connectors.findings import code_of
from connectors.readers import xml
from connectors.readers.archives import Member
from connectors.readers.raw_xml import right_of
from connectors.readers.salvage import salvage
from connectors.readers.unread import OtherElement, OtherRecord, names_a_record, root_name
from connectors.readers.xml_guards import MalformedDocument
from connectors.staging.attachments import MISSING_IMAGE, Attachments
from connectors.staging.parts import PartWriter
from ipregister.errors import DeliveryError, OversizedDelivery
from ipregister.mapping import Mapped, RecordMapping
from ipregister.model import Right
from ipregister.record_tree import Issue, Unknown
from ipregister.report_words import count_of

NO_NUMBER, NOT_ST3 = "ALL.CMP.001", "ALL.CNF.004"

DECLARED = "declaredRecords"
"""Name of the header in which a document says how many records it has."""

NOT_WELL_FORMED, WRONG_OFFICE, WRONG_RIGHT = "ALL.PKG.004", "ALL.PKG.008", "ALL.PKG.009"
OTHER_FORMAT, DECLARED_COUNT = "ALL.PKG.019", "ALL.PKG.020"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One delivered file: the office's name for it and its bytes in landing."""

    name: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Part:
    """One slice of a delivery: documents ``first`` to ``last`` (excluded) of one file.

    ``pictures`` are the files of the delivery that hold attachments and no document.
    """

    office: str
    right: Right
    directory: Path
    number: int
    file: StagedFile
    first: int
    last: int
    bytes: int
    pictures: tuple[StagedFile, ...] = ()


@dataclass(slots=True)
class PartReport:
    """What one part held; counts of records, and what only the whole delivery can judge.

    ``unknown_in`` is the document each unknown element was met in first; ``used`` has each
    attachment that a record names, by the SHA-256 of its file (two may have one name) and its path.
    """

    read: int = 0
    rejected: int = 0
    unknown: Unknown = field(default_factory=dict)
    unknown_in: dict[str, str] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)
    declared: int | None = None


class DocumentReader:
    """Reads one document of a part."""

    def __init__(
        self,
        part: Part,
        mapping: RecordMapping,
        member: Member,
        attachments: Attachments,
        writer: PartWriter,
        report: PartReport,
        pictures: Callable[[], Sequence[Attachments]] = tuple,
    ) -> None:
        self.part, self.mapping, self.member = part, mapping, member
        self.attachments, self.writer, self.report = attachments, writer, report
        self.pictures = pictures
        self.file = "!".join(name for name in (part.file.name, member.path) if name)
        self.declared: int | None = None

    def read(self, source: BinaryIO) -> None:
        """Take the document's records.

        Raises:
            DeliveryError: not one record could be taken, or the document is not complete.
        """
        before, met = self.report.read, len(self.report.unknown)
        try:
            self._take_all(source)
        finally:
            # What is new stands at the end; most documents have nothing new.
            for path in islice(reversed(self.report.unknown), len(self.report.unknown) - met):
                self.report.unknown_in[path] = self.file
        self._compare_with_declared(self.report.read - before)

    def _take_all(self, source: BinaryIO) -> None:
        read = 0
        try:
            for record in xml.records(source, self.mapping.format):
                reach("stage.record")
                if isinstance(record, OtherRecord):
                    self._reject_other(record)
                    continue
                if isinstance(record, OtherElement):
                    self.report.unknown.setdefault(record.path, [0, record.line])[0] += 1
                    continue
                self._take(record)
                read += 1
        except (MalformedDocument, OversizedDelivery) as exc:
            self._salvage(source, read, exc)
            return
        if read == 0:
            self._explain_emptiness(source)

    def _salvage(self, source: BinaryIO, already_read: int, trouble: DeliveryError) -> None:
        """Take the good records of a broken document, and say what is wrong with it."""
        found, rejected = already_read, self.report.rejected
        scratch = self.part.directory
        for record in salvage(source, self.mapping.format, already_read, scratch):
            self._take(record)
            found += 1
        if found == 0:
            raise trouble
        if self.report.rejected == rejected:  # the fault is none of the records'
            self._note_trouble(trouble)

    def _note_trouble(self, trouble: DeliveryError) -> None:
        code = NOT_WELL_FORMED if isinstance(trouble, MalformedDocument) else code_of(trouble)
        line = getattr(trouble, "line", None)
        self.writer.note(code, file=self.file, message=trouble.detail, line=line)

    def reject(self, trouble: DeliveryError) -> None:
        """Count and explain a document, or the rest of one, that cannot be read."""
        self._note_trouble(trouble)
        self.report.read += 1
        self.report.rejected += 1

    def _take(self, record: xml.Record | xml.Rejected) -> None:
        self.report.read += 1
        if isinstance(record, xml.Rejected):
            self.report.rejected += 1
            message = f"This record is not well-formed and was left out: {record.reason}."
            self.writer.note(NOT_WELL_FORMED, file=self.file, line=record.line, message=message)
            return
        self._note_declared(record.header)
        mapped = self.mapping.apply(record.element, record.header, self.report.unknown)
        line = record.element.sourceline
        if mapped.key is None:
            self.report.rejected += 1
            self.writer.note(NO_NUMBER, file=self.file, line=line)
            return
        self._check_office(mapped)
        if not mapped.is_removal:
            self._attach(mapped)
        source = {
            "file": self.part.file.name,
            "sha256": self.part.file.sha256,
            "member": self.member.path,
            "line": line,
        }
        self.writer.record(self.mapping, mapped, source, self.file)

    def _reject_other(self, other: OtherRecord) -> None:
        """Count and explain what stands beside the records and names one without being one."""
        self.report.read += 1
        self.report.rejected += 1
        message = (
            f"The element {other.name} with the number {other.number} is no record here and was "
            f"left out; this office's {self.part.right} come as {self.mapping.format.record}."
        )
        self.writer.note(
            OTHER_FORMAT,
            file=self.file,
            line=other.line,
            applicationNumber=other.number,
            elementPath=other.name,
            value=other.name,
            message=message,
        )

    def _note_declared(self, header: Mapping[str, str]) -> None:
        """Add up how many records the documents say they have, where they say so."""
        said = header.get(DECLARED, "").strip()
        if self.declared is None and said.isascii() and said.isdigit():
            self.declared = int(said)
            self.report.declared = (self.report.declared or 0) + self.declared

    def _compare_with_declared(self, read: int) -> None:
        if self.declared is None or self.declared == read:
            return
        message = (
            f"The file says it has {count_of(self.declared, 'record')}, and {read:,} are in it."
        )
        self.writer.note(DECLARED_COUNT, file=self.file, value=str(self.declared), message=message)

    def _check_office(self, mapped: Mapped) -> None:
        written = mapped.row.setdefault("officeCode", self.part.office)
        mapped.row["right"] = str(self.part.right)
        if written != self.part.office:
            line, code = mapped.lines.get("officeCode"), WRONG_OFFICE
            if written.upper() == self.part.office:  # its own code, in small letters
                mapped.row["officeCode"], code = self.part.office, NOT_ST3
            mapped.issues.append(Issue(code, "officeCode", written, line, self.part.office))

    def _attach(self, mapped: Mapped) -> None:
        for path, item, line in _named_files(mapped):
            broken = self.attachments.resolve(self.member, item)
            if broken == MISSING_IMAGE:
                broken = self._resolve_elsewhere(item)
            if broken:
                mapped.issues.append(Issue(broken, path, item["fileName"], line))

    def _resolve_elsewhere(self, item: dict[str, Any]) -> str | None:
        """Look a file up in what holds nothing but pictures; in two of them is in none."""
        holding = [each for each in self.pictures() if each.has(self.member, item)]
        return holding[0].resolve(self.member, item) if len(holding) == 1 else MISSING_IMAGE

    def _explain_emptiness(self, source: BinaryIO) -> None:
        """Say why a document has no records: another right's, an unknown format, or none."""
        written_for = right_of(source)
        if written_for is not None and written_for is not self.part.right:
            self.report.read += 1
            self.report.rejected += 1
            message = f"The file holds {written_for}; the folder is for {self.part.right}."
            self.writer.note(
                WRONG_RIGHT, file=self.file, line=1, value=str(written_for), message=message
            )
        elif written_for is None or names_a_record(source):
            root = root_name(source)
            wanted = self.mapping.format.record
            self.report.read += 1
            self.report.rejected += 1
            message = (
                f"No record found: the root element is {root}; "
                f"this office's {self.part.right} come as {wanted}."
            )
            self.writer.note(OTHER_FORMAT, file=self.file, line=1, value=root, message=message)


def _named_files(mapped: Mapped) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    """Yield what a record names: canonical path, item, line."""
    row, lines = mapped.row, mapped.lines
    for name in ("images", "recordings", "documents"):
        for index, item in enumerate(row.get(name, ())):
            if item.get("fileName"):
                yield f"{name}[{index}].fileName", item, lines[name][index].get("fileName")
    for number, design in enumerate(row.get("designs", ())):
        for index, view in enumerate(design.get("views", ())):
            if view.get("fileName"):
                line = lines["designs"][number]["views"][index].get("fileName")
                yield f"designs[{number}].views[{index}].fileName", view, line
