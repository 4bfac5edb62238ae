"""A file beside the agreed folders: its office hears of it wherever it looks for its delivery."""

import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.collection.collecting import collect_offices
from connectors.collection.pacing import Patience
from connectors.ledger.contacts import Contacts
from connectors.sftp.server import embedded
from iphub.cli import app
from ipregister.folders import SHOWN, FolderVisit, NotTaken
from ipregister.roles import Role

QUICK = Patience(answer_seconds=5, pass_seconds=30, pauses=())
LIST, REPORT = "/v1/offices/KH/deliveries", "/v1/offices/KH/quality-reports"
PLACES = ("KH_20261122.xml", "Trademarks/KH_20261122.xml", "Marks/Updates/KH_20261122.xml")
REASON = "not in a folder of a right and lane, such as Trademarks/Updates; move it there"


@pytest.fixture
def server(desk: Any) -> Any:
    """The embedded server of the hub with three offices' folders, stopped."""
    return embedded(desk.hub.home.root, ["KH", "SG", "TH"])


@pytest.fixture
def visit(callers: Any, server: Any) -> Any:
    """What visits the offices, a minute after the last time, and returns Cambodia's folder."""
    desk = callers.desk

    def once(**options: Any) -> FolderVisit | None:
        desk.now += timedelta(minutes=1)
        with server:
            collect_offices(desk.hub, at=desk.now, patience=QUICK, **options)
        folder: FolderVisit | None = desk.hub.ledger.contacts.get("KH").folder
        return folder

    return once


@pytest.fixture
def kh(desk: Any, server: Any) -> Any:
    """Cambodia's folder."""
    return desk.hub.home.root / "sftp/ipob_kh"


def put(folder: Any, path: str, content: str = "<a/>") -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(content)


def test_the_list_of_deliveries_tells_what_is_in_none(
    callers: Any, visit: Any, kh: Any, ipas: Any
) -> None:
    assert "sftpFolder" not in callers.get(LIST).json()
    put(kh, "Trademarks/Updates/KH_20261122.xml", ipas.marks(ipas.mark()))
    for path in PLACES:
        put(kh, path)
    visit(wait=True)
    first = callers.get(LIST).json()
    assert len(first["items"]) == 1
    told = first["sftpFolder"]
    assert (told["office"], told["total"]) == ("KH", 3)
    assert {item["path"] for item in told["items"]} == set(PLACES)
    assert {item["reason"] for item in told["items"]} == {REASON}
    assert {item["waits"] for item in told["items"]} == {False}
    since = {item["since"] for item in told["items"]}
    assert len(since) == 1
    visit()
    again = callers.get(LIST).json()["sftpFolder"]
    assert again["visitedAt"] > told["visitedAt"]
    assert {item["since"] for item in again["items"]} == since


def test_what_was_moved_is_told_no_more(callers: Any, visit: Any, kh: Any, ipas: Any) -> None:
    put(kh, PLACES[0], ipas.marks(ipas.mark()))
    assert visit().total == 1
    (kh / PLACES[0]).rename(kh / "Trademarks/Updates" / PLACES[0])
    visit(wait=True)
    told = callers.get(LIST).json()
    assert [item["files"][0]["name"] for item in told["items"]] == [PLACES[0]]
    assert (told["sftpFolder"]["total"], told["sftpFolder"]["items"]) == (0, [])


def test_what_waits_says_so_and_comes_last(visit: Any, kh: Any) -> None:
    put(kh, "Trademarks/Updates/KH_20261122.xml")
    put(kh, "Trademarks/Updates/KH_20261123.xml.filepart")
    put(kh, PLACES[1])
    (kh / "Trademarks/elsewhere").symlink_to(kh)
    found = visit()
    assert [(item.path, item.waits) for item in found.items] == [
        (PLACES[1], False),
        ("Trademarks/elsewhere", False),
        ("Trademarks/Updates/KH_20261122.xml", True),
        ("Trademarks/Updates/KH_20261123.xml.filepart", True),
    ]
    assert found.items[1].since is None


def test_a_promise_whose_file_never_came_is_told(
    callers: Any, visit: Any, kh: Any, ipas: Any
) -> None:
    lane = "Trademarks/Updates"
    names = ("KH_20261122.zip.md5", "KH_20261123.done", "KH_20261124.xml.sha256")
    for name in names:
        put(kh, f"{lane}/{name}")
    put(kh, "Trademarks/Full_Extraction/manifest.txt")
    put(kh, f"{lane}/KH_20261124.xml", ipas.marks(ipas.mark()))
    found = visit()
    assert {item.path for item in found.items if item.waits} >= {f"{lane}/{names[0]}"}
    callers.desk.now += timedelta(hours=1)
    (kh / lane / names[2]).unlink()
    put(kh, f"{lane}/KH_20261125.md5")
    visit(wait=True)
    (kh / lane / "KH_20261124.xml").unlink()
    put(kh, f"{lane}/{names[2]}")
    callers.desk.now += timedelta(hours=2)
    left = {item.path: item for item in visit().items}
    assert set(left) == {
        *(f"{lane}/{name}" for name in (*names[:2], "KH_20261125.md5")),
        "Trademarks/Full_Extraction/manifest.txt",
    }
    assert {item.waits for item in left.values()} == {False}
    assert all("never came" in item.reason for item in left.values())


def test_a_promise_whose_file_waits_is_not_told(visit: Any, kh: Any) -> None:
    for name in ("a.xml", "a.done", "a.md5", "b.xml", "b.done"):
        put(kh, f"Trademarks/Updates/{name}")
    assert {item.path[-5:] for item in visit().items} == {"a.xml", "b.xml"}


def test_a_right_the_hub_cannot_read_of_an_office_is_not_taken(
    callers: Any, visit: Any, kh: Any
) -> None:
    path = "Trademarks/Updates/SG_20261122.xml"
    put(kh.with_name("ipob_sg"), path)
    visit(wait=True)
    told = callers.get("/v1/offices/SG/deliveries", office="SG").json()
    assert told["items"] == []
    (item,) = told["sftpFolder"]["items"]
    assert (item["path"], item["waits"]) == (path, False)
    assert "no format for trademarks of SG" in item["reason"]


def test_what_a_login_keeps_for_itself_is_no_delivery(visit: Any, kh: Any) -> None:
    put(kh, ".ssh/authorized_keys")
    put(kh, ".bash_history")
    assert visit().total == 0


def test_a_visit_that_fails_forgets_nothing(callers: Any, visit: Any, kh: Any) -> None:
    put(kh, PLACES[0])
    before = visit()
    kh.rename(kh.with_name("elsewhere"))
    assert visit(only=["KH"]) == before
    contact = callers.desk.hub.ledger.contacts.get("KH")
    assert contact.failures == 1


def test_only_the_first_page_tells_it(callers: Any, visit: Any, kh: Any, ipas: Any) -> None:
    for number in range(2):
        callers.desk.deliver(ipas.marks(ipas.mark(f"KH/9000{number}/2019")))
    visit()
    first = callers.get(f"{LIST}?limit=1").json()
    assert "sftpFolder" in first
    assert "sftpFolder" not in callers.get(f"{LIST}?limit=1&cursor={first['nextCursor']}").json()


def test_file_names_are_for_their_office_alone(callers: Any, visit: Any, kh: Any) -> None:
    put(kh, PLACES[1])
    visit()
    theirs = callers.get("/v1/offices/TH/deliveries", office="TH").json()
    assert theirs["sftpFolder"]["total"] == 0
    for role in (Role.COORDINATOR, Role.OPERATOR):
        counts = callers.get(REPORT, role)
        assert counts.status_code == 200
        assert "KH_2026" not in counts.text


def test_the_report_tells_it_in_every_form(
    callers: Any, visit: Any, kh: Any, tmp_path: Any
) -> None:
    for path in ("Trademarks/<b>.xml", "=1+1.xml"):
        put(kh, path)
    found = visit()
    whole = callers.get(REPORT).json()
    assert whole["sftpFolder"] == found.document()
    assert callers.get(f"{REPORT}?right=designs").json()["sftpFolder"] == found.document()
    page = callers.get(REPORT, headers={"Accept": "text/html"}).text
    assert "2 files not in any delivery" in page
    assert "&lt;b&gt;.xml" in page
    assert REASON[1:] in page.replace("<wbr>", "")
    assert "Nothing has been delivered yet" in page
    book = tmp_path / "book.xlsx"
    sheets = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    book.write_bytes(callers.get(REPORT, headers={"Accept": sheets}).content)
    with zipfile.ZipFile(book) as opened:
        texts = b"".join(opened.read(name) for name in opened.namelist())
    assert b"Not taken" in texts
    assert b"&lt;b&gt;.xml" in texts
    assert b"in it are in no delivery." in texts


def test_the_command_tells_it_below_the_table(callers: Any, visit: Any, kh: Any) -> None:
    put(kh, PLACES[2])
    found = visit()
    home = str(callers.desk.hub.home.root)
    said = CliRunner().invoke(app, ["deliveries", "--home", home, "--office", "KH"])
    assert said.exit_code == 0, said.output
    text = " ".join(said.output.split())
    assert "1 file in it is in no delivery" in text
    assert f"{PLACES[2]}: not taken, there since 2026-11-22 03:01 UTC. N{REASON[1:]}." in text
    document = CliRunner().invoke(app, ["deliveries", "--home", home, "--format", "json"])
    folders = json.loads(document.stdout)["sftpFolders"]["items"]
    assert [folder["office"] for folder in folders] == ["KH", "SG", "TH"]
    assert folders[0] == found.document()


def test_the_newest_are_named_and_all_are_counted(callers: Any) -> None:
    now = callers.desk.now
    found = [
        NotTaken(f"{number}.xml", "why", waits=False, since=now + timedelta(seconds=number))
        for number in range(SHOWN + 20)
    ]
    folder = FolderVisit.of("KH", now, found)
    assert (folder.total, len(folder.items)) == (SHOWN + 20, SHOWN)
    assert folder.items[0].path == f"{SHOWN + 19}.xml"
    assert list(folder.lines())[-1] == "and 20 files more"
    contacts: Contacts = callers.desk.hub.ledger.contacts
    contacts.succeeded("KH", now, folder=folder)
    assert contacts.get("KH").folder == folder
