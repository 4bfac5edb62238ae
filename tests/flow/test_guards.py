"""The twelve scenarios of plausible but wrong data, through the whole pipeline.

Every test starts from its own copy of one hub that has a hundred marks. Scenario numbers are
those of the security reference: G-01 to G-12.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

import pipelines.guarding as guarding
from connectors.ledger import DeliveredFile
from connectors.reports.documents import write_json
from connectors.reports.pages import write_html
from connectors.reports.sources import office_report
from iphub import decisions
from ipregister.deliveries import Kind, State
from ipregister.mapping import mapping_for
from ipregister.model import Right
from ipregister.profiles import load_profile
from pipelines.holds import holds_are_decided, ignored_holds
from pipelines.resources import HubResource

FULL, UPDATE = Kind.FULL_EXTRACTION, Kind.UPDATE
MARKS = Right.TRADEMARKS
COLLECTION = 100


@dataclass
class Office:
    """An office that exports its marks; each has its own year, date and applicant."""

    desk: Any
    ipas: Any
    salt: int = 0

    def mark(self, n: int, **other: Any) -> str:
        year = 2010 + n % 10
        facts = {"filed": f"{year}-{n % 12 + 1:02d}-{n % 28 + 1:02d}", "applicant": f"Firm {n}"}
        facts |= {"status": "Registered" if n % 2 else "Filed", "word": f"WORD {n}"}
        number = other.pop("number", f"KH/{n}/{year}")
        return self.ipas.mark(number, **(facts | other))  # type: ignore[no-any-return]

    def send(self, marks: Sequence[str], kind: Kind = FULL, **more: Any) -> Any:
        """Deliver a file unlike any before."""
        self.salt += 1
        return self.desk.deliver(
            f"{self.ipas.marks(*marks)}<!-- {self.salt} -->", kind=kind, **more
        )

    def release(self, held: Any, reason: str = "") -> Any:
        """Let a held delivery go on, and process it."""
        checking, at = State.CHECKING, self.desk.now
        decisions.decide(self.desk.hub, held.deliveryId, checking, by="Som", reason=reason, at=at)
        return self.desk.process(held)

    def everything(self, **other: Any) -> list[str]:
        return [self.mark(n, **other) for n in range(COLLECTION)]


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory, ipas: Any) -> Any:
    """The home of a hub with a hundred marks, and the instant it was left at."""
    desk = ipas.open_desk(tmp_path_factory.mktemp("hundred") / "hub")
    first = Office(desk, ipas).send(Office(desk, ipas).everything())
    desk.hub.close()
    assert first.state in (State.PUBLISHED, State.PUBLISHED_WITH_FINDINGS)  # first loads never held
    assert first.hold is None
    return desk.hub.home.root, desk.now


@pytest.fixture
def office(hundred: Any, tmp_path: Path, ipas: Any) -> Iterator[Office]:
    home, now = hundred
    shutil.copytree(home, tmp_path / "hub")
    desk = ipas.open_desk(tmp_path / "hub")
    desk.now = now + timedelta(days=30)
    yield Office(desk, ipas, salt=1)
    desk.hub.close()


def counted(records: int) -> str:
    """Return the beginning of a document that says how many records it has."""
    return (
        '<Transaction xmlns="http://www.wipo.int/standards/XMLSchema/trademarks" '
        'xmlns:wo="http://www.wipo.int/standards/XMLSchema/wo-trademarks">'
        f"<RecordCount>{records}</RecordCount>"
    )


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An office whose files say how many records they have: a line in its profile's header."""
    profile = load_profile("KH")
    own = profile.rights[MARKS]
    said = own.model_copy(update={"header": {**own.header, "RecordCount": "declaredRecords"}})
    counted_profile = profile.model_copy(update={"rights": {**profile.rights, MARKS: said}})
    monkeypatch.setattr("ipregister.mapping.load_profile", lambda _office: counted_profile)
    mapping_for.cache_clear()
    yield
    mapping_for.cache_clear()


def test_g01_a_mass_drop_is_held_in_three_numbers_and_the_office_decides(office: Office) -> None:
    before = office.desk.served_bytes()
    held = office.send(office.everything()[:40])
    assert (held.state, held.hold["code"]) == (State.HELD, "mass_vanish")
    assert (held.hold["had"], held.hold["inThisFile"], held.hold["wouldDisappear"]) == (100, 40, 60)
    assert held.hold["shareChanged"] == 0.6
    assert "You had 100 records, this delivery has 40, 60 would disappear." in held.reason
    assert len(held.hold["samples"]) == 20
    assert sum(year["wouldDisappear"] for year in held.hold["years"]) == 60
    assert all(year["had"] == 10 for year in held.hold["years"])
    assert office.desk.served_bytes() == before
    done = office.release(held, reason="old ones")
    assert done.receipt.vanished == 60
    assert len(office.desk.served()) == 40
    assert (done.hold["code"], done.heldAt) == ("mass_vanish", None)  # history stays
    reasons = [event.reason for event in office.desk.hub.ledger.deliveries.events(held.deliveryId)]
    assert "released by Som: old ones" in reasons


def test_g02_growth_is_never_held(office: Office) -> None:
    many = [office.mark(n) for n in range(COLLECTION, 9 * COLLECTION)]
    done = office.send([*office.everything(), *many])
    assert done.state is not State.HELD
    assert len(office.desk.served()) == 9 * COLLECTION


def test_g03_numbers_in_another_spelling_are_recognised(office: Office) -> None:
    respelt = [office.mark(n, number=f"KH/{n:06d}/{2010 + n % 10}") for n in range(1, 31)]
    kept = [mark for n, mark in enumerate(office.everything()) if not 1 <= n <= 30]
    held = office.send([*kept, *respelt])
    assert (held.state, held.hold["code"]) == (State.HELD, "id_churn")
    assert (held.hold["idChurn"]["records"], held.hold["idChurn"]["of"]) == (30, 30)
    assert {"before": "KH/1/2011", "after": "KH/000001/2011"} in held.hold["idChurn"]["examples"]
    assert "30 of the 30 vanishing records come back under another spelling" in held.reason
    assert "mapped" in held.hold["suggestion"]


def test_g03_an_update_in_another_spelling_is_recognised_too(office: Office) -> None:
    held = office.send(
        [office.mark(n, number=f"{2010 + n % 10}-{n:05d}") for n in range(1, 31)], UPDATE
    )
    assert (held.state, held.hold["code"]) == (State.HELD, "id_churn")
    assert "30 of 30 new records are ones you have" in held.reason


@pytest.mark.parametrize(
    ("code", "told", "other"),
    [
        ("field_emptied", "applicants.names from 100% to 20%", {"applicant": ""}),
        ("one_value", "applicationDate is now 2026-11-01", {"filed": "2026-11-01"}),
        ("one_value", "status is now registered in 100% of 100 records", {"status": "Registered"}),
    ],
)
def test_g04_values_that_are_lost_or_all_alike_are_held(
    office: Office, code: str, told: str, other: dict[str, str]
) -> None:
    marks = [office.mark(n, **(other if n % 5 else {})) for n in range(COLLECTION)]
    if code == "one_value":
        marks = office.everything(**other)
    held = office.send(marks)
    assert (held.state, held.hold["code"]) == (State.HELD, code)
    assert told in held.reason
    assert held.hold["wouldDisappear"] == 0
    if code == "field_emptied":
        assert {"field": "applicants.names", "from": 1.0, "to": 0.2} in held.hold["droppedFields"]


def test_g05_a_well_formed_extraction_that_was_cut_off_is_held(
    office: Office, counting: None
) -> None:
    """Compared with the register where much is missing, with the file's own count always."""
    assert office.send(office.everything()[:88]).hold["code"] == "mass_vanish"
    whole = office.ipas.marks(*office.everything()[:99], root=counted(100))
    held = office.desk.deliver(whole, kind=FULL)
    assert (held.state, held.hold["code"]) == (State.HELD, "declared_count")
    assert "the file says it has 100 records, and 99 are in it" in held.reason
    told = office.desk.found(held, "ALL.PKG.020")
    assert (told["file"], told["value"]) == (held.files[0].name, "100")
    tried = office.desk.deliver(whole, kind=Kind.TEST)
    assert tried.reason == (
        "Dry run: nothing was published. As an update it would be held: the file says it has 100 "
        "records, and 99 are in it. Was the export cut off? Withdraw it and export again; "
        "release it if the file's own count is wrong."
    )
    assert tried.hold is None
    true = office.ipas.marks(*office.everything()[:99], root=counted(99))
    assert office.desk.deliver(true, kind=FULL).receipt.vanished == 1


def test_g06_another_offices_file_or_another_rights_changes_nothing(office: Office) -> None:
    before = office.desk.served_bytes()
    foreign = office.send(office.everything(office="VN"))
    assert (foreign.state, foreign.hold["code"]) == (State.HELD, "wrong_office")
    assert "meant for another folder" in foreign.reason
    wrong_right = office.send(office.everything(), right=Right.DESIGNS)
    assert wrong_right.state is State.REJECTED
    assert office.desk.served_bytes() == before


def test_g06_last_months_file_again_is_a_duplicate_or_held(office: Office) -> None:
    repeated = office.desk.hand_in(
        f"{office.ipas.marks(*office.everything())}<!-- 1 -->", kind=FULL, names=("again.xml",)
    )
    assert repeated.state is State.DUPLICATE
    changed = [office.mark(n, **({"status": "Expired"} if n < 15 else {})) for n in range(105)]
    assert office.send(changed).state is not State.HELD
    again = office.send(office.everything())
    assert (again.state, again.hold["code"]) == (State.HELD, "old_file")
    assert "as in delivery KH-20261122-0001, and nothing is new" in again.reason


def test_g07_small_collections_are_held_only_when_all_would_go(desk: Any, ipas: Any) -> None:
    small = Office(desk, ipas)
    small.send([small.mark(n) for n in range(12)])
    assert small.send([small.mark(n) for n in range(8)]).receipt.vanished == 4
    gone = small.send([small.mark(n) for n in range(20, 28)])
    assert (gone.state, gone.hold["code"]) == (State.HELD, "all_vanish")


def test_g08_many_small_losses_add_up(office: Office) -> None:
    marks = office.everything()
    for left in (98, 96, 94, 92, 90):
        assert office.send(marks[:left]).state is not State.HELD
    held = office.send(marks[:88])
    assert (held.state, held.hold["code"]) == (State.HELD, "rolling_vanish")
    assert "with it 12 records (12.0%) would have disappeared within 7 days" in held.reason
    office.desk.now += timedelta(days=8)
    assert office.send([*marks[:87], office.mark(500)]).state is not State.HELD


def test_g08_what_comes_back_makes_up_for_no_other_loss(office: Office) -> None:
    marks = office.everything()
    released = office.send(marks[:40])
    office.release(released)
    assert office.send(marks).receipt.restored == 60  # it was regretted
    for left in (95, 90):  # the sixty that came back excuse none of these
        assert office.send(marks[:left]).state is not State.HELD
    held = office.send(marks[:88])
    assert (held.state, held.hold["code"]) == (State.HELD, "rolling_vanish")
    assert "with it 12 records (12.0%) would have disappeared within 7 days" in held.reason


def test_g10_a_hold_nobody_decides_grows_urgent_and_stays(office: Office) -> None:
    held = office.send(office.everything()[:40])
    before = office.desk.served_bytes()
    for days, level in ((1, 0), (3, 1), (10, 2), (30, 3)):
        at = held.heldAt + timedelta(days=days)
        assert office.desk.hub.ledger.leases.waiting(at=at) == []
        assert office.desk.hub.ledger.deliveries.get(held.deliveryId).escalation(at).level == level
    assert office.desk.served_bytes() == before
    result = holds_are_decided([held], held.heldAt + timedelta(days=12))
    assert (result.passed, result.metadata["escalated"].value) == (False, {held.deliveryId: 2})
    assert holds_are_decided([held], held.heldAt + timedelta(days=2)).passed


def test_a_sensor_warns_of_an_ignored_hold_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = office.send(office.everything()[:40])
    resources = {"hub": HubResource(home=str(office.desk.hub.home.root))}
    told = []
    for days in (1, 11, 12, 31):
        at = held.heldAt + timedelta(days=days)
        monkeypatch.setattr("pipelines.holds.now", lambda at=at: at)
        cursor = told[-1][0] if told else None
        ticked = ignored_holds(dg.build_sensor_context(resources=resources, cursor=cursor))
        told.append((ticked.cursor, len(ticked.asset_events)))
    name = held.deliveryId
    assert told == [("", 0), (f"{name}:2", 1), (f"{name}:2", 0), (f"{name}:3", 1)]


def test_a_dead_upload_is_told_after_a_day(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, file = office.desk.hub, DeliveredFile("KH_20261113_0001.zip", "5" * 64, 10)
    dead = hub.ledger.deliveries.record(
        "KH", Right.TRADEMARKS, UPDATE, "sftp", [file], office.desk.now, "sftp",
        state=State.INCOMPLETE, reason="not complete",
    )  # fmt: skip
    told = []
    for hours in (23, 25):
        at = dead.receivedAt + timedelta(hours=hours)
        assert holds_are_decided([dead], at).passed is (hours < 24)
        monkeypatch.setattr("pipelines.holds.now", lambda at=at: at)
        resources = {"hub": HubResource(home=str(hub.home.root))}
        told.append(ignored_holds(dg.build_sensor_context(resources=resources)).cursor)
    assert told == ["", f"{dead.deliveryId}:1"]


def test_updates_go_on_while_a_full_extraction_is_held_and_stay_when_it_is_released(
    office: Office,
) -> None:
    marks = office.everything()
    held = office.send(marks[:40], names=("KH_20261201_0001.xml",))
    changed = office.send(
        [office.mark(1, word="NEW"), office.mark(70, word="NEW")],
        UPDATE,
        names=("KH_20261202_0001.xml",),
    )
    assert changed.receipt.updated == 2
    office.release(held)
    served = office.desk.served()
    assert len(served) == 41  # what the newer update speaks of does not vanish
    assert served["KH/1/2011"]["markVerbalElements"][0]["text"] == "NEW"


def test_a_newer_full_extraction_that_takes_effect_supersedes_what_is_held(
    office: Office,
) -> None:
    marks = office.everything()
    deliveries = office.desk.hub.ledger.deliveries
    older = office.send(marks[:40], names=("KH_20261201_0001.xml",))
    also_held = office.send(marks[:30], names=("KH_20261202_0001.xml",))
    assert deliveries.get(older.deliveryId).state is State.HELD  # held ones supersede nothing
    newest = office.send([*marks, office.mark(200)], names=("KH_20261203_0001.xml",))
    assert newest.state is not State.HELD
    for each in (older, also_held):
        now = deliveries.get(each.deliveryId)
        assert now.state is State.WITHDRAWN
        assert now.reason == (
            f"superseded by {newest.deliveryId}, a newer full extraction that took effect"
        )


@pytest.mark.parametrize("step", ["measure", "judge", "write_missing"])
def test_g11_a_guard_that_fails_holds(
    office: Office, step: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("secret content")

    before = office.desk.served_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(guarding, step, broken)
        held = office.send(office.everything()[:40])
    assert (held.state, held.hold["code"]) == (State.HELD, "guard_failed")
    assert "the hub could not judge whether it is plausible (KeyError)" in held.reason
    assert "secret content" not in held.reason
    assert "guard_failed" in capsys.readouterr().out
    assert office.desk.served_bytes() == before
    # Nothing was measured, so a release of it is no release of what the guard finds now.
    again = office.release(held)
    assert (again.state, again.hold["code"]) == (State.HELD, "mass_vanish")
    assert office.release(again).receipt.vanished == 60


def test_g12_an_announced_purge_passes_once(office: Office) -> None:
    purges = office.desk.hub.ledger.purges
    announced = purges.approve(
        "KH", MARKS, up_to=60, at=office.desk.now, by="Som", reason="expired marks leave"
    )
    marks = office.everything()
    too_much = office.send(marks[:39])
    assert too_much.state is State.HELD
    assert "61 would disappear. The purge you announced covers 60 records at most." in (
        too_much.reason
    )
    emptied = office.send([office.mark(n, applicant="") for n in range(60)])
    assert emptied.hold["codes"] == ["mass_vanish", "field_emptied"]
    assert "The purge you announced covers records that disappear, and nothing else." in (
        emptied.reason
    )
    assert purges.list() == [announced]  # not used up by what it does not cover
    done = office.send(marks[:40])
    assert done.receipt.vanished == 60
    used = purges.of(done.deliveryId)
    assert (used.approvalId, used.usedBy) == (announced.approvalId, done.deliveryId)
    actions = [entry.action for entry in office.desk.hub.ledger.audit.entries()]
    assert actions.count("purge:approved") == actions.count("purge:used") == 1
    office.desk.now += timedelta(days=8)
    assert office.send(marks[:2]).state is not State.HELD  # forty is a small collection


def test_g12_who_releases_a_purge_by_hand_has_used_what_was_announced(office: Office) -> None:
    purges, marks = office.desk.hub.ledger.purges, office.everything()
    emptied = office.send([office.mark(n, applicant="") for n in range(60)])
    assert emptied.hold["codes"] == ["mass_vanish", "field_emptied"]
    announced = purges.approve("KH", MARKS, up_to=60, at=office.desk.now, by="Som", reason="old")
    assert office.release(emptied).receipt.vanished == 40
    assert [each.usedBy for each in purges.list()] == [emptied.deliveryId]
    assert announced.usedBy is None
    office.send(marks)
    office.desk.now += timedelta(days=8)
    assert office.send(marks[:60]).state is State.HELD  # nothing is announced any more


def test_an_announcement_stays_open_when_what_is_released_is_no_purge(office: Office) -> None:
    purges = office.desk.hub.ledger.purges
    purges.approve("KH", MARKS, up_to=60, at=office.desk.now, by="Som", reason="old")
    office.everything()
    emptied = office.send([office.mark(n, applicant="") for n in range(100)])
    assert emptied.hold["codes"] == ["field_emptied"]
    office.release(emptied)
    assert [each.usedBy for each in purges.list()] == [None]


def test_the_report_and_the_commands_show_what_a_person_decides_by(
    office: Office, tmp_path: Path
) -> None:
    held = office.send(office.everything()[:40])
    home = office.desk.hub.home.root
    out = tmp_path / "report"
    at = held.heldAt + timedelta(days=4)
    source = office_report(office.desk.hub, "KH", MARKS, at=at, temporary=tmp_path)
    write_html(source, out)
    page = out.read_text("utf-8").replace("<wbr>", "")
    assert "Why it is held: your decision" in page
    assert "It has waited 4 days: please decide." in page
    assert held.hold["samples"][0] in page
    assert f"iphub delivery missing {held.deliveryId}" in page
    write_json(source, out)
    told = json.loads(out.read_text("utf-8"))["items"][0]
    assert told["hold"]["years"] == held.hold["years"]
    assert told["escalation"]["level"] == 1
    run = CliRunner()
    where = ["--home", str(home)]
    listed = run.invoke(decisions.app, ["missing", held.deliveryId, *where]).stdout.splitlines()
    assert listed[0] == "applicationNumber,recordId,applicationDate"
    assert {line.split(",")[0] for line in listed[1:]} == {
        f"KH/{n}/{2010 + n % 10}" for n in range(40, 100)
    }
    shown = run.invoke(decisions.app, ["show", held.deliveryId, *where, "--format", "json"])
    document = json.loads(shown.stdout)
    assert (document["hold"], document["purgeApproval"]) == (held.hold, None)
    text = run.invoke(decisions.app, ["show", held.deliveryId, *where]).stdout
    assert "had 100 · in this file 40 · would disappear 60" in text
    assert f"iphub delivery release|withdraw {held.deliveryId} --by NAME" in text
    withdrawn = ["withdraw", held.deliveryId, "--by", "Som", "--reason", "wrong file"]
    assert run.invoke(decisions.app, [*withdrawn, *where]).exit_code == 0
    approved = ["approve-purge", "--office", "KH", "--right", "trademarks", "--up-to", "60"]
    decided = ["--by", "Som", "--reason", "expired marks leave", "--format", "json"]
    answer = run.invoke(decisions.app, [*approved, *decided, *where])
    assert json.loads(answer.stdout)["upTo"] == 60
    done = office.send(office.everything()[:40])
    shown = run.invoke(decisions.app, ["show", done.deliveryId, *where, "--format", "json"])
    assert json.loads(shown.stdout)["purgeApproval"]["usedBy"] == done.deliveryId
    reverted = ["revert", done.deliveryId, "--by", "Som", "--reason", "regret", "--format", "json"]
    answer = run.invoke(decisions.app, [*reverted, *where]).stdout
    told = json.loads(answer[answer.index("{") :])  # outside a test the log goes to stderr
    assert (told["revertedBy"], told["reversal"]["restored"]) == ("Som", 60)
    write_html(office_report(office.desk.hub, "KH", MARKS, at=at, temporary=tmp_path), out)
    page = out.read_text("utf-8")
    assert "Reverted. It was published and taken back on" in page


def test_g04_an_update_whose_export_left_a_field_out_is_held(office: Office) -> None:
    office.send([office.mark(n) for n in range(100, 400)], UPDATE)
    held = office.send([office.mark(n, applicant="") for n in range(60)], UPDATE)
    assert (held.state, held.hold["code"]) == (State.HELD, "field_emptied")
    assert "applicants.names from 100% to 0%" in held.reason
