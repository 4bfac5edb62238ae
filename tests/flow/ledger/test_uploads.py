"""Announced files: which are gone on with, and which are forgotten; on both databases."""

from datetime import UTC, datetime, timedelta

from connectors.ledger import Ledger, UploadState
from connectors.ledger.uploads import KEPT_FOR

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


def test_no_file_has_a_name_that_a_database_cannot_hold(ledger: Ledger) -> None:
    assert ledger.uploads.find_all(["file-1\0", "\0"]) == []
