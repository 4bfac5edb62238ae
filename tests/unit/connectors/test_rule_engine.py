"""The rule engine: what a finding says, what a rule may not do, who is blamed when one fails."""

import json
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.rules.engine import Limits, RuleEngine, connect
from connectors.rules.sql import compile_rule, spark_sql
from connectors.schema import FINDINGS, staged_schema
from ipregister.errors import ConfigurationError, StoreError
from ipregister.model import Right, load_tables
from ipregister.profiles import Override
from ipregister.quality import Rule

AS_OF = date(2026, 1, 1)
TRADEMARKS, PATENTS = load_tables()[Right.TRADEMARKS], load_tables()[Right.PATENTS]


def rule(violation, **more):
    entry = {
        "code": "TM.CNS.900",
        "severity": "error",
        "title": "Something is wrong",
        "remedy": "Correct it.",
        "source": "hub",
        "field": "applicationDate",
        "violation": violation,
        "examples": {"ok": [{}], "bad": [{}]},
    }
    return Rule.model_validate(entry | more)


@pytest.fixture
def stage(tmp_path):
    def write(*rows, right=Right.TRADEMARKS, name="rows.parquet"):
        known = {"recordId": "r1", "sourceFile": "a.zip!b.xml", "sourceLine": 7}
        path = tmp_path / name
        pq.write_table(
            pa.Table.from_pylist([known | row for row in rows], schema=staged_schema(right)), path
        )
        return path

    return write


def findings(rules, staged, table=TRADEMARKS, overrides=None):
    engine, limits = RuleEngine(table, rules, overrides), Limits(memory="200MB", threads=1)
    batches = engine.check(staged, as_of=AS_OF, limits=limits)
    return [row for batch in batches for row in batch.to_pylist()]


# --- what a finding says -------------------------------------------------------------------------


def test_a_finding_says_everything_an_office_needs(stage):
    late = rule(
        "registrationDate < applicationDate",
        field="registrationDate",
        message="Registered {registrationDate}, the office's filing {applicationDate}.",
        suggest="applicationDate",
    )
    row = {"applicationDate": date(2024, 1, 5), "registrationDate": date(2023, 5, 1)}
    path = stage(row | {"applicationNumber": "KH/1", "positions": '{"registrationDate": 12}'})
    assert findings([late], path) == [
        {
            "ruleCode": "TM.CNS.900",
            "severity": "error",
            "recordId": "r1",
            "applicationNumber": "KH/1",
            "field": "registrationDate",
            "elementPath": None,
            "file": "a.zip!b.xml",
            "line": 12,
            "value": "2023-05-01",
            "message": "Registered 2023-05-01, the office's filing 2024-01-05.",
            "remedy": "Correct it.",
            "suggestedValue": "2024-01-05",
            "state": "new",
        }
    ]


def test_findings_have_the_columns_every_finding_has(stage):
    engine = RuleEngine(TRADEMARKS, [rule("applicationDate IS NULL")])
    (batch,) = engine.check(stage({}), as_of=AS_OF)
    assert batch.schema == FINDINGS


def test_items_are_counted_from_zero_and_each_is_reported_once(stage):
    zero = rule("item.classNumber = 0", each="goodsServices", field="goodsServices.classNumber")
    path = stage({"goodsServices": [{"classNumber": number} for number in (0, 5, None, 0)]})
    assert [(row["field"], row["value"]) for row in findings([zero], path)] == [
        ("goodsServices[0].classNumber", "0"),
        ("goodsServices[3].classNumber", "0"),
    ]


@pytest.mark.parametrize(
    ("positions", "line"),
    [
        ({"goodsServices": [{"": 20}, {"": 30, "classNumber": 31}]}, 31),
        ({"goodsServices": [{"": 20}, {"": 30}]}, 30),
        ({"goodsServices": 19}, 19),
        ({"applicationDate": 3}, 7),
    ],
    ids=["member", "item", "list", "record"],
)
def test_the_line_of_an_item_is_the_most_exact_one_known(stage, positions, line):
    zero = rule("item.classNumber = 0", each="goodsServices", field="goodsServices.classNumber")
    classes = [{"classNumber": 1}, {"classNumber": 0}]
    path = stage({"goodsServices": classes, "positions": json.dumps(positions)})
    assert [row["line"] for row in findings([zero], path)] == [line]


@pytest.mark.parametrize(
    ("positions", "line"),
    [
        ({"applicants": [{"": 20}, {"": 30, "names": [31, 32]}]}, 32),
        ({"applicants": [{"": 20}, {"": 30, "names": 31}]}, 31),
        ({"applicants": [{"": 20}, {"": 30}]}, 30),
        ({}, 7),
    ],
    ids=["text", "texts", "item", "record"],
)
def test_the_items_of_lists_in_items_are_reported_one_by_one(stage, positions, line):
    short = rule("length(item.text) < 2", each="applicants.names", field="applicants.names.text")
    parties = [
        {"names": None},
        {"names": [{"text": "Mekong Tea"}, {"text": "M"}]},
        {"identifier": "7"},
    ]
    rows = {"applicants": parties, "positions": json.dumps(positions)}, {"applicants": None}
    (found,) = findings([short], stage(*rows))
    assert (found["field"], found["value"], found["line"]) == (
        "applicants[1].names[1].text",
        "M",
        line,
    )


@pytest.mark.parametrize(
    ("field", "positions", "line"),
    [
        ("applicationDate", {"applicationDate": 12}, 12),
        ("titles", {"titles": [14, 15]}, 14),
        ("applicants", {"applicants": [{"": 40}]}, 40),
        ("pct.applicationNumber", {"pct": {"": 50, "applicationNumber": 51}}, 51),
        ("pct.applicationNumber", {"pct": {"": 50}}, 50),
        ("applicationDate", {}, 7),
        ("applicationDate", None, 7),
    ],
)
def test_the_line_of_a_record_is_the_most_exact_one_known(stage, field, positions, line):
    wrong = rule("applicationNumber = 'X'", field=field, code="PT.CNS.900")
    row = {"applicationNumber": "X", "positions": json.dumps(positions)}
    (finding,) = findings([wrong], stage(row, right=Right.PATENTS), table=PATENTS)
    assert (finding["field"], finding["line"]) == (field, line)


@pytest.mark.parametrize(
    ("field", "row", "value"),
    [
        ("markVerbalElements", {"markVerbalElements": [{"text": "A"}, {"text": "B"}]}, "A; B"),
        ("designatedCountryCodes", {"designatedCountryCodes": ["KH", "SG"]}, "KH; SG"),
        ("applicants", {"applicants": [{"countryCode": "KH"}]}, None),
        ("seriesCount", {"seriesCount": 3}, "3"),
        ("officeStatus", {"officeStatus": "x" * 300}, "x" * 200),
    ],
)
def test_values_are_what_the_office_wrote_and_not_too_long(stage, field, row, value):
    (finding,) = findings([rule("applicationDate IS NULL", field=field)], stage(row))
    assert finding["value"] == value


def test_a_message_says_so_when_a_value_is_missing_and_defaults_to_the_title(stage):
    spoken = rule("applicationDate IS NULL", message="Filed {applicationDate} as {status}.")
    silent = rule(
        "applicationDate IS NULL", code="TM.CNS.901", title="The office's date is missing"
    )
    rows = findings([spoken, silent], stage({"status": "filed"}))
    assert [row["message"] for row in rows] == [
        "Filed not given as filed.",
        "The office's date is missing.",
    ]


def test_what_an_office_writes_is_only_ever_data(stage):
    text = "'); DROP TABLE staged; -- {applicationNumber} $as_of"
    shown = rule("status IS NULL", field="officeStatus", message="Status {officeStatus}.")
    (finding,) = findings([shown], stage({"officeStatus": text}))
    assert (finding["value"], finding["message"]) == (text, f"Status {text}.")


# --- three values, dates and whole deliveries ----------------------------------------------------


@pytest.mark.parametrize("missing", ["registrationDate", "expiryDate"])
def test_a_missing_value_breaks_no_rule(stage, missing):
    row = {"registrationDate": date(2024, 1, 1), "expiryDate": date(2014, 1, 1)}
    order = rule("expiryDate < registrationDate")
    assert len(findings([order], stage(row))) == 1
    assert findings([order], stage(row | {missing: None})) == []


def test_a_rule_compares_with_the_day_of_the_delivery(stage):
    future = rule("applicationDate > $as_of", message="{applicationDate} is after {$as_of}.")
    path = stage({"applicationDate": AS_OF}, {"applicationDate": date(2026, 1, 2)})
    assert [row["message"] for row in findings([future], path)] == [
        "2026-01-02 is after 2026-01-01."
    ]


def test_a_set_rule_sees_all_files_of_a_delivery(stage):
    twice = rule("COUNT(*) OVER (PARTITION BY st13) > 1", scope="set", field="st13")
    place = {"sourceLine": 9, "positions": '{"st13": 10}'}
    files = [
        stage({"recordId": "r1", "st13": "A"}, {"recordId": "r2", "st13": "B"}, name="1.parquet"),
        stage({"recordId": "r3", "st13": "A"} | place, name="2.parquet"),
    ]
    rows = findings([twice], files)
    assert {(row["recordId"], row["line"], row["value"]) for row in rows} == {
        ("r1", 7, "A"),
        ("r3", 10, "A"),
    }


def test_many_rules_and_files_give_each_finding_once(stage, tmp_path):
    rules = [
        rule("applicationDate IS NULL"),
        rule(
            "item.classNumber = 0", each="goodsServices", field="goodsServices", code="TM.CNS.901"
        ),
        rule(
            "item.classNumber < 5", each="goodsServices", field="goodsServices", code="TM.CNS.902"
        ),
        rule("COUNT(*) OVER () > 1", scope="set", code="TM.UNQ.900"),
    ]
    stage({"recordId": "r1", "goodsServices": [{"classNumber": 0}]}, name="1.parquet")
    stage({"recordId": "r2", "applicationDate": AS_OF, "goodsServices": []}, name="2.parquet")
    rows = findings(rules, f"{tmp_path}/*.parquet")
    assert sorted((row["recordId"], row["ruleCode"]) for row in rows) == [
        ("r1", "TM.CNS.900"),
        ("r1", "TM.CNS.901"),
        ("r1", "TM.CNS.902"),
        ("r1", "TM.UNQ.900"),
        ("r2", "TM.UNQ.900"),
    ]


def test_no_files_no_rules_no_findings(stage):
    assert findings([rule("applicationDate IS NULL")], []) == []
    assert findings([], stage({})) == []


# --- an office's own severities ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "reported"), [("info", ["info"]), ("critical", ["critical"]), ("off", [])]
)
def test_an_override_changes_the_severity_or_switches_the_rule_off(stage, severity, reported):
    override = Override(severity=severity, reason="The law counts differently.", owner="KH")
    overrides = {"TM.CNS.900": override, "ALL.PKG.012": override}
    rows = findings([rule("applicationDate IS NULL")], stage({}), overrides=overrides)
    assert [row["severity"] for row in rows] == reported


# --- what a rule may not do ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("violation", "complaint"),
    [
        ("filingDate IS NULL", "unknown column 'filingDate'"),
        ("recordKey IS NULL", "unknown column 'recordKey'"),
        ("staged.applicationDate IS NULL", "unknown column 'staged.applicationDate'"),
        ("madrid.number IS NULL", "unknown column 'madrid.number'"),
        ("applicants.names IS NULL", "lambda or an index"),
        ("(SELECT TRUE)", "may not use"),
        ("EXISTS (SELECT 1)", "may not use"),
        ("applicationNumber IN (SELECT 'x')", "may not use"),
        ("applicationNumber IN (FROM read_text('/etc/hostname'))", "may not use"),
        ("read_text('/etc/hostname') IS NULL", "may not use the function read_text"),
        ("getenv('HOME') = ''", "may not use the function getenv"),
        # Thai vowels are accents to it: ที่นี่ becomes ทน.
        ("strip_accents(applicationNumber) = ''", "may not use the function strip_accents"),
        ("COUNT(*) OVER () > 1", "may not use"),
        ("SUM(seriesCount) > 1", "may not use SUM"),
        ("now() > applicationDate", "may not use"),
        ("applicationDate IS NULL AS x", "may not use"),
        ("applicationDate IS NULL; DROP TABLE staged", "is not one expression"),
        ("", "is not one expression"),
        ("(applicationDate IS NULL", "cannot be parsed"),
        ("applicationNumber = $password", "no parameter $password"),
        ("item.classNumber = 0", "unknown column 'item.classNumber'"),
        ("applicants > 5", "does not fit the table"),
        ("array_length(list_filter(applicants, lambda a: a.nmae = 'x')) > 0", "does not fit"),
    ],
)
def test_a_rule_that_is_not_plain_does_not_load(violation, complaint):
    # A predicate may not be empty in YAML; the engine does not rely on it.
    broken = rule("TRUE").model_copy(update={"violation": violation})
    with pytest.raises(ConfigurationError) as caught:
        RuleEngine(TRADEMARKS, [broken])
    assert "rule TM.CNS.900" in caught.value.detail
    assert complaint in caught.value.detail
    assert caught.value.context == {"rule": "TM.CNS.900"}


@pytest.mark.parametrize(
    "more",
    [
        {"message": "Filed {filingDate}."},
        {"suggest": "filingDate"},
        {"field": "filingDate"},
        {"each": "classes", "field": "classes"},
        {"each": "goodsServices", "field": "applicationDate"},
        {"each": "applicationDate", "field": "applicationDate"},
        {"each": "goodsServices", "field": "goodsServices", "message": "Class {item.clazz}."},
        {"each": "goodsServices", "field": "goodsServices", "scope": "set"},
        {"each": "geographicalIndication.areas", "field": "geographicalIndication.areas"},
    ],
)
def test_every_part_of_a_rule_must_fit_the_table(more):
    with pytest.raises(ConfigurationError, match=r"rule TM\.CNS\.900"):
        RuleEngine(TRADEMARKS, [rule("TRUE", **more)])


def test_rules_are_compiled_once_for_all_processes(stage, tmp_path, monkeypatch):
    late, path = rule("applicationDate IS NULL"), stage({"applicationNumber": "1"})
    found = findings([late], path)
    RuleEngine(TRADEMARKS, [late], remembered=tmp_path / "kept")
    monkeypatch.setattr("connectors.rules.sql.compile_rules", None)  # cannot be called
    again = RuleEngine(TRADEMARKS, [late], remembered=tmp_path / "kept")
    assert [row for batch in again.check(path, as_of=AS_OF) for row in batch.to_pylist()] == found
    for different in ([], [late.model_copy(update={"title": "Another"})], [late, late]):
        with pytest.raises(TypeError):
            RuleEngine(TRADEMARKS, different, remembered=tmp_path / "kept")


@pytest.mark.parametrize("content", [b"", b"[", b"[{}]", b'[["a"]]', b"\xff"])
def test_a_remembered_file_that_is_not_whole_is_made_again(tmp_path, content):
    late = rule("applicationDate IS NULL")
    RuleEngine(TRADEMARKS, [late], remembered=tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(content)
    RuleEngine(TRADEMARKS, [late], remembered=tmp_path)
    assert kept.read_bytes() == whole


def test_a_broken_rule_is_not_remembered(tmp_path):
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="does not fit"):
            RuleEngine(TRADEMARKS, [rule("applicants > 5")], remembered=tmp_path)
    assert not any(tmp_path.iterdir())


def test_an_arrow_is_written_as_the_lambda_that_duckdb_takes(stage):
    # DuckDB 2 takes `a -> …` for JSON's arrow and refuses it.
    arrow = rule("array_length(list_filter(applicants, a -> a.countryCode = 'KH')) > 0")
    assert "LAMBDA" in compile_rule(arrow, TRADEMARKS).violation
    path = stage({"applicants": [{"countryCode": "KH"}]}, {"applicants": [{"countryCode": "TH"}]})
    assert len(findings([arrow], path)) == 1


def test_comments_never_reach_the_database():
    parts = compile_rule(rule("applicationDate IS NULL /* ) OR TRUE */ -- x"), TRADEMARKS)
    assert parts.violation == '"applicationDate" IS NULL'


def test_the_database_reads_the_staged_files_and_nothing_else(stage, tmp_path):
    path, other = stage({}), tmp_path / "other.txt"
    other.write_text("secret")
    with connect([str(path)], Limits()) as connection:
        connection.execute("SELECT COUNT(*) FROM read_parquet(?)", [str(path)])
        for statement in (
            f"SELECT * FROM read_text('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path}/new.csv'",
            "SET enable_external_access = true",
            "SET threads = 64",
            f"ATTACH '{tmp_path}/new.duckdb'",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)


# --- who is blamed -------------------------------------------------------------------------------


def test_a_rule_that_fails_is_our_trouble_and_not_a_finding(stage):
    rules = [
        rule("applicationDate IS NULL", code="TM.CNS.901"),
        rule("CAST(applicationNumber AS INTEGER) > 5"),
    ]
    assert len(findings(rules, stage({"applicationNumber": "6"}))) == 2
    with pytest.raises(ConfigurationError, match=r"rule TM\.CNS\.900 failed") as caught:
        findings(rules, stage({"applicationNumber": "Sok Dara"}))
    assert "Dara" not in caught.value.detail


def test_a_set_rule_that_fails_is_named_too(stage):
    broken = rule("CAST(st13 AS INTEGER) = COUNT(*) OVER ()", scope="set")
    with pytest.raises(ConfigurationError, match=r"rule TM\.CNS\.900 failed"):
        findings([broken, rule("COUNT(*) OVER () > 9", scope="set")], stage({"st13": "x"}))


@pytest.mark.parametrize("content", [b"", b"no parquet at all"])
@pytest.mark.parametrize("more", [[], [rule("status IS NULL", code="TM.CNS.901")]])
def test_no_rule_is_blamed_for_rows_that_cannot_be_read(tmp_path, content, more):
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be read"):
        findings([rule("applicationDate IS NULL"), *more], path)


def test_no_rule_is_blamed_when_the_memory_is_too_small(stage):
    path = stage(*({"applicationNumber": f"{number:0400}"} for number in range(20_000)))
    wide = rule("TRUE", field="applicationNumber", message="{applicationNumber}.")
    limits = Limits(memory="5MB", threads=1)
    with pytest.raises(StoreError, match="cannot be"):
        list(RuleEngine(TRADEMARKS, [wide]).check(path, as_of=AS_OF, limits=limits))


def test_missing_rows_are_a_store_error(tmp_path):
    with pytest.raises(StoreError):
        findings([rule("applicationDate IS NULL")], tmp_path / "rows.parquet")


# --- Spark ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("violation", "spark"),
    [
        (
            "array_length(list_filter(applicants, lambda a: a.countryCode = 'KH')) > 0",
            "SIZE(FILTER(applicants, a -> a.countryCode = 'KH')) > 0",
        ),
        ("array_length(priorities) > 2", "SIZE(priorities) > 2"),
        (
            "regexp_matches(applicationNumber, '^[0-9]+$') AND applicationDate > $as_of",
            "applicationNumber RLIKE '^[0-9]+$' AND applicationDate > :as_of",
        ),
        ("publications[1].date < applicationDate", "publications[0].date < applicationDate"),
    ],
)
def test_predicates_can_be_written_for_spark(violation, spark):
    assert spark_sql(rule(violation), TRADEMARKS) == spark
