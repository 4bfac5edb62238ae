"""Staging: files into rows, in parts, with every record counted once."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors.readers import archives
from connectors.staging import parts
from connectors.staging import stage as staging
from connectors.staging.stage import Staged, StagedFile, stage
from ipregister.errors import ConfigurationError
from ipregister.model import Right

FIXTURES = Path(__file__).parents[2] / "fixtures"
DOMESTIC = (FIXTURES / "kh/trademarks/domestic.xml").read_text("utf-8")


def one(number: int) -> str:
    return DOMESTIC.replace("KH/90001/2019", f"KH/{90_000 + number}/2019")


def file(tmp_path: Path, name: str, content: str | dict[str, str]) -> StagedFile:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_text(content, "utf-8")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in content.items():
                archive.writestr(zipfile.ZipInfo(member), text)
    return StagedFile(name, hashlib.sha256(path.read_bytes()).hexdigest(), path)


def staged(tmp_path: Path, *files: StagedFile, **options: Any) -> Staged:
    return stage("KH", Right.TRADEMARKS, files, tmp_path / "staging", **options)


def rows(result: Staged) -> list[dict[str, Any]]:
    return [row for path in result.rows for row in pq.read_table(path).to_pylist()]


def findings(result: Staged) -> list[dict[str, Any]]:
    return [row for path in result.findings for row in pq.read_table(path).to_pylist()]


def test_rows_come_in_the_order_of_the_delivery_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PART_BYTES", 10_000)  # about two records
    packed = {f"{n}/{n}_biblio.xml": one(n) for n in range(1, 6)}
    result = staged(tmp_path, file(tmp_path, "a.zip", packed), file(tmp_path, "b.xml", one(6)))
    found = rows(result)
    assert result.read == len(found) == 6
    assert [row["applicationNumber"] for row in found] == [f"KH/9000{n}/2019" for n in range(1, 7)]
    assert [row["part"] for row in found] == sorted(row["part"] for row in found)
    assert len({row["part"] for row in found}) > 2
    assert found[2]["source"] == {
        "file": "a.zip",
        "sha256": hashlib.sha256((tmp_path / "a.zip").read_bytes()).hexdigest(),
        "member": "3/3_biblio.xml",
        "line": 11,
    }
    assert (found[2]["sourceFile"], found[5]["sourceFile"]) == ("a.zip!3/3_biblio.xml", "b.xml")


def test_a_large_archive_is_opened_once_for_all_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "PART_BYTES", 1)
    opened = []
    real = staging.Delivered
    monkeypatch.setattr(staging, "Delivered", lambda path: opened.append(path) or real(path))
    result = staged(tmp_path, file(tmp_path, "a.zip", {f"{n}.xml": one(n) for n in range(1, 6)}))
    assert (result.read, len(opened)) == (5, 1)


def test_the_same_files_give_the_same_rows_and_findings(tmp_path: Path) -> None:
    delivered = file(tmp_path, "a.zip", {"1.xml": one(1), "2.xml": one(2) + "&", "logo.png": ""})
    first, second = (
        stage("KH", Right.TRADEMARKS, [delivered], tmp_path / name) for name in ("one", "two")
    )
    assert rows(first) == rows(second)
    assert findings(first) == findings(second) != []


def test_a_document_with_no_good_record_is_one_rejected_record(tmp_path: Path) -> None:
    bad = {"1.xml": "<Transaction>&</Transaction>", "2.xml": "", "3.xml": one(3)}
    result = staged(tmp_path, file(tmp_path, "a.zip", bad))
    assert (result.read, result.rejected, len(rows(result))) == (3, 2, 1)
    told = {
        (row["file"], row["ruleCode"])
        for row in findings(result)
        if "PKG.01" not in row["ruleCode"]
    }
    assert ("a.zip!1.xml", "ALL.PKG.004") in told
    empty = [row["ruleCode"] for row in findings(result) if row["file"] == "a.zip!2.xml"]
    assert empty == ["ALL.PKG.017"]


def test_a_right_the_office_does_not_send_is_our_mistake_not_the_offices(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        stage("ZZ", Right.TRADEMARKS, [], tmp_path / "staging")


def test_a_reference_that_is_not_declared_costs_its_record_only(tmp_path: Path) -> None:
    typed = '<!DOCTYPE Transaction SYSTEM "tm.dtd">' + one(1).partition("?>")[2]
    typed = typed.replace("Veldara", "Veld&aacute;ra")
    result = staged(tmp_path, file(tmp_path, "a.xml", typed), file(tmp_path, "b.xml", one(2)))
    assert (result.read, result.rejected, len(rows(result))) == (2, 1, 1)
    (finding,) = (row for row in findings(result) if row["ruleCode"] == "ALL.PKG.004")
    assert "&aacute; is not declared" in finding["message"]


def test_an_unknown_element_is_told_with_the_document_it_stands_in(tmp_path: Path) -> None:
    odd = one(2).replace("<TradeMark>", "<TradeMark>\n<Shade>red</Shade>")
    archive = file(tmp_path, "a.zip", {"1.xml": one(1), "2.xml": odd, "3.xml": odd})
    result = staged(tmp_path, file(tmp_path, "0.xml", one(0)), archive)
    (found,) = [finding for finding in findings(result) if finding["ruleCode"] == "ALL.PKG.015"]
    assert (found["file"], found["elementPath"]) == ("a.zip!2.xml", "Shade")
    assert found["message"] == "The element Shade is not known; it occurs 2 times."


@pytest.mark.parametrize("rows_at_once", [1, 500])
def test_nothing_of_a_large_document_counts_when_its_checksum_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(archives, "STREAMED_ABOVE_BYTES", len(one(1)) + 100)
    monkeypatch.setattr(parts, "BATCH_ROWS", rows_at_once)
    monkeypatch.setattr(parts, "GROUP_BATCHES", 1)
    start, tag, rest = one(2).partition("<TradeMark>")
    inside, closing, end = rest.partition("</TradeMark>")
    record = tag + inside + closing
    records = [record.replace("KH/90002/", f"KH/9001{n}/") for n in range(4)]
    packed = {"1.xml": one(1), "2.xml": start + "".join(records) + end, "3.xml": one(3)}
    delivered = file(tmp_path, "a.zip", packed)
    content = delivered.path.read_bytes()
    place = content.index(b"KH/90013/2019")
    delivered.path.write_bytes(content[:place] + b"KH/99" + content[place + 5 :])
    result = staged(tmp_path, delivered)
    assert [row["applicationNumber"] for row in rows(result)] == ["KH/90001/2019", "KH/90003/2019"]
    assert (result.read, result.rejected) == (3, 1)
    told = [each for each in findings(result) if each["ruleCode"] == "ALL.PKG.001"]
    assert [each["file"] for each in told] == ["a.zip!2.xml"]
