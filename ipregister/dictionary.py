"""The data dictionary: the tables of the register as Markdown that an IP officer can read.

The same tables always give the same text, so a test can tell whether the committed file is
current. After a change of ``tables/*.yaml``:
``python -m ipregister.dictionary docs/data-dictionary.md``.
What the fields are is in the tables; nothing is added here but words around them.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ipregister.model import Disclosure, Member, Right, Table, load_tables

INTRODUCTION = """\
# Data dictionary

Every field of the register, generated from `ipregister/tables/*.yaml`; do not edit it here.

A record is one row; dots lead into nested members. The names are the same in JSON, Parquet,
findings and this page. A field that is not listed does not exist in the register: payment
data, access codes of the Digital Access Service, e-mail addresses, telephone numbers and the
names of opponents and examiners never leave the landing zone.
"""

TYPES = """\
| Type | What it holds |
| --- | --- |
| string | a text |
| strings | a list of texts |
| texts | a list of `{text, languageCode}`; the language is an ISO 639-1 code or absent |
| date | a day of the Gregorian calendar, `YYYY-MM-DD` |
| integer, boolean | a whole number; true or false |
| struct | one object |
| list | a list of objects |
"""

FREE_TEXT = """\
Members of type string or texts that people write by hand are called *free text* in the column
Disclosure. They may name persons whatever their class: a title, a description of goods, the
name of a file. That is a residual risk of sharing `core` without `stakeholder`, and the words of
a mark may be a name, too. An office may leave free text out for a third party, except the
words of the mark itself.
"""

CLASSES: Mapping[Disclosure, str] = {
    Disclosure.CORE: "numbers, dates of filing, publication and registration, what is protected",
    Disclosure.STAKEHOLDER: "persons, and every record of who owns or may use the right",
    Disclosure.STATUS_CHANGE: "the status, and whatever gives away that it changed",
    Disclosure.EXAMINATION: "what the office and third parties did while it was decided about",
    Disclosure.DOCUMENTS: "files other than the mark or the design itself, full texts of patents",
}
"""What each disclosure class holds, in one line."""

COLUMNS = ("Field", "Type", "INID", "ST.96", "Disclosure", "Meaning", "Values")


def render(tables: Mapping[Right, Table]) -> str:
    """Return the dictionary of all ``tables`` as one Markdown document."""
    classes = [f"| {name} | {meaning} |" for name, meaning in CLASSES.items()]
    parts = [
        INTRODUCTION,
        TYPES,
        FREE_TEXT,
        "An office authorizes every third party class by class; `core` goes with the right.\n",
        "\n".join(["| Disclosure | What it holds |", "| --- | --- |", *classes]) + "\n",
    ]
    parts += [_section(tables[right]) for right in Right]
    return "\n".join(parts)


def _section(table: Table) -> str:
    counts = ", ".join(f"{name} {len(table.of_class(name))}" for name in Disclosure)
    lines = [
        f"## {table.name.capitalize()}",
        "",
        f"{table.standard}. {len(table.fields)} fields: {counts}.",
        "",
        _line(COLUMNS),
        _line("---" for _ in COLUMNS),
    ]
    lines += [_row(path, member, disclosure) for path, member, disclosure in table.paths()]
    return "\n".join(lines) + "\n"


def _row(path: str, member: Member, disclosure: Disclosure) -> str:
    values = ", ".join(member.values)
    shared = f"{disclosure}, free text" if member.freeText else disclosure
    cells = (member.type, member.inid, member.st96, shared, member.description, values)
    return _line([f"`{path}`", *(cell or "" for cell in cells)])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(load_tables()), "utf-8")
