"""The versions of one record: what each delivery made of it, in the office's order."""

from typing import Any

from connectors.hub import Hub
from connectors.register.engine import literal
from ipregister.model import Disclosure, Right


def versions_of(hub: Hub, office: str, right: Right, record_id: str) -> list[dict[str, Any]]:
    """Return every row the log has of a record, oldest first by the office's order.

    Each has ``op``, ``deliveryId`` and its ``officeOrder``, when it was recorded, ``cause``
    (``source`` or ``processing``), ``held``, ``amendedBy`` (the late delivery that made it
    necessary), ``reverted``, the classes in which it differs from the version before it that
    counts, and ``source``: file, address in landing, member and line.
    """
    reverted = hub.register.reverted(right, office)
    with hub.register.connect() as con:
        hub.register.define_log(con, right, office, "every_row", but_reverted=())
        rows = (
            con.sql(
                f"""
                SELECT changeSeq, op, deliveryId, officeOrder, recordedAt, cause, held,
                       amendedBy, applicationNumber, contentHash, classHashes, source
                FROM every_row
                WHERE recordId = {literal(record_id)}
                ORDER BY officeOrder, changeSeq
                """
            )
            .to_arrow_table()
            .to_pylist()
        )
    before: dict[str, str] = {}
    for row in rows:
        hashes = row.pop("classHashes") or {}
        row["reverted"] = row["deliveryId"] in reverted or row["amendedBy"] in reverted
        row["changedClasses"] = [
            str(name) for name in Disclosure if (hashes.get(name) or "") != before.get(name, "")
        ]
        if not row["reverted"]:
            before = {name: value or "" for name, value in hashes.items()}
    return list(rows)
