"""Reading a member whole refuses what ``zipfile`` refuses, and what the directory lied about."""

import io
import struct
import zipfile
import zlib

import pytest

from connectors.readers.zip_members import read_whole

CONTENT = b"<TradeMark>Invented</TradeMark>" * 100


def archive(method: int = zipfile.ZIP_DEFLATED) -> bytearray:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as packed:
        packed.writestr("ñ/mark.xml", CONTENT)
    return bytearray(target.getvalue())


def read(packed: bytes | bytearray) -> bytes:
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        return read_whole(opened, "ñ/mark.xml")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_content_is_what_was_packed(method: int) -> None:
    assert read(archive(method)) == CONTENT


def test_a_wrong_checksum_is_refused() -> None:
    packed = archive()
    packed[packed.find(b"PK\x01\x02") + 16] ^= 1
    with pytest.raises(zipfile.BadZipFile, match="Bad CRC-32"):
        read(packed)


def test_damaged_bytes_are_refused() -> None:
    packed = archive()
    packed[45] = 0xFF
    with pytest.raises((zipfile.BadZipFile, zlib.error)):
        read(packed)


def test_a_header_with_another_name_is_refused() -> None:
    packed = archive()
    packed[packed.find(b"mark.xml")] = ord("d")
    with pytest.raises(zipfile.BadZipFile, match="differ"):
        read(packed)


def test_a_missing_header_is_refused() -> None:
    packed = archive()
    packed[0] = 0
    with pytest.raises(zipfile.BadZipFile, match="magic"):
        read(packed)


@pytest.mark.parametrize("said", [len(CONTENT) - 1, len(CONTENT) + 1, 0])
def test_a_size_the_directory_lies_about_is_refused(said: int) -> None:
    packed = archive()
    struct.pack_into("<L", packed, packed.find(b"PK\x01\x02") + 24, said)
    with pytest.raises(zipfile.BadZipFile):
        read(packed)


@pytest.mark.parametrize("flag", [0x20, 0x40])
def test_patched_and_strongly_encrypted_members_are_refused(flag: int) -> None:
    packed = archive()
    packed[packed.find(b"PK\x01\x02") + 8] |= flag
    with pytest.raises(zipfile.BadZipFile, match="cannot be read"):
        read(packed)
