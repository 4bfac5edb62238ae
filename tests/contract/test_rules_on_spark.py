"""Every rule judges the same in DuckDB and, translated, in Spark's dialect (ADR 0003).

All rules of a right are asked about the examples of all of them, good and bad.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from connectors.rules.engine import RuleEngine
from connectors.rules.sql import spark_sql
from ipregister.model import Right, load_tables
from ipregister.quality import Rule, rules_for
from tests.contract.test_rules import AS_OF, CASES, write_examples

ON_SAIL = Path(__file__).with_name("on_sail.py")


def question(right: Right, rule: Rule, rows: Path) -> str:
    """Return a query for every record, and for lists every item, whether the rule is broken."""
    source = f"parquet.`{rows}`"
    if rule.each:
        outer, _, inner = rule.each.partition(".")
        item = "outer_item" if inner else "item"
        source = f"(SELECT *, EXPLODE({outer}) AS {item} FROM {source})"
        if inner:
            source = f"(SELECT *, EXPLODE(outer_item.{inner}) AS item FROM {source})"
    # Not as a condition: Sail 0.7 cannot push a lambda down into a file.
    return f"SELECT recordId, {spark_sql(rule, load_tables()[right])} AS broken FROM {source}"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Return what DuckDB and what Sail reported: right and rule to record to number of times."""
    duckdb: dict[str, Counter[str]] = {f"{right} {rule.code}": Counter() for right, rule in PAIRS}
    queries = {}
    for right in Right:
        rules = [rule for rule in rules_for(right) if rule.raised_by == "predicate"]
        rows = tmp_path_factory.mktemp(right) / "rows.parquet"
        write_examples(right, rules, rows)
        for batch in RuleEngine(load_tables()[right], rules).check(rows, as_of=AS_OF):
            for finding in batch.to_pylist():
                duckdb[f"{right} {finding['ruleCode']}"][finding["recordId"]] += 1
        queries |= {f"{right} {rule.code}": question(right, rule, rows) for rule in rules}
    done = subprocess.run(
        [sys.executable, ON_SAIL, AS_OF.isoformat()],
        input=json.dumps(queries),
        env=os.environ | {"RUST_LOG": "error"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return duckdb, json.loads(done.stdout)


PAIRS = [case.values for case in CASES]


@pytest.mark.parametrize(("right", "rule"), CASES)
def test_duckdb_and_spark_find_the_same(judged, right, rule):
    duckdb, spark = judged
    name = f"{right} {rule.code}"
    assert duckdb[name], "its bad examples are among the records"
    assert spark[name] == duckdb[name]
