"""Which picture a record means: its own folder first, never a neighbour's, never a guess."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from connectors.readers.archives import Delivered
from connectors.staging.attachments import MISSING_IMAGE, Attachments, media_type

PACKED = "KH1/ATTACHMENT/logo.png"


def resolved(tmp_path: Path, document: str, name: str, *members: str) -> str | None:
    """Return the member that ``name`` in ``document`` leads to."""
    path = tmp_path / "delivery.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for member in dict.fromkeys((document, *members)):
            archive.writestr(member, f"bytes of {member}")
    item: dict[str, Any] = {"fileName": name}
    with Delivered(path) as delivered:
        attachments = Attachments(delivered)
        (place,) = (each for each in delivered.documents if each.path == document)
        found = attachments.resolve(place, item) != MISSING_IMAGE
        assert attachments.take_used() == ({item["memberPath"]} if found else set())
    return item.get("memberPath") if found else None


@pytest.mark.parametrize(
    ("document", "name", "members", "expected"),
    [
        ("KH1/a.xml", "ATTACHMENT/logo", [PACKED], PACKED),
        ("KH1/a.xml", "ATTACHMENT/logo.png", [PACKED], PACKED),
        ("KH1/a.xml", "logo.png", [PACKED], PACKED),
        ("KH1/a.xml", "attachment\\LOGO.PNG", [PACKED], PACKED),
        ("KH1/a.xml", "./logo.png", ["KH1/logo.png"], "KH1/logo.png"),
        ("KH1/a.xml", "images/1.gif", ["images/1.gif"], "images/1.gif"),
        ("KH1/a.xml", "1.gif", ["images/1.gif"], "images/1.gif"),
        ("a.xml", "1.gif", ["images/1.gif"], "images/1.gif"),
        ("KH1/a.xml", "1.gif", ["images/1.gif", "pictures/1.gif"], None),
        ("KH1/a.xml", "logo", ["KH1/logo.png", "KH1/logo.gif"], None),
        ("KH1/a.xml", "logo.png", ["KH1/logo.png", "KH2/logo.png"], "KH1/logo.png"),
        ("KH1/a.xml", "logo.png", ["KH2/b.xml", "KH2/logo.png"], None),
        ("KH1/a.xml", "logo.png", ["KH2/b.xml", "KH2/ATTACHMENT/logo.png"], None),
        ("KH1/a.xml", "logo.png", ["KH1/deep/er/logo.png"], "KH1/deep/er/logo.png"),
        ("KH1/a.xml", "../../etc/passwd", ["KH1/logo.png"], None),
        ("KH1/a.xml", "/etc/passwd", ["KH1/logo.png"], None),
        ("KH1/a.xml", ".", ["KH1/logo.png"], None),
        ("KH1/a.xml", "/", ["KH1/logo.png"], None),
        ("KH1/a.xml", "รูป.png", ["KH1/รูป.png"], "KH1/รูป.png"),
        ("KH1/a.xml", "cafe\u0301.png", ["KH1/caf\u00e9.png"], "KH1/caf\u00e9.png"),
    ],
)  # fmt: skip
def test_a_name_leads_to_one_member_or_to_none(
    document: str, name: str, members: list[str], expected: str | None, tmp_path: Path
) -> None:
    assert resolved(tmp_path, document, name, *members) == expected


def test_a_found_picture_is_described_by_its_bytes(tmp_path: Path) -> None:
    content = b"\xff\xd8\xff and so on"
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.xml", "<T/>")
        archive.writestr("logo.png", content)
        archive.writestr("other.png", b"")
    item: dict[str, Any] = {"fileName": "logo.png"}
    with Delivered(tmp_path / "a.zip") as delivered:
        attachments = Attachments(delivered)
        assert attachments.resolve(delivered.documents[0], item) is None
        assert attachments.take_used() == {"logo.png"}
        assert attachments.take_used() == set(), "each part of a delivery tells its own"
    assert item == {
        "fileName": "logo.png",
        "memberPath": "logo.png",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "mediaType": "image/jpeg",  # whatever the name says
    }


def test_a_picture_named_a_thousand_times_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.xml", "<T/>")
        archive.writestr("logo.png", b"\x89PNG\r\n\x1a\n")
    read = []
    real = Delivered.digest
    monkeypatch.setattr(Delivered, "digest", lambda *args: read.append(args) or real(*args))
    with Delivered(tmp_path / "a.zip") as delivered:
        attachments = Attachments(delivered)
        for _ in range(1_000):
            assert attachments.resolve(delivered.documents[0], {"fileName": "logo"}) is None
    assert len(read) == 1


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"%PDF-1.7", "application/pdf"),
        (b"<html>", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_a_media_type_is_told_by_the_first_bytes(head: bytes, expected: str) -> None:
    assert media_type(head) == expected
