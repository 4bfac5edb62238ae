"""A delivery's files become canonical rows in Parquet, written but visible to no one.

A delivery is cut into parts (a slice of an archive's documents, or one document); a part is
read, mapped and written by one process, so parts run side by side. The same files and
profile give the same rows: nothing here reads the clock. Judging rows by the rules and
publishing them come later.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from connectors.faults import reach
from connectors.findings import FindingBook, code_of
from connectors.readers.archives import DamagedMember, Delivered, Member
from connectors.staged_rows import write_columns
from connectors.staging.attachments import Attachments, is_data, refuse_other_data
from connectors.staging.documents import WRONG_OFFICE, DocumentReader, Part, PartReport, StagedFile
from connectors.staging.parts import PartWriter, cycle_collector_paused
from connectors.staging.pool import POOL_ABOVE_BYTES, reading_pool
from ipregister.errors import DeliveryError
from ipregister.mapping import mapping_for
from ipregister.model import Right
from ipregister.profiles import load_profile

__all__ = ["WRONG_OFFICE", "Staged", "StagedFile", "stage"]

PART_BYTES = 16 << 20
"""XML per part, in bytes: some 3,000 records, half a second of work."""

NO_RECORDS, UNKNOWN_ELEMENT = "ALL.PKG.010", "ALL.PKG.015"
UNUSED_IMAGE, UNREAD_DATA = "ALL.PKG.012", "ALL.PKG.018"


@dataclass(slots=True)
class Staged:
    """A staged delivery: counts of records, and its Parquet files in delivery order.

    ``rows`` are ``connectors.schema.staged_schema`` as ``staged_rows`` reads them, ``removals`` are
    ``connectors.schema.REMOVALS``, ``findings`` are ``connectors.schema.FINDINGS``. A file that
    cannot be read counts as one rejected record. ``declared`` is how many the documents say
    they have, where they do.
    """

    directory: Path
    read: int = 0
    rejected: int = 0
    declared: int | None = None
    troubles: list[DeliveryError] = field(default_factory=list)

    @property
    def rows(self) -> Sequence[Path]:
        """Return the files of canonical rows."""
        return sorted(self.directory.glob("rows-*.parquet"))

    @property
    def removals(self) -> Sequence[Path]:
        """Return the files of records the delivery says to delete."""
        return sorted(self.directory.glob("removals-*.parquet"))

    @property
    def findings(self) -> Sequence[Path]:
        """Return the files of findings met while reading and mapping."""
        return sorted(self.directory.glob("findings-*.parquet"))


def stage(
    office: str, right: Right, files: Sequence[StagedFile], directory: Path, *, workers: int = 1
) -> Staged:
    """Read, map and write the records of one delivery.

    Args:
        office: ST.3 code of the office whose folder or credentials the files came by.
        right: what the folder is for.
        files: the delivery's members, in the office's order.
        directory: where to write; made when missing, must be empty.
        workers: processes to use for a large delivery.

    Returns:
        What was read. One bad file, document or record never stops its neighbours.

    Raises:
        ConfigurationError: the office has no valid profile for this right.
    """
    mapping_for(office, right)
    directory.mkdir(parents=True, exist_ok=True)
    write_columns(directory, right)
    staged = Staged(directory)
    parts: list[Part] = []
    pictures: list[StagedFile] = []
    attachments: dict[StagedFile, list[str]] = {}
    book = FindingBook(load_profile(office).rules)
    total = PartReport()
    with (
        cycle_collector_paused(),
        PartWriter(directory, right, 0, book) as notes,
        closing(_OpenFiles()) as opened,
    ):
        for file in files:
            try:
                delivered = opened.file(file).delivered
                refuse_other_data(delivered)
                attachments[file] = [member.path for member in delivered.attachments]
                if delivered.attachments and not delivered.documents:
                    pictures.append(file)
                reach("stage.opened")
                for piece in slices(delivered.documents):
                    parts.append(Part(office, right, directory, len(parts) + 1, file, *piece))
            except DeliveryError as exc:
                notes.note(code_of(exc), file=file.name, message=exc.detail)
                staged.troubles.append(exc)
                total.read += 1
                total.rejected += 1
        if pictures:
            parts = [replace(part, pictures=tuple(pictures)) for part in parts]
        for report in _run(parts, workers, opened):
            _add(total, report)
        _note_whole_delivery(notes, total, files)
        _note_unused(notes, total, attachments, files, opened)
    staged.read, staged.rejected = total.read, total.rejected
    staged.declared = total.declared
    return staged


class _OpenFiles:
    """The file read last, and the archives of pictures from the first image looked for in them.

    Opening a large archive takes seconds, and its parts follow one another.
    """

    def __init__(self) -> None:
        self._file: StagedFile | None = None
        self._attachments: Attachments | None = None
        self._pictures: dict[StagedFile, Attachments] = {}

    def file(self, file: StagedFile) -> Attachments:
        if self._attachments is None or self._file != file:
            self._close_file()
            self._attachments, self._file = Attachments(Delivered(file.path)), file
        return self._attachments

    def pictures(self, files: Sequence[StagedFile]) -> Sequence[Attachments]:
        for file in files:
            if file not in self._pictures:
                self._pictures[file] = Attachments(Delivered(file.path))
        return tuple(self._pictures[file] for file in files)

    def take_used_pictures(self) -> Iterator[tuple[str, str]]:
        for file, attachments in self._pictures.items():
            yield from ((file.sha256, path) for path in attachments.take_used())

    def close(self) -> None:
        self._close_file()
        for attachments in self._pictures.values():
            attachments.delivered.close()
        self._pictures = {}

    def _close_file(self) -> None:
        if self._attachments is not None:
            self._attachments.delivered.close()
            self._attachments = None


_worker = _OpenFiles()
"""Of a worker process; what it opened is closed with it."""


def _stage_in_worker(part: Part) -> PartReport:
    return _stage_part(part, _worker)


def _stage_part(part: Part, opened: _OpenFiles) -> PartReport:
    """Read, map and write one part."""
    mapping = mapping_for(part.office, part.right)
    report = PartReport()
    book = FindingBook(load_profile(part.office).rules)
    with (
        cycle_collector_paused(),
        PartWriter(part.directory, part.right, part.number, book) as writer,
    ):
        attachments = opened.file(part.file)
        delivered = attachments.delivered
        beside = partial(opened.pictures, part.pictures)
        for member in delivered.documents[part.first : part.last]:
            reach("stage.member")
            reader = DocumentReader(part, mapping, member, attachments, writer, report, beside)
            try:
                with delivered.open(member) as source:
                    reader.read(source)
            except DeliveryError as exc:
                if isinstance(exc, DamagedMember):
                    # Only its end tells a wrong checksum: any record may not be as it was packed.
                    writer.discard()
                    reader.report = report = PartReport()
                reader.reject(exc)
        report.used = {(part.file.sha256, path) for path in attachments.take_used()}
        report.used |= set(opened.take_used_pictures())
    return report


def slices(documents: Sequence[Member]) -> Iterator[tuple[int, int, int]]:
    """Yield ranges of documents of about ``PART_BYTES``: first, last (excluded), bytes.

    One that is streamed is the first of its range: if it turns out to be damaged, all that the
    range has brought by then is forgotten.
    """
    first, size = 0, 0
    for index, member in enumerate(documents):
        if member.is_streamed and first < index:
            yield first, index, size
            first, size = index, 0
        size += member.bytes
        if size >= PART_BYTES:
            yield first, index + 1, size
            first, size = index + 1, 0
    if first < len(documents):
        yield first, len(documents), size


def _run(parts: Sequence[Part], workers: int, opened: _OpenFiles) -> Iterator[PartReport]:
    if workers == 1 or sum(part.bytes for part in parts) < POOL_ABOVE_BYTES:
        yield from (_stage_part(part, opened) for part in parts)
        return
    with reading_pool(workers) as pool:
        yield from pool.map(_stage_in_worker, parts)


def _add(total: PartReport, report: PartReport) -> None:
    total.read += report.read
    total.rejected += report.rejected
    total.used |= report.used
    if report.declared is not None:
        total.declared = (total.declared or 0) + report.declared
    for path, (count, line) in report.unknown.items():
        total.unknown.setdefault(path, [0, line])[0] += count
        total.unknown_in.setdefault(path, report.unknown_in[path])


def _note_whole_delivery(
    notes: PartWriter,
    total: PartReport,
    files: Sequence[StagedFile],
) -> None:
    """Write what only all parts together show: emptiness and unknown elements."""
    first = files[0].name if files else ""
    if total.read == 0:
        notes.note(NO_RECORDS, file=first)
    for path, (count, line) in sorted(total.unknown.items()):
        name = path.rpartition("/")[2]
        what = "text" if name == "text()" else "attribute" if name[0] == "@" else "element"
        times = "once" if count == 1 else f"{count:,} times"
        message = f"The {what} {path} is not known; it occurs {times}."
        file = total.unknown_in[path]
        notes.note(
            UNKNOWN_ELEMENT, file=file, line=line, elementPath=path, value=path, message=message
        )


def _note_unused(
    notes: PartWriter,
    total: PartReport,
    attachments: dict[StagedFile, list[str]],
    files: Sequence[StagedFile],
    opened: _OpenFiles,
) -> None:
    """Write which files of the archives no record named, and in which of them records may stand."""
    for file in files:
        for path in attachments.get(file, ()):
            if (file.sha256, path) in total.used:
                continue
            where = f"{file.name}!{path}"
            if is_data(path):
                notes.note(UNREAD_DATA, file=where, value=path)
            elif right := opened.file(file).records_in(path):
                message = (
                    f"{path} holds {right}, but its name does not end in .xml: it was not read."
                )
                notes.note(UNREAD_DATA, file=where, value=path, message=message)
            else:
                notes.note(UNUSED_IMAGE, file=where, value=path)
