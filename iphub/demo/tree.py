"""The demo's SFTP tree: invented deliveries of several offices, as the offices would send them.

Writes ``ipob_xx/{Patents,Trademarks,Designs}/{Full_Extraction,Updates,Test}``: a full
extraction of every right, then updates; equal seeds give equal bytes. What is in a record
belongs to ``trademarks``, ``patents`` and ``designs``; what is wrong with it to ``faults``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from iphub.demo.archive import write_zip
from iphub.demo.designs import Design
from iphub.demo.faults import LEAST_RECORDS, Plant, R
from iphub.demo.images import picture
from iphub.demo.manifest import DemoFile, DemoManifest, Fault
from iphub.demo.names import Inventor, generator
from iphub.demo.offices import OFFICES, DemoOffice
from iphub.demo.offices import office as demo_office
from iphub.demo.patents import Patent
from iphub.demo.rights import DESIGNS, PATENTS, TRADEMARKS, Making
from iphub.demo.trademarks import Mark
from ipregister.deliveries import FOLDERS, RIGHT_FOLDERS, Kind
from ipregister.model import Right

FULL, FIRST, SECOND = "20260915", "20261012", "20261019"
"""Dates in the file names: full extractions, then two rounds of updates."""

NEW = 6
"""Records that are new in the updates: four in the first round, the rest in the second."""


@dataclass(frozen=True, slots=True)
class _Register(Generic[R]):
    """One office's records of one right: as sent, without faults, new later; and the faults."""

    sent: tuple[R, ...]
    clean: tuple[R, ...]
    new: tuple[R, ...]
    planted: dict[int, Plant[R]]


def generate(root: Path, *, seed: int = 2026, records: int = 300) -> DemoManifest:
    """Write the demo tree under ``root`` and return what is in it.

    Args:
        root: becomes the root of the SFTP server; files of the same names are replaced.
        seed: equal seeds give equal bytes.
        records: trade marks per office in the full extraction; a third as many patents and
            a fifth as many designs, but never fewer than ``LEAST_RECORDS`` of a right.
    """
    writer = _Writer(root, seed)
    for office in OFFICES:
        writer.folders(office)
        writer.deliver(TRADEMARKS, office, records)
        if office.patent:
            writer.deliver(PATENTS, office, records)
        if office.design:
            writer.deliver(DESIGNS, office, records)
    writer.odd_files()
    return DemoManifest(
        root, seed, tuple(writer.files), tuple(writer.faults), tuple(writer.withdrawn)
    )


class _Writer:
    """Writes files into the tree and remembers what it wrote."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.seed = root, seed
        self.files: list[DemoFile] = []
        self.faults: list[Fault] = []
        self.withdrawn: list[str] = []

    def folders(self, office: DemoOffice) -> None:
        """Make all nine folders of an office, also those that stay empty."""
        for right in Right:
            for kind in Kind:
                self._path(office, right, kind, "").mkdir(parents=True, exist_ok=True)

    def deliver(self, making: Making[R], office: DemoOffice, records: int) -> None:
        """Write the full extraction of one office and right, and its two updates."""
        count = max(LEAST_RECORDS, records // making.share)
        register: _Register[R] = _register(making, office, self.seed, count)
        parts = [(0, count)] if office.single_file else [(0, count // 2), (count // 2, count)]
        for sequence, (start, end) in enumerate(parts, 1):
            inside = {p - start: plant for p, plant in register.planted.items() if start <= p < end}
            name = f"{FULL}_{sequence:04d}"
            self._file(making, office, Kind.FULL_EXTRACTION, name, register.sent[start:end], inside)
        untouched: list[R] = [
            record for place, record in enumerate(register.clean) if place not in register.planted
        ]
        changes: list[R] = [*making.change(untouched, office), *register.new[:4]]
        self._file(making, office, Kind.UPDATE, f"{FIRST}_0001", changes, {})
        gone: list[R] = making.withdraw(untouched, office)
        later: list[R] = [*gone, *register.new[4:]]
        self._file(making, office, Kind.UPDATE, f"{SECOND}_0001", later, {})
        self.withdrawn += [f"{office.code}/{making.right}/{record.number}" for record in gone]

    def odd_files(self) -> None:
        """Write what is odd as a whole: a trial delivery, and an upload that came out empty."""
        cambodia, laos = demo_office("KH"), demo_office("LA")
        inventor = Inventor(generator(self.seed, "trial"), "KH", "km")
        trial = [TRADEMARKS.invent(inventor, cambodia, 5_000 + n, True) for n in range(3)]
        self._file(TRADEMARKS, cambodia, Kind.TEST, f"{FIRST}_0001", trial, {})
        path = self._path(laos, Right.TRADEMARKS, Kind.UPDATE, "LA_20261013_0001.zip")
        path.write_bytes(b"")
        relative = self._note(path, laos, Right.TRADEMARKS, Kind.UPDATE, 0)
        what = "the file is empty: the upload or the export before it failed"
        self.faults.append(
            Fault("empty_file", "LA", Right.TRADEMARKS, relative, "", "", ("ALL.PKG.017",), what)
        )

    def _path(self, office: DemoOffice, right: Right, kind: Kind, name: str) -> Path:
        return self.root / office.folder / RIGHT_FOLDERS[right] / FOLDERS[kind] / name

    def _note(self, path: Path, office: DemoOffice, right: Right, kind: Kind, records: int) -> str:
        relative = path.relative_to(self.root).as_posix()
        self.files.append(DemoFile(relative, office.code, right, kind, records))
        return relative

    def _file(
        self,
        making: Making[R],
        office: DemoOffice,
        kind: Kind,
        name: str,
        records: Sequence[R],
        planted: Mapping[int, Plant[R]],
    ) -> None:
        """Write one file of records, ZIP or single XML, and note the faults in it."""
        # Designs always travel with their views, and views need an archive.
        alone = office.single_file and making.right is not Right.DESIGNS
        suffix = ".xml" if alone else ".zip"
        path = self._path(office, making.right, kind, f"{office.code}_{making.label}{name}{suffix}")
        if alone:
            path.write_bytes(making.several(records))
        else:
            write_zip(path, _members(making, records, planted))
        relative = self._note(path, office, making.right, kind, len(records))
        for place, plant in sorted(planted.items()):
            number = records[place].number
            member = "" if alone else _member(records[place])
            self.faults.append(
                Fault(
                    plant.name,
                    office.code,
                    making.right,
                    relative,
                    member,
                    number,
                    plant.rules,
                    plant.what,
                )
            )


def _register(making: Making[R], office: DemoOffice, seed: int, count: int) -> _Register[R]:
    planted = {plant.place % count: plant for plant in making.plants(office.code)}
    inventor = Inventor(generator(seed, office.code, making.right), office.code, office.language)
    everything = [
        making.invent(inventor, office, serial, serial in planted or serial == 0)
        for serial in range(count + NEW)
    ]
    clean = tuple(everything[:count])
    sent = list(clean)
    for place, plant in planted.items():
        if plant.change is not None:
            sent[place] = plant.change(clean[place], clean[0])
    return _Register(tuple(sent), clean, tuple(everything[count:]), planted)


def _member(record: Mark | Patent | Design) -> str:
    return f"{record.folder}/{record.folder}_biblio.xml"


def _members(
    making: Making[R], records: Sequence[R], planted: Mapping[int, Plant[R]]
) -> Iterator[tuple[str, bytes]]:
    for place, record in enumerate(records):
        plant = planted.get(place)
        content = making.single(record)
        if plant is not None and plant.spoil is not None:
            content = plant.spoil(content)
        yield _member(record), content
        if plant is None or not plant.without_pictures:
            for number, name in enumerate(making.pictures(record)):
                yield f"{record.folder}/{name}", picture(place * 7 + number)
