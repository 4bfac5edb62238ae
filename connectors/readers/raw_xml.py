"""What the bytes of an XML document say without parsing it.

Enough to refuse a document type that declares things, to tell a whole document from the
beginning of one, and to see for which right it was written. Reading records is ``xml``.

Standards: W3C XML 1.0; namespaces of WIPO ST.66, ST.86 and ST.96, roots of ST.36.
"""

import re
from os import SEEK_END
from typing import BinaryIO

from ipregister.errors import UnreadableDelivery
from ipregister.model import Right

PROLOG_BYTES = 65_536
"""How far a document type declaration is looked for; beyond it the parser's own settings guard."""

_INTERNAL_SUBSET = re.compile(rb"<!DOCTYPE(?:[^>\[\"']|\"[^\"]*\"|'[^']*')*\[", re.IGNORECASE)
_ASIDES = re.compile(rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<\?.*?(?:\?>|\Z)", re.DOTALL)
"""Where markup is not markup; one that does not end reaches to the end of what was read."""
_NAMESPACES = {
    Right.TRADEMARKS: (
        b"XMLSchema/trademarks",
        b"XMLSchema/ST96/Trademark",
        b"<TradeMarkTransactionBody",
    ),
    Right.DESIGNS: (b"XMLSchema/designs", b"XMLSchema/ST96/Design", b"<DesignTransactionBody"),
    Right.PATENTS: (
        b"XMLSchema/patents",
        b"XMLSchema/ST96/Patent",
        b"<PatentTransactionBody",
        b"-patent-document",
    ),
}
"""How a document says what it holds: namespaces of ST.66, ST.86, ST.96, roots of ST.36."""

_ROOT = re.compile(rb"<([A-Za-z_][^\s/>]*)")


def refuse_internal_subset(prolog: bytes) -> None:
    """Refuse a document type declaration that declares anything itself.

    Raises:
        UnreadableDelivery: it does; entities could hide or multiply content.
    """
    if b"!" not in prolog:  # most documents; the searches below take 8 µs
        return
    if _INTERNAL_SUBSET.search(_ASIDES.sub(b"", prolog.replace(b"\0", b""))):
        raise internal_subset()


def internal_subset() -> UnreadableDelivery:
    """Return the refusal of a document type that declares anything itself."""
    return UnreadableDelivery(
        "The document type declaration has an internal subset; send the file without it."
    )


def right_of(source: BinaryIO) -> Right | None:
    """Return the right a document is written for by its WIPO namespaces, if it says so.

    Its root's own counts first: others may only be declared.
    """
    source.seek(0)
    head = source.read(PROLOG_BYTES).replace(b"\0", b"")
    source.seek(0)
    for text in (_namespace_of_root(_ASIDES.sub(b"", head)), head):
        for right, namespaces in _NAMESPACES.items():
            if any(namespace in text for namespace in namespaces):
                return right
    return None


def _namespace_of_root(head: bytes) -> bytes:
    """Return the namespace of a document's first element; nothing when it has none."""
    root = _ROOT.search(head)
    if root is None:
        return b""
    prefix, colon, _ = root[1].rpartition(b":")
    attributes = head[root.end() :].partition(b">")[0]
    declared = rb"\sxmlns%s\s*=\s*[\"']([^\"']*)" % re.escape(colon + prefix)
    found = re.search(declared, attributes)
    return found[1] if found else b""


def closes_root(source: BinaryIO) -> bool:
    """Tell whether the last element of a document closes its first one."""
    source.seek(0)
    head = _ASIDES.sub(b"", source.read(PROLOG_BYTES).replace(b"\0", b""))
    root = _ROOT.search(head)
    if root is None:
        return False
    source.seek(0, SEEK_END)
    source.seek(max(0, source.tell() - PROLOG_BYTES))
    tail = _ASIDES.sub(b"", source.read().replace(b"\0", b""))
    # What is behind the root may be wrong, but then the document is not incomplete.
    ending = re.compile(rb"(?:</%s\s*>|<%s[^<]*/>)[^<]*$" % ((re.escape(root[1]),) * 2))
    return ending.search(tail) is not None
