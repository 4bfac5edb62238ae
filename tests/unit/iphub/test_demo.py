"""The demo's generator: deterministic, well-formed, and honest about its faults."""

import hashlib
import re
import zipfile
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from connectors.ledger import Channel, Delivery
from iphub.demo import DemoManifest, fault_table, generate, trademark_corpus
from iphub.demo.images import SIDE, picture
from iphub.demo.journey import summary
from ipregister.deliveries import FOLDERS, RIGHT_FOLDERS, Kind, Receipt, State
from ipregister.model import Right
from ipregister.quality import load_rules

REPOSITORY = Path(__file__).parents[3]
SCHEMAS = REPOSITORY.parent / "shared/data/real/schemas"
RECORD = {
    Right.TRADEMARKS: "TradeMark",
    Right.PATENTS: "PatentPublication",
    Right.DESIGNS: "DesignApplication",
}
NOT_XML = {"unreadable_member", "doctype"}
SCRIPTS = {"Khmer": "ក-ឳ", "Thai": "ก-ฮ", "Lao": "ກ-ຮ", "Burmese": "က-အ", "Vietnamese": "ẠẢấầẩẫậắằ"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoManifest:
    return generate(tmp_path_factory.mktemp("demo"), records=40)


def documents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the XML of one delivered file: member (empty for a bare file) and bytes."""
    if path.suffix == ".xml":
        yield "", path.read_bytes()
    elif path.stat().st_size:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith(".xml"):
                    yield name, archive.read(name)


def digest(root: Path) -> str:
    lines = (
        f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in sorted(root.rglob("*"))
        if path.is_file()
    )
    return "\n".join(lines)


def test_what_was_received_is_accounted_for_in_the_table() -> None:
    receipt = Receipt(recordsRead=15, accepted=5, held=4, rejected=3, unchanged=2, duplicates=1)
    what = ("D1", "KH", Right.TRADEMARKS, Kind.FULL_EXTRACTION, Channel.SFTP, "identity")
    when = datetime(2026, 11, 22, tzinfo=UTC)
    delivery = Delivery(*what, State.PUBLISHED, None, when, "test", None, (), receipt)
    (row,) = summary([delivery])
    parts = ("accepted", "held", "rejected", "unchanged", "duplicates")
    assert row["received"] == sum(row[name] for name in parts) == 15


def test_equal_seeds_give_equal_bytes(demo: DemoManifest, tmp_path: Path) -> None:
    again = generate(tmp_path / "again", records=40)
    other = generate(tmp_path / "other", records=40, seed=7)
    assert digest(again.root) == digest(demo.root)
    assert again.document() == demo.document()
    assert digest(other.root) != digest(demo.root)


def test_every_office_has_the_nine_folders_of_the_server(demo: DemoManifest) -> None:
    for office in ("kh", "la", "mm", "th", "vn"):
        for right in RIGHT_FOLDERS.values():
            for lane in FOLDERS.values():
                assert (demo.root / f"ipob_{office}" / right / lane).is_dir()


def test_three_offices_send_all_three_rights(demo: DemoManifest) -> None:
    sent = {(file.office, file.right) for file in demo.files}
    assert {(office, right) for office in ("KH", "TH", "VN") for right in Right} <= sent


def test_files_hold_the_records_the_manifest_counts(demo: DemoManifest) -> None:
    spoilt = {(fault.path, fault.member) for fault in demo.faults if fault.name in NOT_XML}
    for file in demo.files:
        found = 0
        for member, content in documents(demo.root / file.path):
            if (file.path, member) in spoilt:
                found += 1
                continue
            found += sum(1 for _ in etree.fromstring(content).iter(f"{{*}}{RECORD[file.right]}"))
        assert found == file.records, file.path


def test_only_the_planted_documents_cannot_be_read(demo: DemoManifest) -> None:
    broken = []
    for file in demo.files:
        for member, content in documents(demo.root / file.path):
            try:
                etree.fromstring(content)
            except etree.XMLSyntaxError:
                broken.append((file.path, member))
    planted = [(f.path, f.member) for f in demo.faults if f.name == "unreadable_member"]
    assert broken == planted


def test_every_fault_stands_where_the_manifest_says(demo: DemoManifest) -> None:
    for fault in demo.faults:
        content = dict(documents(demo.root / fault.path))
        if fault.record:
            assert f">{fault.record}<" in content[fault.member].decode(), fault.name
        else:
            assert (demo.root / fault.path).stat().st_size == 0


def test_every_expected_rule_exists_and_is_for_the_right(demo: DemoManifest) -> None:
    rules = {rule.code: rule for rule in load_rules()}
    for fault in demo.faults:
        assert fault.rules
        for code in fault.rules:
            assert rules[code].applies_to(fault.right), fault.name


def test_at_least_fifteen_kinds_of_fault_are_planted(demo: DemoManifest) -> None:
    names = [fault.name for fault in demo.faults]
    assert len(names) == len(set(names)) >= 15


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_of_the_region_occurs(demo: DemoManifest, script: str) -> None:
    texts = (
        content.decode("utf-8")
        for file in demo.files
        for _, content in documents(demo.root / file.path)
    )
    assert any(re.search(f"[{SCRIPTS[script]}]", text) for text in texts)


def test_nothing_but_an_expiry_is_dated_after_october_2026(demo: DemoManifest) -> None:
    dated = re.compile(rb"<([\w:]+)>(2[0-4]\d\d-\d\d-\d\d)<", re.ASCII)
    late = {
        name
        for file in demo.files
        for _, content in documents(demo.root / file.path)
        for name, day in dated.findall(content)
        if day > b"2026-10-31"
    }
    assert late == {b"ExpiryDate", b"com:ExpiryDate"}


def test_a_record_is_withdrawn_in_the_updates_of_every_register(demo: DemoManifest) -> None:
    registers = {(file.office, str(file.right)) for file in demo.files}
    assert {tuple(key.split("/")[:2]) for key in demo.withdrawn} == registers


def test_pictures_are_whole_and_large_enough() -> None:
    content = picture(5)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert SIDE >= 100
    start = content.index(b"IDAT") + 4
    length = int.from_bytes(content[start - 8 : start - 4], "big")
    assert len(zlib.decompress(content[start : start + length])) == SIDE * (SIDE + 1)
    assert len({picture(number) for number in range(40)}) == 40
    assert len(content) < 500


def test_the_list_of_faults_in_the_docs_is_current(tmp_path: Path) -> None:
    shown = (REPOSITORY / "docs/demo.md").read_text("utf-8")
    assert fault_table(generate(tmp_path).faults) in shown


def test_a_corpus_holds_one_document_and_picture_per_mark(tmp_path: Path) -> None:
    path = tmp_path / "KH_20260915_0001.zip"
    trademark_corpus(path, office="KH", count=60, seed=3, per_file=1)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        sizes = [archive.getinfo(name).file_size for name in names if name.endswith(".xml")]
        named = [name for name in names if b"ATTACHMENT/logo" in archive.read(name)]
    assert len(set(names)) == len(names)
    assert len(sizes) == 60
    assert 4_000 < sum(sizes) / 60 < 8_000
    assert {name.split("/")[0] for name in names if name.endswith("logo.png")} == {
        name.split("/")[0] for name in named
    }


def test_a_corpus_can_put_many_marks_into_one_document(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.zip", "b.zip")]
    for path in paths:
        trademark_corpus(path, office="VN", count=25, seed=3, per_file=10)
    counts = [
        len(etree.fromstring(content).findall(".//{*}TradeMark"))
        for _, content in documents(paths[0])
    ]
    assert counts == [10, 10, 5]
    assert paths[0].read_bytes() == paths[1].read_bytes()


if SCHEMAS.is_dir():  # WIPO's schemas are not ours to copy: the check runs where they lie beside us

    @pytest.mark.parametrize(
        ("right", "element", "schema"),
        [
            (Right.TRADEMARKS, "Transaction", "st66-v1-gbd/st66.xsd"),
            (Right.PATENTS, "PatentPublication", "st96-v6_0-flattened/PatentPublication_V6_0.xsd"),
            (Right.DESIGNS, "DesignApplication", "st96-v6_0-flattened/DesignApplication_V6_0.xsd"),
        ],
    )
    def test_records_without_faults_are_valid(
        demo: DemoManifest, right: Right, element: str, schema: str
    ) -> None:
        rules = etree.XMLSchema(etree.parse(SCHEMAS / schema))
        for file in demo.files:
            if file.right is right and "/Updates/" in file.path:
                for _, content in documents(demo.root / file.path):
                    for node in etree.fromstring(content).iter(f"{{*}}{element}"):
                        rules.assertValid(etree.fromstring(etree.tostring(node)))
