"""Announced files: which are gone on with, and which are forgotten; on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.ledger import Ledger, UploadState, uploads
from connectors.ledger.uploads import KEPT_FOR, OPEN_FOR
from ipregister.errors import InvalidRequest, LedgerConflict

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def test_only_unfinished_files_are_forgotten_and_only_once(ledger: Ledger) -> None:
    client, _ = ledger.clients.add(name="a", office="KH", at=AT, by="test")

    def announce(name: str, at: datetime) -> str:
        told = {"name": name, "sha256": "a" * 64, "bytes": 10}
        return ledger.uploads.announce(client.clientId, "KH", **told, at=at).fileId

    old, finished, later = (
        announce("a", AT), announce("b", AT), announce("c", AT + timedelta(seconds=1))
    )  # fmt: skip
    ledger.uploads.finish(finished, UploadState.VALIDATED, at=AT)
    now = AT + KEPT_FOR
    assert ledger.uploads.overdue(now - timedelta(seconds=1)) == []
    assert [each.fileId for each in ledger.uploads.overdue(now)] == [old]
    assert ledger.uploads.forget(old, at=now, by="hub")
    assert not ledger.uploads.forget(old, at=now, by="hub")
    assert not ledger.uploads.forget(finished, at=now, by="hub")
    assert ledger.uploads.find(old) is None
    assert [each.fileId for each in ledger.uploads.find_all([finished, later])] == [finished, later]
    actions = [entry.action for entry in ledger.audit.entries() if entry.subject == old]
    assert sorted(actions) == ["upload:announced", "upload:forgotten"]
    assert ledger.verify() is None


def test_a_client_goes_on_with_its_own_unfinished_file_of_the_same_content(
    ledger: Ledger,
) -> None:
    one, two = (
        ledger.clients.add(name=name, office="KH", at=AT, by="test")[0].clientId for name in "ab"
    )

    def announce(client: str = one, at: datetime = AT, **more: object) -> str:
        told: dict[str, Any] = {"name": "a", "sha256": "a" * 64, "bytes": 10} | more
        return ledger.uploads.announce(client, "KH", **told, at=at).fileId

    first = announce()
    assert announce(at=AT + OPEN_FOR - timedelta(seconds=1)) == first
    others = {announce(two), announce(name="b"), announce(sha256="b" * 64), announce(bytes=11)}
    assert len(others | {first}) == 5
    late = announce(at=AT + OPEN_FOR)  # the first is not gone on with any more
    assert late not in others | {first}
    ledger.uploads.finish(late, UploadState.REJECTED, at=AT, reason="another content")
    found = ledger.uploads.find(late)
    assert found is not None
    assert (found.state, found.reason) == (UploadState.REJECTED, "another content")
    with pytest.raises(LedgerConflict, match="not being received"):
        ledger.uploads.finish(late, UploadState.VALIDATED, at=AT)
    assert announce(at=AT + OPEN_FOR) not in others | {first, late}


def test_a_client_may_have_so_many_unfinished_files(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_OPEN", 2)
    told: dict[str, Any] = {"sha256": "a" * 64, "bytes": 10, "at": AT}
    one, two = (
        ledger.clients.add(name=name, office="KH", at=AT, by="test")[0].clientId for name in "ab"
    )
    first = ledger.uploads.announce(one, "KH", name="a", **told)
    ledger.uploads.announce(one, "KH", name="b", **told)
    with pytest.raises(InvalidRequest, match="2 unfinished"):
        ledger.uploads.announce(one, "KH", name="c", **told)
    ledger.uploads.announce(two, "KH", name="c", **told)
    ledger.uploads.finish(first.fileId, UploadState.VALIDATED, at=AT)
    ledger.uploads.announce(one, "KH", name="c", **told)


def test_no_file_has_a_name_that_a_database_cannot_hold(ledger: Ledger) -> None:
    assert ledger.uploads.find_all(["file-1\0", "\0"]) == []
