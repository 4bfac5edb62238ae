"""Reads, maps and judges a delivery without the register: intake and validator share it.

The outcome is a directory: staged rows, and every finding as one Parquet file.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from time import perf_counter

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.faults import reach
from connectors.findings import FindingBook
from connectors.register import engine
from connectors.register.difference import Appearance, Difference
from connectors.register.engine import literal, parquet
from connectors.rules.engine import Limits, RuleEngine
from connectors.schema import FINDINGS
from connectors.staging.stage import Staged, StagedFile, stage
from ipregister.deliveries import Kind
from ipregister.mapping import RecordMapping, mapping_for
from ipregister.model import Right, load_tables
from ipregister.profiles import Override, load_profile
from ipregister.quality import Severity, load_rules, rules_for

SAME_NUMBER_TWICE, SUPERSEDED_IN_UPDATE = "ALL.UNQ.001", "ALL.UNQ.006"
OUTDATED, UNKNOWN_REMOVAL = "ALL.CNS.019", "ALL.CNS.020"

_INDEX = re.compile(r"\[([0-9]+)\]")


@dataclass(slots=True)
class Checked:
    """A delivery as read and judged; ``durations`` are seconds per step."""

    staged: Staged
    durations: dict[str, float] = field(default_factory=dict)

    @property
    def findings(self) -> Sequence[Path]:
        """Return the files of findings, ``connectors.schema.FINDINGS``."""
        return self.staged.findings


def check(
    office: str,
    right: Right,
    files: Sequence[StagedFile],
    directory: Path,
    *,
    at: datetime,
    workers: int = 1,
    memory_limit: str = engine.MEMORY_LIMIT,
) -> Checked:
    """Read, map and judge one delivery.

    Args:
        office: whose delivery.
        right: what it should hold.
        files: its members.
        directory: where rows and findings are written; made when missing.
        at: when the delivery was received; the rules know the office's day.
        workers: processes for reading.
        memory_limit: what the rules' query may use before it spills.

    Raises:
        ConfigurationError: profile, format or rules are wrong.
    """
    started = perf_counter()
    checked = Checked(stage(office, right, files, directory, workers=workers))
    checked.durations["read"] = perf_counter() - started
    reach("stage.finished")
    started = perf_counter()
    profile = load_profile(office)
    overrides = tuple(sorted(profile.rules.items()))
    limits = Limits(memory_limit, workers, directory.parent / ".spill")
    rules = _engine(right, overrides, directory.parent / ".rules")
    found = rules.check(checked.staged.rows, as_of=profile.day_of(at), limits=limits)
    located = _located(found, mapping_for(office, right))
    _write(located, directory / "findings-rules.parquet")
    reach("rules.written")
    checked.durations["rules"] = perf_counter() - started
    return checked


_engines: dict[tuple[Right, tuple[tuple[str, Override], ...]], RuleEngine] = {}


def _engine(
    right: Right, overrides: tuple[tuple[str, Override], ...], remembered: Path
) -> RuleEngine:
    """Return compiled rules; compiling takes half a second, and most offices share theirs."""
    if (right, overrides) not in _engines:
        table, rules = load_tables()[right], rules_for(right)
        _engines[right, overrides] = RuleEngine(
            table, rules, dict(overrides), remembered=remembered
        )
    return _engines[right, overrides]


def note_appearances(
    checked: Checked, office: str, right: Right, code: str, places: Sequence[Appearance]
) -> None:
    """Write one finding of a rule for every place where the comparison found a record.

    Args:
        checked: the delivery.
        office: whose delivery.
        right: of which right.
        code: one of the codes above.
        places: where the records stand.
    """
    if not places:
        return
    book = FindingBook(load_profile(office).rules)
    number = mapping_for(office, right).element_path("applicationNumber") or ""
    record = number.partition("/")[0]  # the line is its own
    rows = [
        book.finding(
            code,
            file=place.file,
            line=place.line,
            recordId=place.record_id,
            applicationNumber=place.application_number,
            elementPath=record,
            value=place.application_number,
        )
        for place in places
    ]
    table = pa.Table.from_pylist([row for row in rows if row], schema=FINDINGS)
    pq.write_table(table, checked.staged.directory / f"findings-{code}.parquet")


def note_comparison(
    checked: Checked, office: str, right: Right, kind: Kind, changes: Difference
) -> None:
    """Write the findings that only the comparison with itself and the register shows."""
    twice = SAME_NUMBER_TWICE if kind is Kind.FULL_EXTRACTION else SUPERSEDED_IN_UPDATE
    note_appearances(checked, office, right, twice, changes.conflicts)
    note_appearances(checked, office, right, OUTDATED, changes.outdated)
    note_appearances(checked, office, right, UNKNOWN_REMOVAL, changes.unknown)


def collect_findings(
    checked: Checked, target: Path, earlier: Sequence[Path] = ()
) -> dict[str, int]:
    """Write all findings of a delivery into one file, and return their number by severity.

    Args:
        checked: the delivery.
        target: the file to write, sorted by severity and rule.
        earlier: findings of the office's earlier deliveries of this right; a finding that
            stood there already (same rule, record, field and value) is ``open``, not ``new``.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    files = checked.findings
    con = engine.connect(temporary=checked.staged.directory / ".spill")
    try:
        if not files:
            pq.write_table(FINDINGS.empty_table(), unfinished)
        else:
            _leave_out_echoes(con, files)
            known = [path for path in earlier if path.exists()]
            con.execute(
                f"""
                CREATE TEMP TABLE known AS
                SELECT DISTINCT ruleCode, recordId, field, value
                FROM {parquet(known) if known else "found WHERE FALSE"}
                """
            )
            con.execute(
                f"""
                COPY (
                    SELECT f.* REPLACE (
                        CASE WHEN k.ruleCode IS NULL THEN 'new' ELSE 'open' END AS state)
                    FROM found f LEFT JOIN known k
                      ON f.ruleCode = k.ruleCode
                     AND f.recordId IS NOT DISTINCT FROM k.recordId
                     AND f.field IS NOT DISTINCT FROM k.field
                     AND f.value IS NOT DISTINCT FROM k.value
                    ORDER BY list_position(['critical', 'error', 'warning', 'info'], f.severity),
                             f.ruleCode, f.file, f.line, f.field, f.value
                ) TO {literal(unfinished)} (FORMAT parquet, COMPRESSION zstd)
                """
            )
        counts = con.execute(
            f"SELECT severity, count(*) FROM {parquet([unfinished])} GROUP BY severity"
        ).fetchall()
    finally:
        con.close()
    reach("findings.unfinished")
    unfinished.replace(target)
    reach("findings.named")
    return {str(severity): int(count) for severity, count in counts}


def _leave_out_echoes(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Make ``found``: all findings, but those that call missing what another one cannot read.

    A finding stays that is graver, or knows another value. The line tells apart two versions of a
    record in one file. What cannot be read of a design is missing in the record, which has it from
    its designs.
    """
    wanted = ", ".join(
        f"({literal(rule.code)}, {literal(path)})" for rule in load_rules() for path in rule.wanted
    )
    told = ", ".join(literal(r.code) for r in load_rules() if r.raised_by == "normalisation")
    con.execute(
        rf"""
        CREATE TEMP VIEW read AS SELECT *,
            list_position(['info', 'warning', 'error', 'critical'], severity) AS gravity
        FROM {parquet(files)};
        CREATE TEMP VIEW told AS SELECT *,
            UNNEST([regexp_replace(field, '\[[0-9]+\]', '', 'g'),
                    NULLIF(regexp_replace(field, '^designs\[[0-9]+\][.]', ''), field)]) AS plain
        FROM read WHERE ruleCode IN ({told});
        CREATE TEMP VIEW found AS
        SELECT f.* EXCLUDE (gravity) FROM read f
        WHERE NOT EXISTS (
            SELECT 1 FROM (VALUES {wanted}) AS w(ruleCode, plain), told t
            WHERE w.ruleCode = f.ruleCode AND t.plain = w.plain
              AND t.recordId = f.recordId AND t.file = f.file
              AND starts_with(t.field, regexp_extract(f.field, '^.*\]'))
              AND COALESCE(f.suggestedValue = t.suggestedValue, f.suggestedValue IS NULL)
              AND t.gravity >= f.gravity AND COALESCE(t.line >= f.line, TRUE))
        """
    )


def _located(batches: Iterator[pa.RecordBatch], mapping: RecordMapping) -> Iterator[pa.RecordBatch]:
    """Add to each finding where its field stands in the office's own file."""
    path = cache(partial(_nearest_path, mapping))
    place = FINDINGS.get_field_index("elementPath")
    for batch in batches:
        fields = batch.column("field").to_pylist()
        places = batch.column("elementPath").to_pylist()
        column = pa.array(map(path, fields, places), pa.string())
        yield batch.set_column(place, FINDINGS.field(place), column)


def _nearest_path(mapping: RecordMapping, field: str | None, place: str | None) -> str | None:
    """Return the element of a field, or of what contains it, or where it should stand."""
    further = opener = 0
    if field and place:
        further, opener, *passed = (int(number or 0) for number in place.split(" "))
        for index, more in zip(reversed(list(_INDEX.finditer(field))), passed, strict=False):
            field = f"{field[: index.start(1)]}{int(index[1]) + more}{field[index.end(1) :]}"
    while field:
        if path := mapping.element_path(field, opener, further):
            return path
        field = field.rpartition(".")[0]
    return None


def _write(batches: Iterator[pa.RecordBatch], path: Path) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            if writer is None:
                writer = pq.ParquetWriter(path, FINDINGS, compression="zstd")
            writer.write_batch(batch)
    finally:
        if writer is not None:
            writer.close()


def records_with(code: str, findings: Sequence[Path]) -> int:
    """Return how many records have a finding of one rule."""
    if not findings:
        return 0
    tables = (pq.read_table(path, columns=["ruleCode", "recordId"]) for path in findings)
    found = pa.concat_tables(tables).to_pylist()
    return len({row["recordId"] for row in found if row["ruleCode"] == code})


def first_message(findings: Sequence[Path]) -> str:
    """Return what the first of the worst findings says."""
    rows = [
        row
        for path in findings
        for row in pq.read_table(path, columns=["severity", "message"]).to_pylist()
    ]
    worst = min(rows, key=lambda row: list(Severity).index(Severity(row["severity"])), default=None)
    return str(worst["message"]) if worst else "See the findings."
