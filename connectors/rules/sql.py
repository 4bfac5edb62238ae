"""Expressions of quality rules: checked against the table, then written as SQL.

A rule is data, so its text never reaches a database as it stands: it is parsed, every node
must be on the list below, every column must be a field of ``ipregister/tables/*.yaml``, and
what runs is generated from the checked tree. Running it is ``engine``.
"""

import re
from collections.abc import Iterable
from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from connectors.rules.query import AS_OF, ITEM, RuleParts, trouble
from ipregister.model import Member, Table
from ipregister.quality import Rule

VALUE_CHARACTERS = 200
"""Longest value in a finding or a message; the record itself has the rest."""

NOT_GIVEN = "not given"
"""What a message says in place of a value that is missing."""

STRUCTURE = (
    *(exp.Column, exp.Identifier, exp.Dot, exp.Bracket, exp.Lambda, exp.Placeholder, exp.Paren),
    *(exp.Literal, exp.Null, exp.Boolean, exp.Interval, exp.Var, exp.DataType),
    *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In),
    *(
        exp.Between,
        exp.Like,
        exp.NullSafeEQ,
        exp.NullSafeNEQ,
        exp.Add,
        exp.Sub,
        exp.Mul,
        exp.Div,
        exp.Mod,
        exp.Neg,
    ),
    *(exp.Case, exp.If, exp.Cast, exp.TryCast),
)
FUNCTIONS = (
    *(exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Abs),
    *(exp.ArraySize, exp.ArrayFilter, exp.Transform, exp.ArrayDistinct, exp.ArrayContains),
    *(exp.ArrayMin, exp.ArrayMax, exp.ArrayToString, exp.Flatten),
    *(exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace, exp.Replace, exp.StartsWith),
    *(
        exp.Upper,
        exp.Lower,
        exp.Trim,
        exp.Length,
        exp.Left,
        exp.Substring,
        exp.Concat,
        exp.ConcatWs,
    ),
    *(exp.DateDiff, exp.Year),
)
"""Functions that DuckDB and Spark both have and that read nothing but their arguments."""

SET_FUNCTIONS = (exp.Window, exp.Count, exp.Min, exp.Max, exp.Star)
"""What ``scope: set`` adds: windows over the delivery."""


def compile_rules(rules: Iterable[Rule], table: Table) -> list[RuleParts]:
    """Return the SQL of several rules, in their order.

    Raises:
        ConfigurationError: a rule is not valid for this table; the message names it.
    """
    return [compile_rule(rule, table) for rule in rules]


def compile_rule(rule: Rule, table: Table) -> RuleParts:
    """Return the SQL of one predicate rule.

    Raises:
        ConfigurationError: not one plain expression, a function or column that rules may not
            use, or a path that the table does not have. The message names the rule.
    """
    if rule.each and rule.scope == "set":
        raise trouble(rule, "a set rule sees whole records, not the items of a list")
    violation = parse(rule.violation or "", rule, table)
    suggested = "NULL"
    if rule.suggest:
        suggested = _as_text(_duckdb(parse(rule.suggest, rule, table)))
    return RuleParts(_duckdb(violation), _value(rule, table), _message(rule, table), suggested)


def spark_sql(rule: Rule, table: Table) -> str:
    """Return the predicate in Spark's dialect; the item of an ``each`` rule is ``item``.

    Raises:
        ConfigurationError: as ``compile_rule``.
    """
    return parse(rule.violation or "", rule, table).sql("spark", comments=False)


def parse(text: str, rule: Rule, table: Table) -> exp.Expr:
    """Return the checked tree of one expression.

    Raises:
        ConfigurationError: as ``compile_rule``.
    """
    try:
        trees = sqlglot.parse(text, read="duckdb")
    except SqlglotError as exc:
        raise trouble(rule, f"cannot be parsed: {text!r}") from exc
    if len(trees) != 1 or trees[0] is None:
        raise trouble(rule, f"is not one expression: {text!r}")
    tree = trees[0]
    allowed = STRUCTURE + FUNCTIONS + (SET_FUNCTIONS if rule.scope == "set" else ())
    for node in tree.walk():
        if type(node) not in allowed:
            raise trouble(rule, f"may not use {_word(node)}")
        if isinstance(node, exp.Placeholder) and node.name != AS_OF:
            raise trouble(rule, f"knows no parameter ${node.name}")
        if isinstance(node, exp.Column):
            _check_column(node, rule, table)
    return tree


def member_at(path: str, rule: Rule, table: Table) -> tuple[Member, bool]:
    """Return the field or member at a canonical path, and whether the path enters a list.

    Raises:
        ConfigurationError: the table has no such path.
    """
    found = _paths(table).get(path)
    if found is None:
        raise trouble(rule, f"unknown column {path!r} of table {table.name}")
    parents = [path[: match.start()] for match in re.finditer(r"\.", path)]
    return found, any(_paths(table)[parent].type in ("list", "texts") for parent in parents)


@cache
def _paths(table: Table) -> dict[str, Member]:
    paths = {path: member for path, member, _ in table.paths()}
    for path, member in list(paths.items()):
        if member.type == "texts":
            for name in ("text", "languageCode"):
                text = Member(name=name, type="string", description="Part of a localised text")
                paths[f"{path}.{name}"] = text
    return paths


def _check_column(column: exp.Column, rule: Rule, table: Table) -> None:
    head, *members = (part.name for part in column.parts)
    if head in _lambda_variables(column):
        return
    if rule.each and head == ITEM:
        if members:
            member_at(".".join([rule.each, *members]), rule, table)
        return
    _, enters_list = member_at(".".join([head, *members]), rule, table)
    if enters_list:
        raise trouble(rule, f"must use a lambda or an index to look into the list {head!r}")


def _lambda_variables(column: exp.Column) -> set[str]:
    names: set[str] = set()
    node: exp.Expr | None = column
    while node is not None:
        if isinstance(node, exp.Lambda):
            names |= {variable.name for variable in node.expressions}
        node = node.parent
    return names


def _message(rule: Rule, table: Table) -> str:
    """Turn ``Date {a} is earlier than {b}.`` into a SQL text."""
    pieces = re.split(r"\{([^{}]*)\}", rule.message or f"{rule.title}.")
    parts = [_quoted(piece) for piece in pieces[::2]]
    for index, expression in enumerate(pieces[1::2]):
        text = _as_text(_duckdb(parse(expression, rule, table)))
        parts[index] += f", COALESCE({text}, {_quoted(NOT_GIVEN)})"
    return f"CONCAT({', '.join(parts)})"


def _value(rule: Rule, table: Table) -> str:
    """Return the verbatim value of the rule's field as SQL text; NULL when it has no one value."""
    field = rule.field or ""
    base, names = field, field.split(".")
    if rule.each:
        if field != rule.each and not field.startswith(f"{rule.each}."):
            raise trouble(rule, f"reports the field {field!r}, which is not in {rule.each!r}")
        base = field.removeprefix(rule.each).removeprefix(".")
        names = [ITEM, *base.split(".")] if base else [ITEM]
        if member_at(rule.each, rule, table)[0].type not in ("list", "texts"):
            raise trouble(rule, f"cannot see the items of {rule.each!r}: it is no list")
        outer, _, inner = rule.each.partition(".")
        if inner and ("." in inner or member_at(outer, rule, table)[0].type != "list"):
            raise trouble(rule, f"sees lists and lists in their items, which {rule.each!r} is not")
    member, enters_list = member_at(field, rule, table)
    if (enters_list and not rule.each) or member.type in ("list", "struct") or names == [ITEM]:
        return "NULL"
    column = ".".join(f'"{name}"' for name in names)
    if member.type == "texts":
        return _as_text(f"ARRAY_TO_STRING(LIST_TRANSFORM({column}, LAMBDA t : t.text), '; ')")
    if member.type == "strings":
        return _as_text(f"ARRAY_TO_STRING({column}, '; ')")
    return _as_text(column)


def _duckdb(tree: exp.Expr) -> str:
    return tree.sql("duckdb", identify=True, comments=False)


def _as_text(sql: str) -> str:
    return f"LEFT(CAST({sql} AS VARCHAR), {VALUE_CHARACTERS})"


def _quoted(text: str) -> str:
    return exp.Literal.string(text).sql("duckdb")


def _word(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return f"the function {node.name}"
    return str(node.key).upper()
