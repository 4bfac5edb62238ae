"""Runs the quality rules of one right over staged rows, set-based, in DuckDB.

All record rules share one scan; set rules (windows over the delivery) have a second one. A
rule that cannot run is our trouble and raises; it never becomes a finding about an office's
data. What a rule may say is ``sql``; what the words mean is ``ipregister.quality``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from connectors.rules.query import (
    AS_OF,
    STAGED,
    CompiledRule,
    RuleParts,
    record_query,
    set_query,
    trouble,
)
from connectors.rules.remembered import Remembered
from connectors.schema import FINDINGS, staged_schema
from connectors.staged_rows import with_columns
from ipregister.errors import StoreError
from ipregister.model import Table
from ipregister.profiles import Override
from ipregister.quality import Rule, Severity

BATCH_ROWS = 10_000
"""Findings handed over at a time: some 5 MB, so a bad delivery does not fill the memory."""

SURROUNDINGS = (duckdb.OutOfMemoryException, duckdb.IOException, duckdb.InterruptException)
"""Trouble of the machine, for which no rule is to blame."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one check may use; ``threads`` unset means all processors."""

    memory: str = "1GB"
    threads: int | None = None
    temp_directory: Path | None = None


class RuleEngine:
    """The predicate rules of one right, with one office's overrides, ready to run."""

    def __init__(
        self,
        table: Table,
        rules: Iterable[Rule],
        overrides: Mapping[str, Override] | None = None,
        *,
        remembered: Path | None = None,
    ) -> None:
        """Compile the rules against the table, or take what an earlier process made of them.

        Args:
            table: the canonical table the staged rows follow.
            rules: rules of this right; those without a predicate are left to who raises them.
            overrides: by rule code; codes of other rules are ignored.
            remembered: directory in which compiled rules are kept for the next process.

        Raises:
            ConfigurationError: a rule is not valid for this table; the message names it.
        """
        self.table = table
        effective = effective_rules(rules, overrides or {})
        kept = remembered and Remembered(remembered, effective, table)
        if kept and (parts := kept.read()):
            self._rules = _numbered(effective, parts)
            return
        # Its parser takes 0.1 s to import, which a process that remembers does not need.
        from connectors.rules.sql import compile_rules

        parts = compile_rules(effective, table)
        self._rules = _numbered(effective, parts)
        with connect([], Limits()) as connection:
            connection.register("staged", staged_schema(table.name).empty_table())
            self._bind(connection)
        if kept:
            kept.write(parts)

    def _bind(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let DuckDB check the rules against the table, on no rows.

        All of a scope at once (0.1 instead of 0.3 s); when that fails, one by one, so that the
        error can name its rule.
        """
        try:
            for rules in self._scopes():
                _plan(connection, rules)
        except duckdb.Error:
            for compiled in self._rules:
                _bind(connection, compiled)
            raise

    def _scopes(self) -> Iterator[list[CompiledRule]]:
        """Yield the rules that share one scan: record rules, then set rules."""
        for scope in ("record", "set"):
            if rules := [rule for rule in self._rules if rule.rule.scope == scope]:
                yield rules

    def check(
        self, staged: Path | str | Sequence[Path], *, as_of: date, limits: Limits | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the findings about staged rows, columns as ``connectors.schema.FINDINGS``.

        Args:
            staged: one Parquet file, a pattern, or several files, all ``staged_schema``.
            as_of: the date the delivery was received; nothing here reads the clock.
            limits: memory, threads and where to spill.

        Yields:
            Batches in order of rows; the findings of set rules come last. ``elementPath`` says
            which element filled the field and, after a blank each, which opened the item, if not
            the first, and how many before it, and before the item around it, were empty;
            ``state`` is ``new``.

        Raises:
            ConfigurationError: a rule failed while it ran; the message names the rule.
            StoreError: no such files, or they are not staged rows.
        """
        files = _files(staged)
        if not files:
            return
        with connect(files, limits or Limits()) as connection:
            for rules in self._scopes():
                yield from self._run(connection, rules, files, as_of)

    def _run(
        self,
        connection: duckdb.DuckDBPyConnection,
        rules: Sequence[CompiledRule],
        files: list[str],
        as_of: date,
    ) -> Iterator[pa.RecordBatch]:
        query = _query(rules)
        parameters = {"staged": files} | ({AS_OF: as_of} if f"${AS_OF}" in query else {})
        try:
            # A table first: planned once, and a rule that fails does so before any finding left.
            connection.execute(f"CREATE OR REPLACE TEMP TABLE found AS {query}", parameters)
            for batch in connection.table("found").to_arrow_reader(BATCH_ROWS):
                if batch.num_rows:
                    yield batch.cast(FINDINGS)
        except (duckdb.Error, pa.ArrowException) as exc:
            _probe(connection, files)
            if len(rules) == 1 and not isinstance(exc, SURROUNDINGS):
                # The name of the error only: its text may quote what an office wrote.
                raise trouble(rules[0].rule, f"failed while it ran: {type(exc).__name__}") from exc
            if len(rules) > 1:
                self._find_culprit(connection, rules, files, as_of)
            raise StoreError(f"the staged rows cannot be checked: {type(exc).__name__}") from exc

    def _find_culprit(
        self,
        connection: duckdb.DuckDBPyConnection,
        rules: Sequence[CompiledRule],
        files: list[str],
        as_of: date,
    ) -> None:
        for rule in rules:
            for _ in self._run(connection, [rule], files, as_of):
                pass


def connect(files: Sequence[str], limits: Limits) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that can read these files and nothing else."""
    connection = duckdb.connect(config={"memory_limit": limits.memory})
    if limits.threads is not None:
        connection.execute(f"SET threads = {int(limits.threads)}")
    # Empty: DuckDB would otherwise spill into the working directory.
    spill = limits.temp_directory
    connection.execute("SET temp_directory = ?", ["" if spill is None else str(spill)])
    # The set rules read the same files again; footers of 400 columns take a tenth of the time.
    connection.execute("SET parquet_metadata_cache = true")
    connection.execute("SET allowed_paths = ?", [list(files)])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def effective_rules(rules: Iterable[Rule], overrides: Mapping[str, Override]) -> list[Rule]:
    """Return the predicate rules with an office's severities; those it switched off are gone."""
    effective = []
    for rule in rules:
        override = overrides.get(rule.code)
        if rule.raised_by != "predicate" or (override and override.severity == "off"):
            continue
        severity = Severity(override.severity) if override else rule.severity
        effective.append(rule.model_copy(update={"severity": severity}))
    return effective


def _numbered(rules: Sequence[Rule], parts: Sequence[RuleParts]) -> list[CompiledRule]:
    pairs = zip(rules, parts, strict=True)
    return [CompiledRule(number, rule, sql) for number, (rule, sql) in enumerate(pairs)]


def _query(rules: Sequence[CompiledRule], source: str = STAGED) -> str:
    """Return the query of rules of one scope."""
    build = record_query if rules[0].rule.scope == "record" else set_query
    return build(rules, source)


def _plan(connection: duckdb.DuckDBPyConnection, rules: Sequence[CompiledRule]) -> None:
    query = _query(rules, source="staged")
    connection.execute(query, {AS_OF: date.min} if f"${AS_OF}" in query else {})


def _bind(connection: duckdb.DuckDBPyConnection, compiled: CompiledRule) -> None:
    """Let DuckDB check names of members and types, on no rows.

    Raises:
        ConfigurationError: the rule does not fit the table.
    """
    try:
        _plan(connection, [compiled])
    except duckdb.Error as exc:
        reason = str(exc).splitlines()[0]
        raise trouble(compiled.rule, f"does not fit the table: {reason}") from exc


def _probe(connection: duckdb.DuckDBPyConnection, files: list[str]) -> None:
    """Make sure that the rows themselves can be read, so that no rule is blamed for them.

    Raises:
        StoreError: they cannot.
    """
    try:
        connection.execute(f"SELECT COUNT(COLUMNS(*)) FROM {STAGED}", {"staged": files})
    except duckdb.Error as exc:
        raise StoreError(f"the staged rows cannot be read: {type(exc).__name__}") from exc


def _files(staged: Path | str | Sequence[Path]) -> list[str]:
    if not isinstance(staged, (str, Path)):
        return [str(path.resolve()) for path in with_columns(map(Path, staged))]
    path = Path(staged)
    if not any(sign in str(path) for sign in "*?["):
        if not path.is_file():
            raise StoreError("there are no staged rows at the given path")
        return [str(path.resolve())]
    anchor = Path(path.anchor or ".")
    return sorted(str(found.resolve()) for found in anchor.glob(str(path.relative_to(path.anchor))))
