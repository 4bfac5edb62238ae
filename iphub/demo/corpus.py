"""Large trade mark corpora for benchmarks, written as a stream.

Records are like those of the demo but without faults, so that a benchmark measures work and
not trouble. Measuring does not belong here, see ``benchmarks/``.
"""

from collections.abc import Iterator
from pathlib import Path

from iphub.demo.archive import write_zip
from iphub.demo.images import picture
from iphub.demo.ipas_xml import several, single
from iphub.demo.names import Inventor, generator
from iphub.demo.offices import office as demo_office
from iphub.demo.trademarks import Mark, invent, words_only


def trademark_corpus(path: Path, *, office: str, count: int, seed: int, per_file: int) -> None:
    """Write one ZIP with ``count`` invented trade marks of one office; memory stays bounded.

    Args:
        path: the archive to write, e.g. ``KH_20260915_0001.zip``.
        office: ST.3 code of a demo office.
        count: number of records; about 6.5 kB of XML each. Beyond 10,000 the serial numbers
            of TH and VN grow longer than those offices write them.
        seed: equal seeds give equal bytes.
        per_file: records in each XML member. 1 is what IPAS offices send
            (``<APPNUM>/<APPNUM>_biblio.xml`` and the picture, where the mark has one); more
            gives members ``biblio_000001.xml`` with many word marks and no pictures.
    """
    entry = demo_office(office)
    inventor = Inventor(generator(seed, office, "corpus"), office, entry.language)
    marks = (invent(inventor, entry, serial) for serial in range(count))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_zip(path, _alone(marks) if per_file == 1 else _together(marks, per_file))


def _alone(marks: Iterator[Mark]) -> Iterator[tuple[str, bytes]]:
    for serial, mark in enumerate(marks):
        folder = mark.folder
        yield f"{folder}/{folder}_biblio.xml", single(mark)
        if mark.image:
            yield f"{folder}/ATTACHMENT/logo.png", picture(serial % 500)


def _together(marks: Iterator[Mark], per_file: int) -> Iterator[tuple[str, bytes]]:
    batch: list[Mark] = []
    number = 0
    for mark in marks:
        batch.append(words_only(mark))
        if len(batch) == per_file:
            number += 1
            yield f"biblio_{number:06d}.xml", several(batch)
            batch = []
    if batch:
        yield f"biblio_{number + 1:06d}.xml", several(batch)
