"""Whatever a client asks, two hubs that differ in what it may not see answer the same bytes."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.serving import feed, reading, streaming
from ipregister.authorizations import Grant
from ipregister.model import Disclosure, Right

WITHHOLDABLE = [name for name in Disclosure if name is not Disclosure.CORE]
MASKS = [frozenset(held) for size in range(5) for held in combinations(WITHHOLDABLE, size)]
EVERYTHING = frozenset(Disclosure)
FOLLOWED = 60
"""Requests that answers of one world pair lead to, from reading and from orders of files."""


def name_of(withheld: frozenset[Disclosure]) -> str:
    return "+".join(sorted(withheld)) or "nothing"


def compared(twins: Any, pair: Any, *, share: int = 1, turn: int = 0) -> tuple[int, list[str]]:
    """Ask both worlds one of ``share`` requests; return how many those were and what differed."""
    with pair.a.http, pair.b.http:  # one event loop for all requests, not one for each
        description = pair.a.http.get("/openapi.json").json()
        first = list(twins.requests_for(description, pair.old))[turn % share :: share]
        # What reading and what an order of a file leads to is followed each on its own account.
        waiting = deque((asked, asked[0]) for asked in first)
        seen, followed, differences = set(first), Counter[str](), list[str]()
        number = 0
        while waiting:
            asked, origin = waiting.popleft()
            number += 1
            one, other = pair.both(asked, number)
            pair.files += origin == "POST" and one.status_code == 206
            if seen_as(one) != seen_as(other):
                differences.append(f"{asked[0]} {asked[1]} {asked[2]}: {told(one, other)}")
            for more in twins.follow(one):
                if more not in seen and followed[origin] < FOLLOWED:
                    seen.add(more)
                    waiting.append((more, origin))
                    followed[origin] += 1
    return number, differences


def seen_as(answer: httpx.Response) -> tuple[Any, ...]:
    return answer.status_code, sorted(answer.headers.multi_items()), answer.content


def told(one: httpx.Response, other: httpx.Response) -> str:
    parts = zip(("status", "headers", "body"), seen_as(one), seen_as(other), strict=True)
    return "; ".join(f"{name}: {a!r} | {b!r}"[:600] for name, a, b in parts if a != b)


@pytest.mark.parametrize("withheld", MASKS, ids=name_of)
def test_both_worlds_answer_alike(
    twins: Any, tmp_path: Path, withheld: frozenset[Disclosure]
) -> None:
    pair = twins.open_twins(tmp_path, Grant(EVERYTHING - withheld))
    # Each mask has its third of the requests: every request meets five masks and more.
    number, differences = compared(twins, pair, share=3, turn=MASKS.index(withheld))
    assert differences == []
    assert number >= 2_000 / len(MASKS)
    assert pair.files > 0


@pytest.mark.parametrize("free_text", [True, False], ids=["free-text", "without-free-text"])
def test_rows_outside_a_rule_leave_no_trace(twins: Any, tmp_path: Path, free_text: bool) -> None:
    allowed = EVERYTHING - {Disclosure.STAKEHOLDER, Disclosure.DOCUMENTS}
    grant = Grant(allowed, rule=twins.RULE, freeText=free_text)
    _, differences = compared(twins, twins.open_twins(tmp_path, grant))
    assert differences == []


def test_a_client_without_any_grant_sees_one_world(twins: Any, tmp_path: Path) -> None:
    pair = twins.open_twins(tmp_path, Grant(EVERYTHING))
    for world in (pair.a, pair.b):
        for office, _ in twins.SHARED:
            world.ledger.authorizations.revoke(office, "Acme", twins.NOW, "test")
    _, differences = compared(twins, pair)
    assert differences == []


def _leak_columns(patch: pytest.MonkeyPatch) -> None:
    """Read every class whatever is allowed, as if nobody projected."""
    projected, everything = reading.column_of, sum(reading.BITS.values())
    for module in (reading, feed, streaming):
        if hasattr(module, "column_of"):
            patch.setattr(module, "column_of", lambda _mask, **end: projected(everything, **end))
    _forget_statements()


def _forget_statements() -> None:
    for module in (reading, feed):
        for statement in vars(module).values():
            if hasattr(statement, "cache_clear"):
                statement.cache_clear()


@pytest.mark.parametrize("withheld", [MASKS[1], MASKS[15]], ids=name_of)
def test_without_projection_the_comparison_turns_red(
    twins: Any, tmp_path: Path, withheld: frozenset[Disclosure], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = twins.open_twins(tmp_path, Grant(EVERYTHING - withheld))
    _leak_columns(monkeypatch)
    try:
        _, differences = compared(twins, pair)
    finally:
        monkeypatch.undo()
        _forget_statements()
    routes = {difference.split("?")[0].split(" ")[1] for difference in differences}
    assert {"/v1/changes", "/v1/offices/KH/trademarks/records"} <= routes


def members(document: Any, path: str = "") -> Iterator[str]:
    if isinstance(document, dict):
        for name, value in document.items():
            yield from members(value, f"{path}.{name}")
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from members(value, f"{path}[{number}]")
    else:
        yield f"{path}={document}"


def test_withholding_more_never_adds_a_byte(twins: Any, tmp_path: Path) -> None:
    seen: dict[frozenset[Disclosure], tuple[set[str], int]] = {}
    world = twins.open_twins(tmp_path, Grant(EVERYTHING)).a
    for withheld in MASKS:
        rights: dict[Right, frozenset[Disclosure]] = {Right.TRADEMARKS: withheld}
        world.ledger.authorizations.set("KH", "Acme", rights, None, twins.NOW, "test")
        page = world.send(("GET", "/v1/offices/KH/trademarks/records", (), b""))
        seen[withheld] = set(members(json.loads(page.content)["items"])), len(page.content)
    for fewer, more in ((a, b) for a in MASKS for b in MASKS if a < b):
        assert seen[more][0] < seen[fewer][0]
        assert seen[more][1] < seen[fewer][1]
