"""A prepared Parquet file as the Delta Sharing protocol tells it: protocol, metadata, file.

Everything told about a table comes from the columns its reader may see and from the file made
for them: the schema has no other column, ``stats`` count the file's records.

Standard: Delta Sharing protocol, response format ``parquet``.
"""

import json
from datetime import datetime
from hashlib import blake2b

import pyarrow as pa

from connectors.exports.columnar import schema_of
from connectors.exports.formats import columns_of
from connectors.exports.tasks import Snapshot, Task
from connectors.serving.rows import classes_of

PROTOCOL: dict[str, object] = {"protocol": {"minReaderVersion": 1}}


def metadata(task: Task) -> dict[str, object]:
    """Return the ``metaData`` action; another view or mask is another table, with another ``id``.

    The number of a space is not in it: few are possible, so a reader could find out from the
    hash how many views there were before its own, and a store that is made anew gives others.
    """
    allowed = classes_of(task.place.mask)
    schema = schema_of(task.right, columns_of(task.right, allowed))
    seen = f"{task.office} {task.right} {task.place.view} {task.place.mask}"
    return {
        "metaData": {
            "id": blake2b(seen.encode(), digest_size=16).hexdigest(),
            "name": f"{task.office}.{task.right}",
            "format": {"provider": "parquet"},
            "schemaString": json.dumps(_struct(list(schema)), separators=(",", ":")),
            "partitionColumns": [],
        }
    }


def file_action(found: Snapshot, url: str, expires: datetime, version: int) -> dict[str, object]:
    """Return the ``file`` action of the one file a table has in this version."""
    # No smallest and largest values: they are records' own, and nothing is written down of who
    # asks for a table. A table of one file has nothing to skip by them.
    stats = {"numRecords": found.records}
    return {
        "file": {
            "url": url,
            "id": found.sha256,
            "partitionValues": {},
            "size": found.bytes,
            "stats": json.dumps(stats, separators=(",", ":")),
            "version": version,
            "timestamp": int(found.at.timestamp() * 1_000),
            "expirationTimestamp": int(expires.timestamp() * 1_000),
        }
    }


def _struct(fields: list[pa.Field]) -> dict[str, object]:
    return {
        "type": "struct",
        "fields": [
            {"name": f.name, "type": _type(f.type), "nullable": True, "metadata": {}}
            for f in fields
        ],
    }


def _type(kind: pa.DataType) -> object:
    """Return a type in the JSON of Spark, which Delta schemas are written in."""
    if pa.types.is_list(kind):
        return {"type": "array", "elementType": _type(kind.value_type), "containsNull": True}
    if pa.types.is_struct(kind):
        return _struct([kind.field(place) for place in range(kind.num_fields)])
    if pa.types.is_date32(kind):
        return "date"
    if pa.types.is_int64(kind):
        return "long"
    return "boolean" if pa.types.is_boolean(kind) else "string"
