"""The findings of one delivery, read from their Parquet file through DuckDB.

Memory is bounded: what is counted is counted by DuckDB, what is listed is streamed in
batches in the order of the file (severity, rule, file, line). A missing file has no findings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from connectors.register import engine
from connectors.schema import FINDINGS
from ipregister.errors import StoreError
from ipregister.quality import Dimension, Severity
from ipregister.report_scores import AREAS, SERIOUS, Area
from ipregister.report_tallies import (
    VOCABULARY_RULES,
    RuleTally,
    Tallies,
    UnmappedValue,
    Vocabulary,
)

BATCH_ROWS = 2_000
"""Findings in memory at a time: some 4 MB as Python values."""

VOCABULARY_VALUES = 500
"""Different unmapped values a report lists; past that a field holds no vocabulary but text."""

_FOUND = "read_parquet($findings)"

_RULES = f"""
SELECT ruleCode, any_value(severity), count(*), count(*) FILTER (state = 'new'),
       count(DISTINCT recordId)
FROM {_FOUND}
GROUP BY ruleCode
ORDER BY ruleCode
"""

_SERIOUS = f"""
SELECT split_part(ruleCode, '.', 2) AS dimension, count(DISTINCT recordId)
FROM {_FOUND}
WHERE list_contains($serious, severity)
GROUP BY GROUPING SETS ((dimension), ())
"""

_CRITICAL = f"SELECT count(DISTINCT recordId) FROM {_FOUND} WHERE severity = 'critical'"

_VOCABULARY = f"""
SELECT ruleCode, field, value, count(*) AS findings, count(DISTINCT recordId),
       min(file), count(*) OVER ()
FROM {_FOUND}
WHERE list_contains($rules, ruleCode) AND value IS NOT NULL
GROUP BY ruleCode, field, value
ORDER BY findings DESC, ruleCode, field, value
LIMIT {VOCABULARY_VALUES}
"""

_FIRST = f"SELECT {', '.join(FINDINGS.names)} FROM {_FOUND} WHERE ruleCode = $rule LIMIT $count"


class FindingsFile:
    """One delivery's findings, ``connectors.schema.FINDINGS``."""

    def __init__(self, path: Path | None, *, temporary: Path) -> None:
        """Read ``path``; ``temporary`` is a directory to spill to."""
        self.path = path if path is not None and path.exists() else None
        self._temporary = temporary

    def tallies(self) -> Tallies:
        """Return what the findings add up to.

        Raises:
            StoreError: the file is not one of findings.
        """
        if self.path is None:
            return Tallies()
        serious = self._rows(_SERIOUS, serious=sorted(SERIOUS))
        rules = self._rows(_RULES)
        ((critical,),) = self._rows(_CRITICAL)
        return Tallies(
            rules=tuple(RuleTally(code, Severity(word), *rest) for code, word, *rest in rules),
            seriousRecords={
                AREAS[Dimension(name)] if name else Area.ALL: count for name, count in serious
            },
            criticalRecords=critical,
            vocabulary=self._vocabulary(),
        )

    def first(self, rule_code: str, count: int) -> list[dict[str, Any]]:
        """Return the first findings of one rule, one mapping per finding."""
        if self.path is None:
            return []
        rows = self._rows(_FIRST, rule=rule_code, count=count)
        return [dict(zip(FINDINGS.names, row, strict=True)) for row in rows]

    def all(self) -> Iterator[dict[str, Any]]:
        """Yield every finding in the order of the file."""
        if self.path is None:
            return
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(BATCH_ROWS):
                yield from batch.to_pylist()

    def _vocabulary(self) -> Vocabulary:
        rows = self._rows(_VOCABULARY, rules=sorted(VOCABULARY_RULES))
        values = tuple(UnmappedValue(*columns) for *columns, _ in rows)
        return Vocabulary(values, rows[0][-1] if rows else 0)

    def _rows(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        with engine.connect(temporary=self._temporary) as con:
            try:
                return con.execute(query, {"findings": str(self.path), **parameters}).fetchall()
            except duckdb.Error as exc:
                raise StoreError(f"the findings cannot be read: {type(exc).__name__}") from exc
