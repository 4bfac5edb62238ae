"""A request that comes twice takes effect once: repeated, at once, and after a crash."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.ledger import DeliveredFile, Delivery, Ledger
from connectors.ledger.idempotency import KEEP
from connectors.submitting import Package, submit
from ipregister.deliveries import Kind, State
from ipregister.errors import KeyReused, StoreError
from ipregister.model import Right

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FILE = DeliveredFile("a.zip", "a" * 64, 10)


def push(ledger: Ledger, key: str | None, file: DeliveredFile = FILE, **more: Any) -> Delivery:
    package = Package("KH", Right.PATENTS, more.pop("kind", Kind.UPDATE), "api", (file,))  # type: ignore[arg-type]
    client = more.pop("client", "office-kh-1")
    at = more.pop("at", AT)
    return submit(ledger, package, at=at, by=client, client_id=client, key=key)


def test_the_same_request_is_the_same_delivery(ledger: Ledger) -> None:
    first = push(ledger, "k")
    assert push(ledger, "k") == first
    assert len(ledger.deliveries.list()) == 1
    assert push(ledger, None).state is State.DUPLICATE


def test_another_request_with_the_key_is_refused(ledger: Ledger) -> None:
    push(ledger, "k")
    for file in (
        DeliveredFile("a.zip", "b" * 64, 10),
        DeliveredFile("b.zip", "a" * 64, 10),
    ):
        with pytest.raises(KeyReused, match="new key"):
            push(ledger, "k", file)
    with pytest.raises(KeyReused):
        push(ledger, "k", kind=Kind.FULL_EXTRACTION)
    assert len(ledger.deliveries.list()) == 1


def test_keys_are_each_clients_own(ledger: Ledger) -> None:
    push(ledger, "k")
    other = DeliveredFile("c.zip", "c" * 64, 1)
    assert push(ledger, "k", other, client="office-kh-2").state is State.RECEIVED


def test_a_key_is_kept_a_day_at_least(ledger: Ledger) -> None:
    first = push(ledger, "k")
    assert timedelta(hours=24) <= KEEP
    assert push(ledger, "k", at=AT + KEEP) == first
    later = push(ledger, "k", at=AT + KEEP + timedelta(seconds=1))
    assert (later.state, later.deliveryId == first.deliveryId) == (State.DUPLICATE, False)


def test_a_crash_leaves_neither_key_nor_delivery(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise StoreError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr("connectors.ledger.deliveries.note_step", crash)
        with pytest.raises(StoreError):
            push(ledger, "k")
    assert ledger.deliveries.list() == []
    assert push(ledger, "k").state is State.RECEIVED


def test_many_at_once_have_one_effect(ledger: Ledger, together: Callable[..., list[Any]]) -> None:
    work = """
from connectors.ledger import DeliveredFile
from connectors.submitting import Package, submit
from ipregister.deliveries import Kind
from ipregister.model import Right
files = (DeliveredFile("a.zip", "a" * 64, 10),)
package = Package("KH", Right.PATENTS, Kind.UPDATE, "api", files)
result = [
    submit(ledger, package, at=AT, by="c", client_id="c", key=f"k{n}").deliveryId for n in range(5)
]
"""
    results = together(4, work)
    assert len({tuple(result) for result in results}) == 1
    assert len(ledger.deliveries.list()) == 5
