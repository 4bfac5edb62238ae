"""Records without free text: for a third party that must not read what people wrote by hand.

Members marked ``freeText`` in the tables may carry names of persons whatever their class. A
view without them has fragments of its own, made here from the whole ones: members left out,
everything else byte for byte as it was rendered.

Standard: RFC 8259 (JSON).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec

from connectors.serving.preparing import Entry
from ipregister.model import Disclosure, Member, Right, load_tables

_Plan = dict[str, "_Plan | None"]
"""Members to leave out (``None``) and members to look into."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class FreeTextRemover:
    """Takes free text out of the records of one right."""

    def __init__(self, right: Right) -> None:
        """Look up which members of each class are free text."""
        table = load_tables()[right]
        plans = [_plan(table.of_class(name)) for name in Disclosure]
        self._plans = [(plan, _mentions(plan)) for plan in plans]

    def strip(self, entry: Entry) -> Entry:
        """Return the record without free text; it is not found by its words either."""
        pairs = zip(self._plans, entry.fragments, strict=True)
        fragments = tuple([_strip(*plan, fragment) for plan, fragment in pairs])
        filed = (*entry.filed[:-1], "")
        return Entry(
            *(entry.record, entry.sort_key, entry.change, entry.postings), filed, fragments
        )

    def strip_columns(self, columns: Iterable[Sequence[bytes]]) -> list[Sequence[bytes]]:
        """Return columns of fragments, one per class, without free text."""
        return [
            [_strip(plan, mentions, fragment) for fragment in column] if plan else column
            for (plan, mentions), column in zip(self._plans, columns, strict=True)
        ]


@cache
def free_text_remover(right: Right) -> FreeTextRemover:
    """Return the remover of a right."""
    return FreeTextRemover(right)


def _plan(members: Iterable[Member]) -> _Plan:
    plan: _Plan = {}
    for member in members:
        if member.freeText:
            plan[member.name] = None
        elif inner := _plan(member.fields):
            plan[member.name] = inner
    return plan


def _mentions(plan: _Plan) -> re.Pattern[bytes]:
    """Return what is found in a fragment that has something to leave out, and seldom in others."""
    return re.compile(b'"(?:%b)":' % b"|".join(name.encode() for name in sorted(_left_out(plan))))


def _left_out(plan: _Plan) -> set[str]:
    return set[str]().union(
        *({name} if inner is None else _left_out(inner) for name, inner in plan.items())
    )


def _strip(plan: _Plan, mentions: re.Pattern[bytes], fragment: bytes) -> bytes:
    """Return a fragment without free text, in the shape it had (``connectors.rendering``)."""
    if not plan or mentions.search(fragment) is None:
        return fragment
    if fragment[:1] == b"{":
        return _encode(_without(plan, _decode(fragment + b"}")))[:-1]
    kept = _without(plan, _decode(b"{" + fragment[1:] + b"}"))
    return b"," + _encode(kept)[1:-1] if kept else b""


def _without(plan: _Plan, value: Mapping[str, Any]) -> dict[str, Any]:
    kept = {}
    for name, inner in value.items():
        if name not in plan:
            kept[name] = inner
        elif (deeper := plan[name]) is not None and (rest := _inside(deeper, inner)):
            kept[name] = rest
    return kept


def _inside(plan: _Plan, value: Any) -> Any:
    """Nothing is written for nothing: what has only free text disappears with it."""
    if isinstance(value, list):
        return [rest for item in value if (rest := _without(plan, item))]
    return _without(plan, value)
