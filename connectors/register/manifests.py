"""What every delivery said about which record: one narrow Parquet file per delivery.

The log keeps changes; a manifest also keeps what a delivery found unchanged, so that its
meaning can be worked out again when an older delivery arrives after it. A manifest is written
when a delivery takes effect and is replaced only by a new reading of the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from connectors.register.engine import literal, parquet
from ipregister.deliveries import Kind
from ipregister.errors import StoreError

PROCESSING = "processing"
"""Key of a manifest's metadata: the version of mapping and rules it was read with."""


@dataclass(frozen=True, slots=True)
class Effective:
    """A delivery that has taken effect: its place in the office's order and its manifest."""

    delivery_id: str
    kind: Kind
    order: str
    manifest: Path


def write_manifest(con: duckdb.DuckDBPyConnection, target: Path, processing: str) -> None:
    """Write the table ``incoming``: ``recordId, contentHash, held, removed, source``."""
    con.execute(
        f"""
        COPY (
            SELECT recordId, contentHash, isHeld AS held, removed, source
            FROM incoming
            ORDER BY part, sequence
        ) TO {literal(target)}
        (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,
         KV_METADATA {{{PROCESSING}: {literal(processing)}}})
        """
    )


def processing_of(manifest: Path) -> str | None:
    """Return the version of mapping and rules a delivery was read with, if that was written."""
    if not manifest.exists():
        return None
    found = pq.read_metadata(manifest).metadata or {}
    version = found.get(PROCESSING.encode())
    return None if version is None else str(version, "utf-8")


def keep_manifest(written: Path, target: Path) -> None:
    """Put a manifest where it stays; again changes nothing."""
    if not written.exists() and target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    written.replace(target)


def define_mentions(
    con: duckdb.DuckDBPyConnection, name: str, deliveries: Sequence[Effective]
) -> None:
    """Define the view ``name``: rows of manifests, with ``place``, from 1, in ``deliveries``.

    Raises:
        StoreError: a manifest is missing.
    """
    for each in deliveries:
        if not each.manifest.exists():
            raise StoreError(
                f"There is no manifest of delivery {each.delivery_id}; "
                "`iphub reprocess` reads it again from landing.",
                deliveryId=each.delivery_id,
            )
    every = " UNION ALL ".join(
        f"""
        SELECT {place} AS place, recordId, contentHash, held, removed, source
        FROM {parquet([each.manifest])}
        """
        for place, each in enumerate(deliveries, start=1)
    )
    con.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {every}")
