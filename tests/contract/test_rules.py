"""Every rule keeps its own promise, and the words about rules are true."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from pydantic import ValidationError

from connectors.checking import mapping_for
from connectors.rules.engine import RuleEngine
from connectors.rules.sql import spark_sql
from connectors.schema import staged_schema
from ipregister.model import Right, load_tables
from ipregister.quality import Rule, Severity, load_rules, rules_for
from ipregister.rule_catalogue import render

ROOT = Path(__file__).parents[2]
AS_OF = date(2026, 1, 1)
CASES = [
    pytest.param(right, rule, id=f"{right}-{rule.code}")
    for right in Right
    for rule in rules_for(right)
    if rule.raised_by == "predicate"
]


def write_examples(right: Right, rules: Sequence[Rule], path: Path) -> Counter[tuple[str, str]]:
    """Write the examples of rules as staged rows; return how often a rule reports each of its own.

    A record is called ``TM.CNF.001 bad 0``, after its rule.
    """
    promised: Counter[tuple[str, str]] = Counter()
    rows = []
    for rule in rules:
        assert rule.examples is not None
        for kind in ("ok", "bad"):
            for number, example in enumerate(getattr(rule.examples, kind)):
                record = f"{rule.code} {kind} {number}"
                rows.append({"sourceFile": "a.xml", "sourceLine": 7, **example, "recordId": record})
                promised[rule.code, record] = int(kind == "bad")
    pq.write_table(pa.Table.from_pylist(rows, schema=staged_schema(right)), path)
    return promised


def broken_promises(right: Right, rules: Sequence[Rule], directory: Path) -> dict[str, str]:
    """Return the rules whose examples are not judged as they say: code and what happened."""
    path = directory / "rows.parquet"
    promised = write_examples(right, rules, path)
    found: Counter[tuple[str, str]] = Counter()
    for batch in RuleEngine(load_tables()[right], rules).check(path, as_of=AS_OF):
        for finding in batch.to_pylist():
            key = (finding["ruleCode"], finding["recordId"])
            if key in promised:
                found[key] += 1
    return {
        code: f"{record} reported {found[code, record]} times"
        for (code, record), times in promised.items()
        if found[code, record] != times
    }


@pytest.fixture(scope="module")
def record_rules(tmp_path_factory):
    """Judge the examples of all record rules of a right at once, as intake does."""
    return {
        right: broken_promises(
            right,
            [r for r in rules_for(right) if r.raised_by == "predicate" and r.scope == "record"],
            tmp_path_factory.mktemp(right),
        )
        for right in Right
    }


@pytest.mark.parametrize(("right", "rule"), CASES)
def test_rule_keeps_its_own_promise(record_rules, right, rule, tmp_path):
    # Set rules look at a whole delivery, so their examples must be alone in it.
    broken = record_rules[right]
    if rule.scope == "set":
        broken = broken_promises(right, [rule], tmp_path)
    assert broken.get(rule.code) is None


@pytest.mark.parametrize(
    "violation",
    ["registrationDate > applicationDate", "registrationDate <= applicationDate", "FALSE", "TRUE"],
)
def test_a_rule_that_breaks_its_promise_is_noticed(violation, tmp_path):
    rule = next(rule for rule in load_rules() if rule.code == "ALL.CNS.001")
    broken = rule.model_copy(update={"violation": violation})
    assert set(broken_promises(Right.TRADEMARKS, [broken], tmp_path)) == {"ALL.CNS.001"}


@pytest.mark.parametrize(("right", "rule"), CASES)
def test_rule_can_run_on_spark(right, rule):
    sql = spark_sql(rule, load_tables()[right])
    assert not re.search(r"(?i)\b(array_length|list_\w+|len|lambda|regexp_matches)\b", sql)


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.code)
def test_words_are_sentences_for_an_office(rule):
    assert rule.title[0].isupper()
    assert not rule.title.endswith(".")
    assert rule.remedy.endswith(".")
    assert len(rule.source) > 2
    if rule.message is not None:
        assert rule.message.endswith(".")


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.code)
def test_no_pattern_depends_on_the_engine(rule):
    # \d and \w match other digits and letters in Python, DuckDB and Spark.
    assert not re.search(r"\\[dwsb]", f"{rule.violation} {rule.suggest}")


@pytest.mark.parametrize("number", ["๐๑๒", "០០១", "၀၀၁", "01", "0001"])
def test_a_code_ends_in_three_digits_of_ours(number):
    known = next(rule for rule in load_rules() if rule.code == "ALL.CNS.001")
    with pytest.raises(ValidationError, match="code"):
        Rule.model_validate(known.model_dump(by_alias=True) | {"code": f"ALL.CNS.{number}"})


def test_only_few_rules_keep_records_from_third_parties():
    critical = {rule.code for rule in load_rules() if rule.severity is Severity.CRITICAL}
    assert critical == {
        "ALL.PKG.001",
        "ALL.PKG.002",
        "ALL.PKG.008",
        "ALL.PKG.009",
        "ALL.CMP.001",
        "ALL.CMP.003",
        "ALL.UNQ.001",
        "PT.UNQ.001",
        "DS.UNQ.001",
        "DS.CNS.006",
        "PT.CNS.011",
    }


def test_every_code_that_is_named_anywhere_is_a_rule_and_no_rule_is_for_show():
    files = [
        *ROOT.glob("ipregister/**/*.py"),
        *ROOT.glob("connectors/**/*.py"),
        *ROOT.glob("offices/**/*.yaml"),
    ]
    pattern = re.compile(r"\b(?:ALL|TM|PT|DS)\.(?:CMP|CNF|CNS|UNQ|PKG)\.[0-9]{3}\b")
    named = {code for path in files for code in pattern.findall(path.read_text("utf-8"))}
    assert named <= {rule.code for rule in load_rules()}
    # A rule without a predicate that nobody raises tells offices of a check there is not.
    assert named >= {rule.code for rule in load_rules() if rule.violation is None}


def test_the_guide_shows_a_rule_that_works(tmp_path):
    guide = (ROOT / "docs" / "guides" / "add-a-rule.md").read_text("utf-8")
    (shown,) = yaml.safe_load(guide.split("```yaml\n")[1].split("```")[0])
    rule = Rule.model_validate(shown)
    assert broken_promises(Right.TRADEMARKS, [rule], tmp_path) == {}
    assert rule.code not in {known.code for known in load_rules()}
    assert rule.field
    assert mapping_for("KH", Right.TRADEMARKS).element_path(rule.field)


def test_the_page_about_the_rules_is_current():
    page = (ROOT / "docs" / "quality-rules.md").read_text("utf-8")
    # If not: python -m ipregister.rule_catalogue > docs/quality-rules.md
    assert page == render(load_rules())


def test_what_a_rule_asks_for_is_a_field_of_its_table() -> None:
    def has(path: str, field: pa.Field) -> bool:
        for name in path.split("."):
            kind = field.type
            while pa.types.is_list(kind):
                kind = kind.value_type
            if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
                return False
            field = kind.field(name)
        return True

    for right in Right:
        table = pa.field("row", pa.struct(list(staged_schema(right))))
        wanted = {path for rule in rules_for(right) for path in rule.wanted}
        assert wanted
        assert {path for path in wanted if not has(path, table)} == set()
    assert not has("applicants.nobody", table)


def test_only_rules_about_absence_ask_for_something() -> None:
    assert all(not rule.asks_for or ".CMP." in rule.code for rule in load_rules())


@pytest.mark.parametrize("right", [Right.TRADEMARKS, Right.DESIGNS])
def test_what_a_finding_points_at_stands_in_the_offices_file(right: Right) -> None:
    mapping = mapping_for("KH", right)
    fields = {rule.field for rule in rules_for(right) if rule.raised_by == "predicate"}
    nowhere = {
        field
        for field in fields
        if field
        and not mapping.element_path(field)
        and not mapping.element_path(field.rpartition(".")[0])
    }
    # What only the office's profile derives has no element of its own.
    assert nowhere <= {"internationalRegistrationNumber", "filingRoute", "terminationDate"}
