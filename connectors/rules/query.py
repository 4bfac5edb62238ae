"""The queries that turn rules into findings: many rules, one scan.

A row is first asked whether any rule reports it at all; only then are the findings built,
as a list of structs with value, message and suggestion. So clean rows cost one predicate a
rule and nothing else. Checking and writing the expressions is ``sql``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipregister.errors import ConfigurationError
from ipregister.quality import Rule

STAGED = "read_parquet($staged, file_row_number = true, union_by_name = true)"
"""The staged rows; the parameter is the list of files."""

ITEM = "item"
"""The name by which an ``each`` rule sees one element of its list."""

AS_OF = "as_of"
"""The only parameter of a rule: the office's day on which the delivery was received."""

_OUTER = "outer_item"
"""The name of the item around it, where ``each`` names a list in the items of another."""

_ABOUT = "recordId, applicationNumber, sourceFile, sourceLine"

_POSITIONS_BYTES = 1_000_000
"""Positions of a record, once per finding, up to which each finding has its own line. They are
parsed a dozen times each: a record with 1,000 applicants and no country took all of 488 MiB."""


@dataclass(frozen=True, slots=True)
class RuleParts:
    """A rule's checked expressions: is it broken, and what to tell the office.

    ``violation``, ``value``, ``message`` and ``suggested`` are DuckDB SQL; the last three
    are text.
    """

    violation: str
    value: str
    message: str
    suggested: str


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, its number in the query and its SQL."""

    number: int
    rule: Rule
    parts: RuleParts


def trouble(rule: Rule, detail: str) -> ConfigurationError:
    """Return the error for a rule that cannot be used."""
    return ConfigurationError(f"rule {rule.code} {detail}", rule=rule.code)


def record_query(rules: Sequence[CompiledRule], source: str = STAGED) -> str:
    """Return the query that yields the findings of record rules."""
    whole = [rule for rule in rules if rule.rule.each is None]
    by_list: dict[str, list[CompiledRule]] = {}
    for rule in rules:
        if rule.rule.each:
            by_list.setdefault(rule.rule.each, []).append(rule)
    broken = [f"({rule.parts.violation})" for rule in whole]
    findings = [_list(_finding(rule) for rule in whole)] if whole else []
    for name, group in by_list.items():
        any_broken = " OR ".join(f"({rule.parts.violation})" for rule in group)
        broken.append(_any(name, any_broken))
        findings += [_each(name, rule) for rule in group]
    return f"""
        SELECT {_COLUMNS}
        FROM (
            SELECT {_ABOUT}, UNNEST(findings) AS finding,
                CASE WHEN STRLEN(positions) * LEN(findings) <= {_POSITIONS_BYTES}
                    THEN positions END AS positions
            FROM (
                SELECT {_ABOUT}, positions,
                    LIST_FILTER(FLATTEN({_list(findings)}), LAMBDA f : f IS NOT NULL) AS findings
                FROM {source}
                WHERE {" OR ".join(broken)}
            )
        )
        JOIN {_catalogue(rules)} ON finding.rule = catalogue.rule
    """


def set_query(rules: Sequence[CompiledRule], source: str = STAGED) -> str:
    """Return the query that yields the findings of set rules.

    The windows run over narrow rows; what a finding says about its record is read again for
    the few rows that are reported.
    """
    # Files know the position of a row; the empty table a rule is tried on does not need one.
    place = "filename, file_row_number"
    if source != STAGED:
        place = "'' AS filename, 0 AS file_row_number"
    return f"""
        WITH rows AS NOT MATERIALIZED (SELECT *, {place} FROM {source}),
        reported AS (
            SELECT filename, file_row_number, UNNEST(findings) AS finding
            FROM (
                SELECT filename, file_row_number,
                    LIST_FILTER({_list(map(_finding, rules))}, LAMBDA f : f IS NOT NULL) AS findings
                FROM rows
            )
        )
        SELECT {_COLUMNS}
        FROM rows
        JOIN reported USING (filename, file_row_number)
        JOIN {_catalogue(rules)} ON finding.rule = catalogue.rule
    """


def _finding(rule: CompiledRule, item: str = "CAST(NULL AS VARCHAR)") -> str:
    parts = rule.parts
    return (
        f"CASE WHEN {parts.violation} THEN {{'rule': {rule.number}, 'item': {item}, "
        f"'value': {parts.value}, 'message': {parts.message}, 'suggested': {parts.suggested}}} END"
    )


def _any(name: str, broken: str) -> str:
    """Return whether something is wrong with any item of a list, or of a list in its items."""
    outer, _, inner = name.partition(".")
    if inner:
        found = f'LEN(LIST_FILTER("{_OUTER}"."{inner}", LAMBDA "{ITEM}" : {broken})) > 0'
        return f'LEN(LIST_FILTER("{outer}", LAMBDA "{_OUTER}" : {found})) > 0'
    return f'LEN(LIST_FILTER("{name}", LAMBDA "{ITEM}" : {broken})) > 0'


def _each(name: str, rule: CompiledRule) -> str:
    """Return the findings about the items of a list; ``item`` is their path: ``names[0]``."""
    outer, _, inner = name.partition(".")
    if not inner:
        place = f"CONCAT('{name}[', \"position\" - 1, ']')"
        return _transformed(name, ITEM, "position", _finding(rule, place))
    place = f"CONCAT('{outer}[', \"outer_position\" - 1, '].{inner}[', \"position\" - 1, ']')"
    found = _transformed(f'"{_OUTER}"."{inner}"', ITEM, "position", _finding(rule, place))
    return f"FLATTEN({_transformed(outer, _OUTER, 'outer_position', found)})"


def _transformed(values: str, item: str, position: str, sql: str) -> str:
    return f'COALESCE(LIST_TRANSFORM({values}, LAMBDA "{item}", "{position}" : {sql}), [])'


def _list(elements: Iterable[str]) -> str:
    return f"[{', '.join(elements)}]"


def _catalogue(rules: Sequence[CompiledRule]) -> str:
    """Return the constant parts of findings as a small table.

    ``member`` is the field's path, in an ``each`` rule from the item on.
    """
    rows = []
    for compiled in rules:
        rule = compiled.rule
        each = rule.each or ""
        member = (rule.field or "").removeprefix(each)
        values = (rule.code, str(rule.severity), rule.remedy, member)
        quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
        rows.append(f"({compiled.number}, {quoted})")
    return f"(VALUES {', '.join(rows)}) AS catalogue(rule, code, severity, remedy, member)"


def _pointer(pointer: str) -> str:
    """Return the line at a JSON pointer; NULL where there is no single line."""
    return f"TRY_CAST(JSON_EXTRACT_STRING(positions, {pointer}) AS INTEGER)"


_ITEM_POINTER = "CONCAT('/', REPLACE(REPLACE(REPLACE(finding.item, '].', '/'), '[', '/'), ']', ''))"
_OUTER_POINTER = f"REGEXP_REPLACE({_ITEM_POINTER}, '/[^/]*/[0-9]+$', '')"
_MEMBER_POINTER = "REPLACE(member, '.', '/')"
_FIRST_OF_LIST = "CONCAT('/', SPLIT_PART(member, '.', 1), '/0')"


def _filler(pointer: str) -> str:
    """Return which element filled what stands at a JSON pointer, if not the first that may."""
    return _pointer(f"REGEXP_REPLACE({pointer}, '/([^/]+)((?:/[0-9]+)?)$', '/@\\1\\2')")


_MEMBER = f"CONCAT({_ITEM_POINTER}, {_MEMBER_POINTER})"
# Which element filled the member and which opened the item, if not the first; how many elements
# before the item and before the one around it were none. A list as a whole has its first item's.
_PLACE = f"""NULLIF(CONCAT(
        COALESCE({_filler(_MEMBER)}, {_filler(f"CONCAT({_MEMBER}, '/0')")},
            CASE WHEN finding.item IS NOT NULL THEN {_filler(_ITEM_POINTER)} END), ' ',
        COALESCE({_pointer(f"CONCAT({_ITEM_POINTER}, '/@')")},
            {_pointer(f"CONCAT({_OUTER_POINTER}, '/@')")},
            CASE WHEN finding.item IS NULL THEN {_pointer(f"CONCAT({_FIRST_OF_LIST}, '/@')")} END),
        ' ', {_pointer(f"CONCAT({_ITEM_POINTER}, '/#')")},
        ' ', {_pointer(f"CONCAT({_OUTER_POINTER}, '/#')")}), '   ')"""
# The most exact line that is known: the member, its list item, the list, what holds the list,
# the record. Of a list that is meant as a whole it is the line of the first item.
_LINE = f"""CASE WHEN finding.item IS NULL THEN COALESCE(
        {_pointer(f"CONCAT('/', {_MEMBER_POINTER})")},
        {_pointer(f"CONCAT('/', {_MEMBER_POINTER}, '/0')")},
        {_pointer(f"CONCAT('/', {_MEMBER_POINTER}, '/0/')")},
        {_pointer("CONCAT('/', SPLIT_PART(member, '.', 1), '/')")},
        {_pointer("CONCAT('/', SPLIT_PART(member, '.', 1), '/0/')")},
        sourceLine)
    ELSE COALESCE(
        {_pointer(f"CONCAT({_ITEM_POINTER}, {_MEMBER_POINTER})")},
        {_pointer(f"CONCAT({_ITEM_POINTER}, {_MEMBER_POINTER}, '/0')")},
        {_pointer(f"CONCAT({_ITEM_POINTER}, '/')")},
        {_pointer(_ITEM_POINTER)},
        {_pointer(f"REGEXP_REPLACE({_ITEM_POINTER}, '/[0-9]+$', '')")},
        {_pointer(f"CONCAT({_OUTER_POINTER}, '/')")},
        sourceLine) END"""

_COLUMNS = f"""
    catalogue.code AS "ruleCode",
    catalogue.severity AS severity,
    recordId AS "recordId",
    applicationNumber AS "applicationNumber",
    CONCAT(finding.item, member) AS field,
    {_PLACE} AS "elementPath",
    sourceFile AS file,
    {_LINE} AS line,
    finding.value AS value,
    finding.message AS message,
    catalogue.remedy AS remedy,
    finding.suggested AS "suggestedValue",
    'new' AS state"""
