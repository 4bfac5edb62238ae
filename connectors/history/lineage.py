"""From a field of a record back to what the office sent: file, member, line, and the bytes.

The register knows where a record begins; where in it a field stands is found by reading that
record again from landing with today's mapping.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

from connectors.history.versions import versions_of
from connectors.hub import Hub
from connectors.readers import xml
from connectors.readers.archives import Delivered, Member
from ipregister.errors import DeliveryError, InvalidRequest
from ipregister.identifiers import record_id as identify
from ipregister.mapping import STEP, Mapped, RecordMapping, mapping_for
from ipregister.model import Right

LINE_CHARACTERS = 2_000
"""A document may be one line of a gigabyte; so much of a line is shown."""


def lineage_of(
    hub: Hub, office: str, right: Right, record_id: str, field: str | None = None
) -> dict[str, Any] | None:
    """Return where a record, or one field of it, stands in what the office sent.

    Args:
        hub: the stores.
        office: whose record.
        right: of which right.
        record_id: which record.
        field: a canonical path such as ``applicants[0].names``; the whole record if not given.

    Returns:
        The newest version's delivery, ``file``, its address in landing ``sha256``, ``member``,
        ``line``, ``elementPath``, the ``value`` it is read as and the line's own ``text``;
        ``None`` when no version of the record has a source.

    Raises:
        InvalidRequest: the record has no such field.
    """
    versions = [
        each
        for each in versions_of(hub, office, right, record_id)
        if not each["reverted"] and (each["source"] or {}).get("sha256")
    ]
    good = [each for each in versions if not each["held"]] or versions
    if not good:
        return None
    version, mapping = good[-1], mapping_for(office, right)
    source = version["source"]
    with Delivered(hub.landing.path(source["sha256"])) as delivered:
        member = next(each for each in delivered.documents if each.path == source["member"])
        mapped = _read_again(delivered, member, mapping, source["line"], record_id)
        line, value, path = source["line"], None, None
        if field is not None:
            line, value = _field(mapped, field, source["line"])
            lines = mapped.lines if mapped else {}
            # The text of an item stands in the element that opens the item.
            path = mapping.element_in(lines, field) or mapping.element_in(
                lines, field.removesuffix(".text")
            )
        with delivered.open(member) as document:
            text = _line(document, line)
    return {
        "recordId": record_id,
        "deliveryId": version["deliveryId"],
        "field": field,
        **source,
        "line": line,
        "elementPath": path,
        "value": value,
        "text": text,
    }


def _read_again(
    delivered: Delivered, member: Member, mapping: RecordMapping, line: int, record_id: str
) -> Mapped | None:
    """Return a record that begins at a line; ``None`` where the document breaks before it.

    A whole register may stand on one line. Of two versions of the record there, the last counted.
    """
    found = None
    # Records of broken documents were salvaged; their fields were not placed.
    with suppress(DeliveryError), delivered.open(member) as document:
        for record in xml.records(document, mapping.format):
            if isinstance(record, xml.Record) and str(record.element.sourceline) == str(line):
                mapped = mapping.apply(record.element, record.header, {})
                if mapped.key is not None and identify(mapped.key) == record_id:
                    found = mapped
            elif found is not None:
                break
    return found


def _field(mapped: Mapped | None, field: str, record_line: int) -> tuple[int, Any]:
    """Return a field's line and value."""
    if mapped is None:
        return record_line, None
    value: Any = mapped.row
    lines: Any = mapped.lines
    for name, index in STEP.findall(field):
        if not isinstance(value, dict) or name not in value:
            given = ", ".join(sorted(value)) if isinstance(value, dict) else "nothing"
            raise InvalidRequest(f"The record has no {name!r} there; it has {given}.")
        value = value[name]
        lines = lines.get(name) if isinstance(lines, dict) else lines
        if index:
            value = _item(value, int(index), field)
            lines = lines[int(index)] if isinstance(lines, list) else lines
    if isinstance(lines, list) and lines:
        lines = lines[0]
    if isinstance(lines, dict):
        lines = lines.get("")
    return (lines if isinstance(lines, int) else record_line), value


def _item(values: Any, index: int, field: str) -> Any:
    if not isinstance(values, Sequence) or index >= len(values):
        raise InvalidRequest(f"{field!r} asks for an item the record does not have.")
    return values[index]


def _line(document: BinaryIO, number: int) -> str:
    found = next(islice(document, number - 1, None), b"")
    return found[:LINE_CHARACTERS].decode("utf-8", "replace").rstrip("\r\n")
