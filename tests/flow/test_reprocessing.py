"""Everything derived again: the same mapping changes nothing, another one says why it changes."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import pipelines.ingest as ingest
import pipelines.reprocessing as reprocessing
import pipelines.reverting as reverting
from connectors import faults
from connectors.backup.homes import back_up, restore
from connectors.hub import Hub
from connectors.rebuilding import rebuild_serving
from connectors.register.manifests import processing_of
from connectors.register.store import RegisterStore
from connectors.settings import Settings
from connectors.sweeping import sweep
from ipregister import mapping, processing, profiles
from ipregister.authorizations import Grant
from ipregister.deliveries import Kind
from ipregister.errors import LedgerConflict
from ipregister.model import Disclosure, Right
from pipelines.begun import places_begun
from pipelines.journey import manifest_of
from pipelines.running import process_until_idle

FULL = Kind.FULL_EXTRACTION
MARKS = Right.TRADEMARKS
EVERYTHING = {("KH", MARKS): Grant(frozenset(Disclosure))}
ONE, TWO, THREE = (f"KH/9000{n}/2019" for n in range(1, 4))


def crash(*_: Any) -> None:
    raise KeyboardInterrupt


def again(desk: Any) -> list[Any]:
    return reprocessing.reprocess(desk.hub, "KH", MARKS, by="test", clock=lambda: desk.now)


def words(record: dict[str, Any]) -> str:
    return str(record["markVerbalElements"][0]["text"])


def logged(desk: Any) -> list[tuple[Any, ...]]:
    with desk.hub.register.connect() as con:
        desk.hub.register.define_log(con, MARKS, "KH", "log")
        return con.execute("SELECT * FROM log ORDER BY changeSeq").fetchall()  # type: ignore[no-any-return]


def everything(desk: Any) -> tuple[Any, ...]:
    """Return all that must not change when nothing changes, byte for byte."""
    feed = desk.hub.serving.changes(EVERYTHING, None, 1_000)
    manifests = sorted(desk.hub.register.root.rglob("manifests/KH/*.parquet"))
    return (
        logged(desk),
        desk.served_bytes(),
        feed.items,
        feed.marks,
        {path.name: path.read_bytes() for path in manifests},
        desk.hub.ledger.audit.head(),
    )


def settled(desk: Any) -> list[int]:
    """Return how many changes a further reading makes, which must change nothing."""
    before = everything(desk)
    changes = [each.changes for each in again(desk)]
    assert everything(desk) == before
    return changes


def deleted(mark: str) -> str:
    return mark.replace("<TradeMark>", '<TradeMark operationCode="Delete">')


@contextmanager
def changed_profile(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]
) -> Iterator[None]:
    """Let Cambodia's profile be another one, for a while."""
    caches = (profiles.load_profile, mapping.mapping_for, processing.processing_version)
    load = profiles._load

    def changed(*path: str) -> dict[str, Any]:
        document = load(*path)
        if path == ("kh.yaml",):
            change(document)
        return document

    with monkeypatch.context() as patched:
        patched.setattr(profiles, "_load", changed)
        for cache in caches:
            cache.cache_clear()
        try:
            yield
        finally:
            for cache in caches:
                cache.cache_clear()


def changed_mapping(monkeypatch: pytest.MonkeyPatch, **words: str) -> AbstractContextManager[None]:
    """Let Cambodia's profile know more words for the status, for a while."""
    vocabulary = {"status": words}
    return changed_profile(
        monkeypatch,
        lambda profile: profile["rights"]["trademarks"]["vocabularies"].update(vocabulary),
    )


def unread(monkeypatch: pytest.MonkeyPatch, number: str) -> AbstractContextManager[None]:
    """Let a number be none to Cambodia's profile, so that its record cannot be read."""
    return changed_profile(
        monkeypatch,
        lambda profile: profile["rights"]["trademarks"]["placeholders"].append(number),
    )


@pytest.fixture
def full_desk(desk: Any, ipas: Any) -> Any:
    """A hub with a held version, a deleted record, a late delivery and an unchanged record."""
    desk.deliver(
        ipas.marks(ipas.mark(ONE), ipas.mark(TWO, status="Dormant"), ipas.mark(THREE)),
        kind=FULL, names=("KH_20261101.xml",),
    )  # fmt: skip
    held = ipas.mark(ONE, "HELD", office="VN")
    desk.deliver(
        ipas.marks(held, ipas.mark(TWO, status="Dormant")),
        kind=FULL, names=("KH_20261110.xml",),
    )  # fmt: skip
    desk.deliver(
        ipas.marks(ipas.mark("KH/90004/2019"), ipas.mark(ONE, "LATE")), names=("KH_20261105.xml",)
    )
    return desk


def test_the_same_mapping_changes_not_one_byte(full_desk: Any) -> None:
    before = everything(full_desk)
    done = again(full_desk)
    assert [each.changes for each in done] == [0, 0]
    assert [each.before == each.now for each in done] == [True, True]
    assert everything(full_desk) == before


def test_another_mapping_changes_what_it_says_differently_and_says_why(
    full_desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = full_desk
    feed, log, served = (
        desk.hub.serving.changes(EVERYTHING, None, 1_000),
        logged(desk),
        desk.served(),
    )
    assert served[TWO]["status"] == "unknown"
    with changed_mapping(monkeypatch, Dormant="lapsed"):
        done = again(desk)
        assert [(each.changes, each.before != each.now) for each in done] == [(0, True), (1, True)]
        told = [
            json.loads(item) for item in desk.hub.serving.changes(EVERYTHING, feed.marks, 99).items
        ]
        assert [(each["cause"], each["record"]["status"]) for each in told] == [
            ("processing", "lapsed")
        ]
        after = desk.served()
        assert (after.pop(TWO)["status"], served.pop(TWO)["status"]) == ("lapsed", "unknown")
        assert after == served
        with desk.hub.register.connect() as con:
            desk.hub.register.define_log(con, MARKS, "KH", "log")
            new = con.execute(
                "SELECT op, cause, deliveryId, changedClasses, applicationNumber, status FROM log "
                "ORDER BY changeSeq OFFSET ?", [len(log)],
            ).fetchall()  # fmt: skip
        assert new == [
            ("update", "processing", done[-1].deliveryId, ["status_change"], TWO, "lapsed")
        ]
        newest = desk.hub.ledger.deliveries.get(done[-1].deliveryId)
        assert processing_of(manifest_of(desk.hub, newest)) == done[-1].now
        reason = desk.hub.ledger.deliveries.events(newest.deliveryId)[-1].reason
        assert reason == f"reprocessed: 1 record changed by mapping or rules {done[-1].now}"
        once = everything(desk)
        again(desk)
        assert everything(desk) == once
        desk.hub.register.fold(MARKS, "KH")
        again(desk)
        assert everything(desk) == once


def kill_at(patched: pytest.MonkeyPatch, point: str) -> None:
    """Stop whoever passes a point, as a kill does."""
    patched.setattr(faults, "_at_points", [lambda reached: reached == point and crash()])


def test_readers_see_a_change_only_when_the_log_has_it(
    full_desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = full_desk
    log, served = logged(desk), desk.served_bytes()
    seen: list[tuple[int, bool]] = []

    def look(point: str) -> None:
        if point != "log.batch":  # from within Delta, Delta cannot be read
            seen.append((len(logged(desk)) - len(log), desk.served_bytes() != served))

    with changed_mapping(monkeypatch, Dormant="lapsed"), monkeypatch.context() as patched:
        patched.setattr(faults, "_at_points", [look])
        again(desk)
    assert set(seen) == {(0, False), (1, False), (1, True)}


@pytest.mark.parametrize(
    ("point", "goes_on"),
    [
        ("reprocess.decided", "process"), ("reprocess.decided", "deliver"),
        ("serving.written", "reprocess"), ("log.committed", "process"),
        ("log.committed", "revert"), ("reprocess.served", "reprocess"),
        ("reprocess.manifest", "deliver"), ("reprocess.remarked", "process"),
        ("reprocess.forgotten", "reprocess"),
    ],
)  # fmt: skip
def test_what_was_decided_is_finished_by_whoever_comes_next(
    full_desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch, point: str, goes_on: str
) -> None:
    """The mapping is another one again by then: what was decided does not depend on it."""
    desk = full_desk
    with changed_mapping(monkeypatch, Dormant="lapsed"), monkeypatch.context() as patched:
        kill_at(patched, point)
        with pytest.raises(KeyboardInterrupt):
            again(desk)
    sweep(desk.hub, at=datetime.now(UTC) + timedelta(days=3))
    begun = [] if point == "reprocess.forgotten" else [("KH", MARKS)]
    assert places_begun(desk.hub) == begun
    if goes_on == "process":
        assert process_until_idle(desk.hub, "TH") == []
        assert places_begun(desk.hub) == begun
        assert process_until_idle(desk.hub) == []
    elif goes_on == "deliver":
        desk.deliver(ipas.marks(ipas.mark("KH/90009/2019")), names=("KH_20261120.xml",))
    elif goes_on == "revert":
        late = desk.hub.ledger.deliveries.list()[0]
        reverting.revert(desk.hub, late.deliveryId, by="Som", reason="a test", at=desk.now)
    else:
        with changed_mapping(monkeypatch, Dormant="lapsed"):
            assert [each.changes for each in again(desk)] == [*[1 for _ in begun], 0, 0]
    assert places_begun(desk.hub) == []
    assert desk.served()[TWO]["status"] == "lapsed"
    with desk.hub.register.connect() as con:
        desk.hub.register.define_log(con, MARKS, "KH", "log")
        told = con.execute("SELECT status FROM log WHERE cause = 'processing'").fetchall()
    assert told == [("lapsed",)]
    items = desk.hub.serving.changes(EVERYTHING, None, 1_000).items
    assert [json.loads(item)["cause"] for item in items].count("processing") == 1
    events = [
        event.reason or ""
        for each in desk.hub.ledger.deliveries.list()
        for event in desk.hub.ledger.deliveries.events(each.deliveryId)
    ]
    assert [reason[:11] for reason in events if "mapping" in reason] == ["reprocessed"]
    served = desk.served_bytes()
    rebuild_serving(desk.hub.register, desk.hub.home.serving, at=desk.now)
    assert desk.served_bytes() == served
    assert list(desk.hub.home.root.glob("staging/reprocessing-*")) == []


def test_a_backup_between_decision_and_readers_is_finished_after_its_restore(
    full_desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = full_desk
    with changed_mapping(monkeypatch, Dormant="lapsed"), monkeypatch.context() as patched:
        kill_at(patched, "log.committed")
        with pytest.raises(KeyboardInterrupt):
            again(desk)
    back_up(desk.hub, tmp_path / "kept.tar", at=desk.now)
    settings = Settings(home=tmp_path / "restored", workers=1)
    restore(tmp_path / "kept.tar", settings, at=desk.now)
    restored = type(desk)(Hub.open(settings))
    assert restored.served()[TWO]["status"] == "unknown"
    process_until_idle(restored.hub)
    assert restored.served()[TWO]["status"] == "lapsed"
    restored.hub.close()


def test_a_reversal_that_was_killed_is_carried_out_before_anything_is_read_again(
    full_desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = full_desk
    newest = desk.hub.ledger.deliveries.list()[0]
    with monkeypatch.context() as patched:
        patched.setattr(reverting, "append_to_register", crash)
        patched.setattr(RegisterStore, "mark_reverted", crash)
        with pytest.raises(KeyboardInterrupt):
            reverting.revert(
                desk.hub, newest.deliveryId, by="Som", reason="a test file", at=desk.now
            )
    assert [each.changes for each in again(desk)] == [0, 0]
    assert desk.hub.ledger.deliveries.get(newest.deliveryId).reversal is not None


def test_a_delivery_is_taken_back_with_what_it_said_when_it_was_read_last(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one found unchanged what the reading of today had made of it."""
    marks = ipas.marks(ipas.mark(TWO, status="Dormant"))
    first = desk.deliver(marks, names=("KH_20261101.xml",))
    with changed_mapping(monkeypatch, Dormant="lapsed"):
        assert [each.changes for each in again(desk)] == [1]
        second = desk.deliver(f"{marks}<!-- again -->", names=("KH_20261102.xml",))
        assert second.receipt.unchanged == 1
        reverting.revert(desk.hub, first.deliveryId, by="test", reason="a test", at=desk.now)
        receipt = desk.hub.ledger.deliveries.get(second.deliveryId).receipt
        assert (receipt.unchanged, receipt.inserted, receipt.accepted) == (0, 1, 1)
        assert desk.served()[TWO]["status"] == "lapsed"


def test_while_a_delivery_is_half_published_nothing_is_read_again(
    full_desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the log and not with readers: compared with it, all it says would look like an error."""
    desk = full_desk
    half = desk.hand_in(ipas.marks(ipas.mark(THREE, "HALF")), names=("KH_20261120.xml",))
    with monkeypatch.context() as patched:
        patched.setattr(ingest, "publish_to_serving", crash)
        with pytest.raises(KeyboardInterrupt):
            desk.process(half)
    desk.now += timedelta(days=1)  # the lease of the worker that was killed has ended
    with pytest.raises(LedgerConflict, match=f"{half.deliveryId} is half published; try again"):
        again(desk)
    desk.process(half)
    before = everything(desk)
    again(desk)
    assert everything(desk) == before


def test_a_hub_without_manifests_gets_them(full_desk: Any) -> None:
    before = everything(full_desk)
    for path in full_desk.hub.register.root.rglob("manifests/KH/*.parquet"):
        path.unlink()
    again(full_desk)
    assert everything(full_desk) == before


def test_the_version_that_is_seen_is_read_again_though_a_newer_one_is_held(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.deliver(
        ipas.marks(*(ipas.mark(number, status="Dormant") for number in (ONE, TWO))),
        kind=FULL, names=("KH_20261101.xml",),
    )  # fmt: skip
    desk.deliver(
        ipas.marks(ipas.mark(ONE, "HELD", office="VN", status="Dormant"), ipas.mark(TWO, "NEW")),
        names=("KH_20261110.xml",),
    )
    with changed_mapping(monkeypatch, Dormant="lapsed"):
        assert [each.changes for each in again(desk)] == [1, 1]
        served = desk.served()
        assert (served[ONE]["status"], served[TWO]["status"]) == ("lapsed", "filed")
        assert served[ONE]["markVerbalElements"][0]["text"] == "LUMATIVA"
        assert settled(desk) == [0, 0]


def test_what_rules_held_is_shown_when_they_do_not_any_more(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = {"ALL.CMP.014": {"severity": "critical", "reason": "for this test", "owner": "a test"}}
    withdrawn = ipas.marks(ipas.mark(ONE, status="Withdrawn"), ipas.mark(TWO))
    with changed_profile(monkeypatch, lambda profile: profile.update(rules=strict)):
        desk.deliver(withdrawn, names=("KH_20261101.xml",))
        assert set(desk.served()) == {TWO}
    assert [each.changes for each in again(desk)] == [1]
    assert set(desk.served()) == {ONE, TWO}


def test_a_record_is_there_from_when_it_can_be_read_until_it_cannot(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unread(monkeypatch, ONE):
        desk.deliver(
            ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), kind=FULL, names=("KH_20261101.xml",)
        )
        assert set(desk.served()) == {TWO}
    assert [each.changes for each in again(desk)] == [1]
    assert set(desk.served()) == {ONE, TWO}
    marks = desk.hub.serving.changes(EVERYTHING, None, 99).marks
    with unread(monkeypatch, ONE):
        assert [each.changes for each in again(desk)] == [1]
    assert set(desk.served()) == {TWO}
    (told,) = map(json.loads, desk.hub.serving.changes(EVERYTHING, marks, 99).items)
    assert (told["changeType"], told["cause"]) == ("delete", "processing")


@pytest.mark.parametrize("both", [False, True])
def test_a_newer_version_that_can_be_read_now_counts_at_once(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch, both: bool
) -> None:
    older, newer = (
        (ipas.marks(ipas.mark(ONE, word), ipas.mark(other)), (f"KH_202611{day}.xml",))
        for word, other, day in (("OLD", TWO, "01"), ("NEW", THREE, "10"))
    )
    if not both:
        desk.deliver(older[0], names=older[1])
    with unread(monkeypatch, ONE):
        if both:
            desk.deliver(older[0], names=older[1])
        desk.deliver(newer[0], names=newer[1])
    assert [each.changes for each in again(desk)] == [int(both), 1]
    assert desk.served()[ONE]["markVerbalElements"][0]["text"] == "NEW"
    assert settled(desk) == [0, 0]


def test_what_nobody_could_read_is_read_where_all_else_was_said_again_since(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = deleted(ipas.mark(THREE))
    with unread(monkeypatch, ONE), unread(monkeypatch, THREE):
        unreadable = ipas.marks(ipas.mark(ONE), ipas.mark(TWO), ipas.mark(THREE))
        desk.deliver(unreadable, names=("KH_20261101.xml",))
        desk.deliver(ipas.marks(ipas.mark(TWO, "NEW")), names=("KH_20261110.xml",))
    desk.deliver(ipas.marks(gone), names=("KH_20261120.xml",))
    assert set(desk.served()) == {TWO}
    assert [each.changes for each in again(desk)] == [1, 0]
    assert {key: words(record) for key, record in desk.served().items()} == {
        ONE: "LUMATIVA",
        TWO: "NEW",
    }
    assert settled(desk) == [0, 0]


def test_a_removal_that_can_be_read_now_removes(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = deleted(ipas.mark(ONE))
    desk.deliver(ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), names=("KH_20261101.xml",))
    with unread(monkeypatch, ONE):
        desk.deliver(ipas.marks(gone, ipas.mark(THREE)), names=("KH_20261110.xml",))
    assert set(desk.served()) == {ONE, TWO, THREE}
    assert [each.changes for each in again(desk)] == [0, 1]
    assert set(desk.served()) == {TWO, THREE}
    assert settled(desk) == [0, 0]


def test_what_a_later_extraction_does_not_have_is_not_new_when_it_can_be_read(
    desk: Any, ipas: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with unread(monkeypatch, ONE):
        desk.deliver(ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), names=("KH_20261101.xml",))
    held = ipas.marks(ipas.mark(TWO, "HELD", office="VN"), ipas.mark(THREE))
    desk.deliver(held, kind=FULL, names=("KH_20261110.xml",))
    assert [each.changes for each in again(desk)] == [0, 0]
    assert set(desk.served()) == {TWO, THREE}


def test_a_removal_that_is_held_says_nothing_of_its_record(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark(ONE), ipas.mark(TWO)), names=("KH_20261101.xml",))
    removal = deleted(ipas.mark(ONE, office="VN"))
    desk.deliver(ipas.marks(removal, ipas.mark(THREE)), names=("KH_20261110.xml",))
    assert set(desk.served()) == {ONE, TWO, THREE}
    assert settled(desk) == [0, 0]
