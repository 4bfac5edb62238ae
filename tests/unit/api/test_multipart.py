"""A multipart body, taken apart whatever the chunks it comes in."""

import pytest

from api.multipart import MAX_HEAD_BYTES, MAX_PARTS, Begin, Multipart
from ipregister.errors import InvalidRequest

KIND = 'multipart/form-data; boundary="x-y"'


def part(name: str, content: bytes) -> bytes:
    head = f'--x-y\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return head.encode() + b"Content-Type: application/zip\r\n\r\n" + content + b"\r\n"


def take_apart(body: bytes, size: int, kind: str = KIND) -> list[tuple[str, bytes]]:
    parser, files = Multipart(kind), list[tuple[str, bytes]]()
    for start in range(0, len(body), size):
        for event in parser.feed(body[start : start + size]):
            if isinstance(event, Begin):
                files.append((event.name, b""))
            elif isinstance(event, bytes):
                files[-1] = (files[-1][0], files[-1][1] + event)
    parser.finish()
    return files


HARD = [
    ("a.zip", b"PK\x00\r\n--x-\r\n-x-y\r\n--x-z\r\r\n--"),
    ("empty.zip", b""),
    ("ឯកសារ.zip", bytes(range(256)) * 3),
    ("ends.zip", b"\r\n\r\n"),
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_chunks_do_not_matter(size: int) -> None:
    body = b"".join(part(name, content) for name, content in HARD) + b"--x-y--\r\n"
    assert take_apart(body, size) == HARD
    assert take_apart(b"for people\r\n" + body + b"and after", size) == HARD


def test_a_transport_may_pad_boundaries_and_encode_names() -> None:
    body = (
        b"--x-y \t\r\nContent-Disposition: form-data; name=f; filename*=UTF-8''a%20b.zip\r\n\r\n"
        b"content\r\n--x-y--"
    )
    for size in (1, 1_000):
        assert take_apart(body, size) == [("a b.zip", b"content")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x-y",
        part("a.zip", b"cut off"),
        b"--x-y\r\n\r\ncontent\r\n--x-y--",
        b'--x-y\r\nContent-Disposition: form-data; name="kind"\r\n\r\nupdate\r\n--x-y--',
        b"--x-yz\r\n" + part("a.zip", b"a"),
        b"--x-y\r\nX: " + b"a" * (MAX_HEAD_BYTES + 1),
        b"--x-y" + b" " * (MAX_HEAD_BYTES + 1),
        part("a.zip", b"a") * (MAX_PARTS + 1) + b"--x-y--",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_not_a_set_of_files_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        take_apart(body, 1_000)


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=" + "a" * 71]
)
def test_without_a_boundary_there_are_no_parts(kind: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        Multipart(kind)
