"""Every fault planted in the demo is found by the rule its list names, and little else is."""

import hashlib
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from connectors.checking import check
from connectors.staging.stage import StagedFile
from iphub.demo import DemoFile, Fault, generate

AT = datetime(2026, 11, 22, tzinfo=UTC)

# Found when the delivery is compared with itself and the register, which is tested there.
FOUND_LATER = {"duplicate_number"}

# Pictures of the two documents nobody can read; the twin of the duplicate.
EXPECTED_BESIDES = {"ALL.PKG.012", "ALL.UNQ.002"}


def delivery(file: DemoFile) -> tuple[str, str, str, str]:
    return file.office, file.right, file.kind, Path(file.path).stem.split("_")[-2]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Fault, ...], list[dict]]:
    """Return the planted faults and all findings about the files they are in."""
    demo = generate(tmp_path_factory.mktemp("demo"), records=40)
    deliveries = defaultdict(list)
    for file in demo.files:
        deliveries[delivery(file)].append(file)
    findings = []
    for number, files in enumerate(deliveries.values()):
        staged = [
            StagedFile(file.path, hashlib.sha256(path.read_bytes()).hexdigest(), path)
            for file in files
            for path in [demo.root / file.path]
        ]
        directory = tmp_path_factory.mktemp("staging") / str(number)
        checked = check(files[0].office, files[0].right, staged, directory, at=AT)
        for path in checked.findings:
            findings += pq.read_table(path).to_pylist()
    return demo.faults, findings


def is_about(finding: dict, fault: Fault) -> bool:
    place = f"{fault.path}!{fault.member}" if fault.member else fault.path
    return finding["file"] == place and (
        not fault.record or finding["applicationNumber"] in (fault.record, None)
    )


def test_every_planted_fault_is_found_by_the_rules_it_names(judged) -> None:
    faults, findings = judged
    missed = {
        (fault.name, code)
        for fault in faults
        for code in fault.rules
        if not any(is_about(f, fault) and f["ruleCode"] == code for f in findings)
    }
    assert {name for name, _ in missed} <= FOUND_LATER


def test_records_without_a_fault_are_found_clean(judged) -> None:
    faults, findings = judged
    others = [f for f in findings if not any(is_about(f, fault) for fault in faults)]
    assert {f["ruleCode"] for f in others} <= EXPECTED_BESIDES


def test_an_empty_upload_is_reported_and_nothing_else(judged) -> None:
    faults, findings = judged
    [empty] = [fault for fault in faults if fault.name == "empty_file"]
    assert [f["ruleCode"] for f in findings if f["file"] == empty.path] == ["ALL.PKG.017"]
