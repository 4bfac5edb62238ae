"""Physical types of the register: canonical tables as Arrow schemas.

System columns are the hub's own and are never served; every other column is a field of
``ipregister/tables/*.yaml``.
"""

from collections.abc import Iterable
from functools import cache

import pyarrow as pa

from ipregister.model import Disclosure, Member, Right, load_tables

TEXTS = pa.list_(pa.struct([("text", pa.string()), ("languageCode", pa.string())]))

CLASS_HASHES = pa.struct([(str(disclosure), pa.string()) for disclosure in Disclosure])

SOURCE = pa.struct(
    [("file", pa.string()), ("sha256", pa.string()), ("member", pa.string()), ("line", pa.int32())]
)
"""Where a row came from: delivered file, its address in landing, member of the archive, line."""

SOURCE_SQL = "STRUCT(file VARCHAR, sha256 VARCHAR, member VARCHAR, line INTEGER)"
"""The same as a DuckDB type."""

REMOVALS = pa.schema(
    [
        ("recordId", pa.string()),
        ("recordKey", pa.string()),
        ("applicationNumber", pa.string()),
        ("source", SOURCE),
        ("sourceFile", pa.string()),
        ("sourceLine", pa.int32()),
        ("critical", pa.bool_()),
        ("part", pa.int32()),
        ("sequence", pa.int32()),
    ]
)
"""Records a delivery says to delete; columns as in ``staged_schema``."""

FINDINGS = pa.schema(
    [
        ("ruleCode", pa.string()),
        ("severity", pa.string()),
        ("recordId", pa.string()),
        ("applicationNumber", pa.string()),
        ("field", pa.string()),
        ("elementPath", pa.string()),
        ("file", pa.string()),
        ("line", pa.int32()),
        ("value", pa.string()),
        ("message", pa.string()),
        ("remedy", pa.string()),
        ("suggestedValue", pa.string()),
        ("state", pa.string()),
    ]
)
"""One finding a row; columns as in ``ipregister.quality.Finding``."""


def _type(member: Member) -> pa.DataType:
    match member.type:
        case "string":
            return pa.string()
        case "strings":
            return pa.list_(pa.string())
        case "date":
            return pa.date32()
        case "integer":
            return pa.int64()
        case "boolean":
            return pa.bool_()
        case "texts":
            return TEXTS
        case "struct":
            return pa.struct(_fields(member.fields))
        case "list":
            return pa.list_(pa.struct(_fields(member.fields)))


def _fields(members: Iterable[Member]) -> list[pa.Field]:
    return [pa.field(member.name, _type(member)) for member in members]


@cache
def canonical_fields(right: Right) -> tuple[pa.Field, ...]:
    """Return the canonical columns of one right, in table order."""
    return tuple(_fields(load_tables()[right].fields))


def fragment_column(disclosure: Disclosure) -> str:
    """Return the staging column that holds the rendered fragment of one class."""
    return f"fragment_{disclosure}"


@cache
def staged_schema(right: Right) -> pa.Schema:
    """Return the columns of one staged delivery: canonical row, identity, source, fragments."""
    return pa.schema(
        [
            *canonical_fields(right),
            ("recordKey", pa.string()),
            ("contentHash", pa.string()),
            ("classHashes", CLASS_HASHES),
            ("source", SOURCE),
            ("sourceFile", pa.string()),
            ("sourceLine", pa.int32()),
            ("positions", pa.string()),
            ("derived", pa.list_(pa.string())),
            ("critical", pa.bool_()),
            ("part", pa.int32()),
            ("sequence", pa.int32()),
            *((fragment_column(disclosure), pa.binary()) for disclosure in Disclosure),
        ]
    )


@cache
def log_schema(right: Right) -> pa.Schema:
    """Return the columns of the register's log and base.

    ``amendedBy`` is the late delivery that made this row of a newer one necessary.
    """
    return pa.schema(
        [
            ("office", pa.string()),
            ("changeSeq", pa.int64()),
            ("op", pa.string()),
            ("deliveryId", pa.string()),
            ("officeOrder", pa.string()),
            ("amendedBy", pa.string()),
            ("recordedAt", pa.timestamp("us", "UTC")),
            ("cause", pa.string()),
            ("held", pa.bool_()),
            ("recordKey", pa.string()),
            ("contentHash", pa.string()),
            ("classHashes", CLASS_HASHES),
            ("changedClasses", pa.list_(pa.string())),
            ("source", SOURCE),
            ("derived", pa.list_(pa.string())),
            *canonical_fields(right),
        ]
    )
