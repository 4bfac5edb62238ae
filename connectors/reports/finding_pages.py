"""Pages of one delivery's findings, filtered, in the order of their file.

Whole files are ``findings``; this is what a program asks for bit by bit.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from connectors.register import engine
from connectors.schema import FINDINGS
from ipregister.errors import StoreError
from ipregister.quality import Severity

FINDING_FIELDS: tuple[str, ...] = tuple(FINDINGS.names)

Finding = dict[str, Any]
"""One finding, members as ``connectors.schema.FINDINGS``."""

_PAGE = f"""
SELECT file_row_number + 1 AS place, {", ".join(FINDING_FIELDS)}
FROM read_parquet($findings, file_row_number = TRUE)
WHERE file_row_number >= $after
  AND ($rule IS NULL OR ruleCode = $rule)
  AND ($record IS NULL OR recordId = $record)
  AND ($severities IS NULL OR list_contains($severities::VARCHAR[], severity))
ORDER BY place
LIMIT $limit
"""


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Which findings; what is not given does not narrow it."""

    ruleCode: str | None = None
    severities: Collection[Severity] | None = None
    recordId: str | None = None


def read_findings(
    path: Path, wanted: FindingQuery, *, after: int, limit: int, temporary: Path
) -> list[tuple[int, Finding]]:
    """Return up to ``limit`` findings with their places, which count from 1.

    Args:
        path: a delivery's findings; without a file there are none.
        wanted: which of them.
        after: place of the last finding the reader has, 0 for none.
        limit: how many at most.
        temporary: a directory to spill to.

    Raises:
        StoreError: the file is not one of findings.
    """
    if not path.exists():
        return []
    parameters = {
        "findings": str(path),
        "after": after,
        "rule": wanted.ruleCode,
        "record": wanted.recordId,
        "severities": None if wanted.severities is None else [str(s) for s in wanted.severities],
        "limit": limit,
    }
    with engine.connect(temporary=temporary) as con:
        try:
            rows = con.execute(_PAGE, parameters).fetchall()
        except duckdb.Error as exc:
            raise StoreError(f"the findings cannot be read: {type(exc).__name__}") from exc
    return [(place, dict(zip(FINDING_FIELDS, row, strict=True))) for place, *row in rows]
