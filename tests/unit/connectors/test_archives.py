"""Hostile archives are refused in a sentence that names the member; odd, honest ones are read."""

import io
import random
import re
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from connectors.readers.archives import Delivered, Member, prove_complete
from connectors.readers.zip_guards import Limits
from ipregister.errors import (
    DeliveryError,
    IncompleteDelivery,
    OversizedDelivery,
    UnreadableDelivery,
)

XML = b"<Transaction><Id>1</Id></Transaction>"
Entry = tuple[str | zipfile.ZipInfo, bytes]


def zipped(*entries: Entry, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return sink.getvalue()


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    assert len(old) == len(new)
    return data.replace(old, new)


def link() -> bytes:
    info = zipfile.ZipInfo("logo.png")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return zipped((info, b"/etc/passwd"))


def encrypted() -> bytes:
    """Set the encryption flag in both headers of an ordinary archive."""
    data = bytearray(zipped(("a.xml", XML)))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def overlapping(members: int = 2_000, kernel: int = 1 << 20) -> bytes:
    """Return a flat bomb: every entry of the directory names the same compressed bytes."""
    one = zipped(("0000.xml", b"\0" * kernel))
    start = one.index(b"PK\x01\x02")
    entry = one[start : one.index(b"PK\x05\x06")]
    directory = b"".join(entry.replace(b"0000", b"%04d" % n) for n in range(members))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, members, members, len(directory), start, 0)
    return one[:start] + directory + end


def many_members(count: int) -> bytes:
    """Return a directory of ``count`` entries without their members."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 9, 4, *[0] * 6) + b"a.xm"
    directory = entry * count
    end64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), 4
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, *[0xFFFFFFFF] * 2, 0)
    return b"PK\x03\x04" + directory + end64 + locator + end


def understated(claimed: int = 1) -> bytes:
    """Return an archive of three members whose end record admits to one."""
    data = bytearray(zipped(("a.xml", XML), ("b.xml", XML), ("c.xml", XML)))
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<2H", claimed, claimed)
    return bytes(data)


def wrong_size() -> bytes:
    """Return a member whose directory entry promises fewer bytes than it has."""
    data = bytearray(zipped(("a.xml", XML * 50)))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<L", 10)
    return bytes(data)


def volumes() -> bytes:
    data = bytearray(zipped(("a.xml", XML)))
    end = data.rindex(b"PK\x05\x06")
    data[end + 4 : end + 6] = b"\x01\x00"
    return bytes(data)


def behind() -> bytes:
    """Return an archive that begins behind something else and says so itself."""
    sink = io.BytesIO(b"PK\x03\x04" + b"\0" * 26)
    with zipfile.ZipFile(sink, "a") as archive:
        archive.writestr("a.xml", XML)
    return sink.getvalue()


def twice() -> bytes:
    data = zipped(("a.xml", XML), ("b.xml", XML))
    return patched(data, b"b.xml", b"a.xml")


HOSTILE: dict[str, tuple[Callable[[], bytes], type[DeliveryError], str]] = {
    "parent": (lambda: zipped(("../evil.xml", XML)), UnreadableDelivery, "../evil.xml"),
    "absolute": (lambda: zipped(("/etc/cron.xml", XML)), UnreadableDelivery, "/etc/cron.xml"),
    "drive": (lambda: zipped(("C:/a.xml", XML)), UnreadableDelivery, "C:/a.xml"),
    "backslash": (
        lambda: patched(zipped(("a/b.xml", XML)), b"a/b", b"a\\b"), UnreadableDelivery, "b.xml",
    ),
    "nul": (lambda: patched(zipped(("aXb.xml", XML)), b"aXb", b"a\0b"), UnreadableDelivery, "'a'"),
    "dot": (lambda: zipped((".", XML)), UnreadableDelivery, "'.'"),
    "link": (link, UnreadableDelivery, "logo.png"),
    "encrypted": (encrypted, UnreadableDelivery, "password"),
    "overlap bomb": (overlapping, UnreadableDelivery, "overlaps"),
    "ratio bomb": (lambda: zipped(("bomb.xml", b"\0" * (11 << 20))), OversizedDelivery, "bomb.xml"),
    "same name": (twice, UnreadableDelivery, "a.xml"),
    "same name but for case": (
        lambda: zipped(("Logo.PNG", b"1"), ("logo.png", b"2")), UnreadableDelivery, "logo.png",
    ),
    "same name decomposed": (
        lambda: zipped(("caf\u00e9.xml", XML), ("cafe\u0301.xml", XML)),
        UnreadableDelivery, "twice",
    ),
    "nested twice": (
        lambda: zipped(("o.zip", zipped(("i.zip", zipped(("a.xml", XML)))))),
        UnreadableDelivery, "o.zip",
    ),
    "not an archive inside": (lambda: zipped(("i.zip", b"hello")), UnreadableDelivery, "i.zip"),
    "prepended": (
        lambda: zipped(("a.xml", XML)) + zipped(("b.xml", XML)),
        UnreadableDelivery, "before the ZIP archive or inside",
    ),
    "prepended with offsets to match": (behind, UnreadableDelivery, "the archive's first member"),
    "appended": (lambda: zipped(("a.xml", XML)) + b"MZ\x90\0", UnreadableDelivery, "behind"),
    "volumes": (volumes, UnreadableDelivery, "volumes"),
    "understated": (understated, UnreadableDelivery, "3 members"),
    "long name": (lambda: zipped(("ក" * 90 + ".xml", XML)), UnreadableDelivery, "255 bytes"),
    "lzma": (lambda: zipped(("a.xml", XML), method=zipfile.ZIP_LZMA), UnreadableDelivery, "a.xml"),
    "rar": (lambda: b"Rar!\x1a\x07\0", UnreadableDelivery, "RAR"),
    "html": (lambda: b"404 page not found", UnreadableDelivery, "unknown content"),
}  # fmt: skip


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "20261122_0001.zip"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_told_what_is_wrong(
    name: str, written: Callable[[bytes], Path]
) -> None:
    make, error, words = HOSTILE[name]
    with pytest.raises(error, match=re.escape(words)) as caught:
        Delivered(written(make()))
    assert type(caught.value) is error


def read_all(path: Path) -> dict[str, bytes]:
    with Delivered(path) as delivered:
        return {member.path: delivered.open(member).read() for member in delivered.members}


def thai_without_flag() -> bytes:
    """Name a member in UTF-8 without saying so, as older Windows tools do."""
    name = "รูป.png".encode()
    data = bytearray(patched(zipped(("x" * len(name), b"image")), b"x" * len(name), name))
    return bytes(data)


def zip64() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive, archive.open("a.xml", "w", force_zip64=True) as to:
        to.write(XML)
    return sink.getvalue()


def commented() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.xml", XML)
        archive.comment = b"made by the office's exporter, version 2"
    return sink.getvalue()


def streamed() -> bytes:
    """Return an archive written to a pipe: sizes stand behind the members."""

    class Pipe(io.RawIOBase):
        sink = io.BytesIO()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes, /) -> int:  # type: ignore[override]
            return self.sink.write(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", XML)
        archive.writestr("b.xml", XML)
    return pipe.sink.getvalue()


ODD = {
    "thai name without the flag": (thai_without_flag, {"รูป.png": b"image"}),
    "zip64": (zip64, {"a.xml": XML}),
    "comment": (commented, {"a.xml": XML}),
    "streamed": (streamed, {"a.xml": XML, "b.xml": XML}),
    "empty": (lambda: zipped(), {}),
    "only folders": (lambda: zipped(("KHM01/", b""), ("KHM01/ATTACHMENT/", b"")), {}),
    "stored": (lambda: zipped(("a.xml", XML), method=zipfile.ZIP_STORED), {"a.xml": XML}),
    "packed from here": (lambda: zipped(("./", b""), ("./a.xml", XML)), {"./a.xml": XML}),
    "what macOS leaves": (
        lambda: zipped(
            ("a.xml", XML), ("__MACOSX/._a.xml", b"\0"), (".DS_Store", b"\0"), ("b/._a.xml", b"\0")
        ),
        {"a.xml": XML},
    ),
    "khmer name and spaces": (lambda: zipped(("រូប ១/a b.XML", XML)), {"រូប ១/a b.XML": XML}),
    "one archive inside": (
        lambda: zipped(("KH01.zip", zipped(("KH01/a.xml", XML)))), {"KH01.zip!KH01/a.xml": XML},
    ),
    "empty member": (lambda: zipped(("a.xml", XML), ("logo", b"")), {"a.xml": XML, "logo": b""}),
    "dots in a name": (lambda: zipped(("v..2/a...xml", XML)), {"v..2/a...xml": XML}),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_an_odd_but_honest_archive_is_read(name: str, written: Callable[[bytes], Path]) -> None:
    make, expected = ODD[name]
    path = written(make())
    assert read_all(path) == expected
    prove_complete(path)


def test_a_million_members_are_refused_before_they_cost_memory(
    written: Callable[[bytes], Path],
) -> None:
    path = written(many_members(1_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(OversizedDelivery, match="1,000,000 members; 200,000 are allowed"):
            Delivered(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_a_directory_longer_than_its_end_record_admits_is_counted_no_further(
    written: Callable[[bytes], Path],
) -> None:
    limits = Limits(members=2)
    with pytest.raises(UnreadableDelivery, match="has 3 members, its end record 1"):
        Delivered(written(understated()), limits)
    with pytest.raises(OversizedDelivery, match="3 members; 2 are allowed"):
        Delivered(written(understated(3)), limits)


def test_many_small_bombs_are_judged_together(written: Callable[[bytes], Path]) -> None:
    limits = Limits(overall_ratio_above_bytes=1 << 16)
    data = zipped(*((f"{n}.xml", b"\0" * 60_000) for n in range(4)))
    with pytest.raises(OversizedDelivery, match=r"expand to 240,000 bytes.*'0.xml'"):
        Delivered(written(data), limits)


def test_archives_inside_share_one_budget(written: Callable[[bytes], Path]) -> None:
    inner = zipped(("a.xml", XML), method=zipfile.ZIP_STORED)
    data = zipped(("1.zip", inner), ("2.zip", inner))
    Delivered(written(data), Limits(nested_bytes=2 * len(inner))).close()
    with pytest.raises(OversizedDelivery, match=r"2\.zip"):
        Delivered(written(data), Limits(nested_bytes=2 * len(inner) - 1))


@pytest.mark.parametrize("spoil", [wrong_size, lambda: spoilt_byte(zipped(("a.xml", XML)))])
def test_a_damaged_member_is_named_when_it_is_read(
    spoil: Callable[[], bytes], written: Callable[[bytes], Path]
) -> None:
    path = written(spoil())
    with pytest.raises(UnreadableDelivery, match=r"a\.xml"):
        read_all(path)
    with pytest.raises(UnreadableDelivery, match=r"a\.xml"):
        prove_complete(path)


def spoilt_byte(data: bytes, at: int = 40) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def test_a_large_document_is_expanded_while_it_is_read(
    written: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.readers.archives.STREAMED_ABOVE_BYTES", 1000)
    content = random.Random(1).randbytes(5_000)
    path = written(zipped(("a.xml", content)))
    with Delivered(path) as delivered, delivered.open(Member("a.xml", 5_000)) as source:
        assert not isinstance(source, io.BytesIO)
        assert source.read(100) == content[:100]
        source.seek(0)
        assert source.read() == content
    spoilt = written(spoilt_byte(zipped(("a.xml", content)), at=4_000))
    with (
        Delivered(spoilt) as delivered,
        delivered.open(Member("a.xml", 5_000)) as source,
        pytest.raises(UnreadableDelivery, match=r"a\.xml"),
    ):
        source.read()


@pytest.mark.parametrize("cut", [1, 4, 21, 60])
def test_half_an_archive_is_incomplete(cut: int, written: Callable[[bytes], Path]) -> None:
    data = zipped(("a.xml", XML), ("b.xml", XML))
    with pytest.raises(IncompleteDelivery):
        prove_complete(written(data[:-cut]))


@pytest.mark.parametrize(
    "data",
    [
        XML,
        b"\xef\xbb\xbf" + XML,
        b"\n \t\n<!-- <Other> --><?pi ?><T><a/></T>\n<!-- the end -->",
        "<T>\u0e01</T>".encode("utf-16"),
        "<?xml version='1.0' encoding='UTF-16LE'?><T/>".encode("utf-16-le"),
        b"<T/>",
        b"<t:T xmlns:t='x'></t:T >",
        b"<T></T> trailing words are wrong, not missing",
    ],
)
def test_a_whole_document_is_complete(data: bytes, written: Callable[[bytes], Path]) -> None:
    prove_complete(written(data))


@pytest.mark.parametrize(
    "data", [b"", b"<", b"<T>", b"<T><T2></T2>", b"<T></T", b"<!-- <T></T>", b"<T><!-- </T> "]
)
def test_half_a_document_is_incomplete(data: bytes, written: Callable[[bytes], Path]) -> None:
    with pytest.raises(IncompleteDelivery):
        prove_complete(written(data))


def broken(data: bytes, seed: int) -> bytes:
    chance = random.Random(seed)
    spoilt = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
    return bytes(spoilt[: chance.randint(1, len(spoilt)) if chance.random() < 0.3 else None])


def seeds(count: int) -> Iterable[bytes]:
    whole = [zipped(("a.xml", XML), ("b/logo.png", b"\x89PNG")), zip64(), commented(), streamed()]
    whole.append(zipped(("KH01.zip", whole[0])))
    return (broken(whole[seed % len(whole)], seed) for seed in range(count))


def test_random_damage_never_raises_anything_but_our_own_errors(
    written: Callable[[bytes], Path],
) -> None:
    refused = 0
    for data in seeds(600):
        try:
            prove_complete(written(data))
            read_all(written(data))
        except DeliveryError:
            refused += 1
    assert refused > 300
