"""What small files beside a delivery promise: checksums and manifests.

Pure functions over text and digests. Which file speaks of which is ``grouping``.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

MAX_BYTES = 1 << 20
"""A manifest of 10,000 files stays below this; anything larger is no manifest."""

_DIGEST = re.compile(r"(?<![0-9A-Fa-f])(?:[0-9A-Fa-f]{64}|[0-9A-Fa-f]{32})(?![0-9A-Fa-f])")
_NAME = re.compile(r"[^\s\"'*,;:<>()\[\]{}|/\\]+\.(?:zip|xml|rar|7z|json|csv)\b", re.IGNORECASE)


def digest_in(text: str) -> str | None:
    """Return the first MD5 or SHA-256 digest in a checksum file, lower-case hex."""
    match = _DIGEST.search(text)
    return match[0].lower() if match else None


def promised(text: str) -> Mapping[str, str | None]:
    """Return the file names a manifest gives, lower case, with the digest of their line.

    Forms understood: one name a line, ``sha256sum`` output, and JSON or CSV that keeps a
    file's name and digest on one line; a digest elsewhere is not used.
    """
    found: dict[str, str | None] = {}
    for line in text.splitlines():
        names = [match[0].casefold() for match in _NAME.finditer(line)]
        digest = digest_in(line) if len(names) == 1 else None
        found |= dict.fromkeys(names, digest)
    return found


def missing(text: str, names: Iterable[str]) -> list[str]:
    """Return what a manifest names and ``names`` lacks, in alphabetical order."""
    return sorted(promised(text).keys() - {name.casefold() for name in names})


def matches(digest: str, sha256: str, path: Path) -> bool:
    """Tell whether landed bytes have a digest; MD5 is computed, SHA-256 is known."""
    if len(digest) == 64:
        return digest == sha256
    with path.open("rb") as source:
        # Not for security: it is what the office's tools write.
        return hashlib.file_digest(source, _md5).hexdigest() == digest


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)
