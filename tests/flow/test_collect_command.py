"""Collecting with a hub's own settings: which offices, what is said, what Dagster is told."""

import json
import os
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from typer.testing import CliRunner

from connectors.collection import collecting
from connectors.collection.collecting import collect_offices
from connectors.collection.pacing import Patience
from connectors.hub import Hub
from connectors.settings import Settings
from connectors.sftp.server import embedded
from connectors.sftp.source import open_source
from iphub.cli import app
from ipregister.errors import OfficeUnreachable
from pipelines.resources import HubResource
from pipelines.sensors import sftp_arrivals

AT = datetime(2026, 11, 22, 3, tzinfo=UTC)
QUICK = Patience(answer_seconds=5, pass_seconds=30, pauses=())


@pytest.fixture
def server(tmp_path):
    """The embedded server of a home, stopped; ``with server:`` runs it."""
    return embedded(tmp_path / "office", ["KH", "TH"])


@pytest.fixture
def hub(tmp_path, server):
    """A hub that collects there."""
    with server:
        settings = Settings(
            home=tmp_path / "hub",
            sftp=str(server.address),
            sftp_key=server.login.key_file,
            known_hosts=server.known_hosts,
        )
    hub = Hub.create(settings)
    yield hub
    hub.close()


def collect(hub, at=AT, **options):
    reports = collect_offices(hub, at=at, patience=QUICK, **options)
    return {report.office: report for report in reports}


def test_every_office_with_a_folder_is_visited_and_remembered(hub, server):
    with server:
        reports = collect(hub)
    assert {office: report.error for office, report in reports.items()} == {"KH": None, "TH": None}
    assert [contact.succeededAt for contact in hub.ledger.contacts.all()] == [AT, AT]


def test_a_server_that_is_down_is_left_alone_and_not_asked_again_at_once(hub, server):
    with server:
        collect(hub)
    down = collect(hub, AT + timedelta(minutes=1))
    assert all("does not answer" in report.error for report in down.values())
    assert set(down) == {"KH", "TH"}
    with server:
        again = collect(hub, AT + timedelta(minutes=1, seconds=30))
        assert [report.visited for report in again.values()] == [False, False]
        named = collect(hub, AT + timedelta(minutes=1, seconds=40), only=["KH"], insist=True)
        assert named["KH"].error is None
        later = collect(hub, AT + timedelta(minutes=5))
    assert [(report.visited, report.error) for report in later.values()] == [(True, None)] * 2


def test_who_waits_waits_also_where_the_first_connection_failed(hub, server, monkeypatch):
    with server:
        collect(hub)
        drop = server.server.root / "ipob_kh" / "Trademarks" / "Updates" / "KH_20261121_0001.xml"
        drop.write_text("<Transaction/>")
        failures = [OfficeUnreachable("lost")]

        def flaky(*args, **options):
            if failures:
                raise failures.pop()
            return open_source(*args, **options)

        monkeypatch.setattr(collecting, "open_source", flaky)
        report = collect(hub, AT + timedelta(minutes=1), wait=True)["KH"]
    assert (report.error, len(report.deliveries)) == (None, 1)


def test_a_hub_that_never_reached_its_server_does_not_hammer_it(hub, server):
    first = collect(hub)
    assert len(first) > 5, "whoever has a profile"
    assert all("does not answer" in report.error for report in first.values())
    assert not any(report.visited for report in collect(hub, AT + timedelta(seconds=15)).values())
    with server:
        reports = collect(hub, AT + timedelta(minutes=2))
    assert set(reports) == {"KH", "TH"}
    assert [contact.office for contact in hub.ledger.contacts.all()] == ["KH", "TH"]


def test_an_unknown_host_key_is_said_once_and_waits_for_a_person(hub, server):
    with server:
        pinned = server.known_hosts.read_text()
        server.known_hosts.write_text("")
        reports = collect(hub)
        assert all("is unknown: it shows the host key" in r.error for r in reports.values())
        hours = {r.contact.nextAttemptAt - AT for r in reports.values()}
        assert hours == {timedelta(hours=6)}
        server.known_hosts.write_text(pinned)
        assert collect(hub, AT + timedelta(seconds=1), only=["KH"], insist=True)["KH"].error is None


def test_who_names_another_server_or_key_is_not_kept_waiting_for_what_failed_before(hub, server):
    settings = hub.settings
    options = ["collect", "--home", str(settings.home), "--no-wait", "--sftp", settings.sftp]
    options += ["--sftp-key", str(settings.sftp_key), "--known-hosts"]
    other = settings.home / "other_hosts"
    other.write_text("")
    with server:
        refused = CliRunner().invoke(app, [*options, str(other)])
        mended = CliRunner().invoke(app, [*options, str(settings.known_hosts)])
    assert (refused.exit_code, "is unknown" in " ".join(refused.output.split())) == (2, True)
    assert "Nothing new" not in refused.output  # nobody could look
    assert (mended.exit_code, "Nothing new at 2 offices" in mended.output) == (0, True)


def test_a_mistyped_key_keeps_nobody_from_the_right_server(hub, server, tmp_path, monkeypatch):
    settings = hub.settings
    for name in ("sftp", "sftp_key", "known_hosts"):
        monkeypatch.setenv(f"IPHUB_{name.upper()}", str(getattr(settings, name)))
    other = tmp_path / "other"
    other.write_text("[127.0.0.1]:1 ssh-ed25519 AAAA\n", "utf-8")
    options = ["collect", "--home", str(settings.home), "--no-wait"]
    with server:
        refused = CliRunner().invoke(app, [*options, "--known-hosts", str(other)])
        right = CliRunner().invoke(app, options)
    assert refused.exit_code == 2
    assert (right.exit_code, "Nothing new at 2 offices" in right.output) == (0, True)


def test_the_command_says_since_when_an_office_fails_and_when_it_is_tried_next(
    hub, server, monkeypatch
):
    with server:
        collect(hub)
    settings = hub.settings
    options = ["collect", "--home", str(settings.home), "--no-wait", "--office", "KH"]
    for name in ("sftp", "sftp_key", "known_hosts"):
        monkeypatch.setenv(f"IPHUB_{name.upper()}", str(getattr(settings, name)))
    with server:
        fine = CliRunner().invoke(app, options)
    assert (fine.exit_code, "Nothing new" in fine.output) == (0, True)
    hub.ledger.contacts.failed(
        "TH",
        datetime.now(UTC),
        reason="no route",
        refused=False,
        pause=lambda failures: timedelta(hours=failures),
    )
    with server:
        everybody = [each for each in options if each not in ("--office", "KH")]
        text = CliRunner().invoke(app, everybody)
        asked = CliRunner().invoke(app, [*everybody, "--format", "json"])
    assert "TH: no route" in text.output
    assert "TH fails since" in text.output
    assert "iphub collect --office TH" in " ".join(text.output.split())
    items = {item["office"]: item for item in json.loads(asked.stdout)["items"]}
    assert (items["TH"]["visited"], items["TH"]["failures"]) == (False, 1)
    assert items["TH"]["nextAttemptAt"] > items["TH"]["failingSince"]
    assert items["TH"]["nextAttemptAt"].endswith("Z")
    assert items["TH"]["failingSince"].endswith("Z")
    assert (items["KH"]["visited"], items["KH"]["nextAttemptAt"]) == (True, None)


def test_a_folder_of_very_many_files_does_not_fill_the_screen(hub, server):
    place = server.server.root / "ipob_kh" / "Trademarks"
    for folder in ("Updates/2026-11-20", "Elsewhere"):
        (place / folder).mkdir()
        for number in range(30):
            (place / folder / f"{number:02d}.xml").write_bytes(f"<a>{number}</a>".encode())
    options = ["collect", "--home", str(hub.settings.home), "--office", "KH"]
    for name in ("sftp", "sftp_key", "known_hosts"):
        options += [f"--{name.replace('_', '-')}", str(getattr(hub.settings, name))]
    with server:
        waits = CliRunner().invoke(app, [*options, "--no-wait"]).output.split()
        taken = CliRunner().invoke(app, options).output.split()
    for said, folder in ((waits, "2026-11-20"), (taken, "2026-11-20"), (taken, "Elsewhere")):
        assert [f"{folder}/{n:02d}.xml" in " ".join(said) for n in (9, 10)] == [True, False]
    assert taken.count("20") == 2


def test_dagster_is_told_when_an_office_needs_a_person_and_when_it_is_well_again(
    hub, server, monkeypatch
):
    settings = hub.settings
    monkeypatch.setenv("IPHUB_SFTP", settings.sftp)
    monkeypatch.setenv("IPHUB_SFTP_KEY", str(settings.sftp_key))
    monkeypatch.setenv("IPHUB_KNOWN_HOSTS", str(settings.known_hosts))
    resource = HubResource(home=str(settings.home))

    def tick(cursor):
        with dg.build_sensor_context(cursor=cursor) as context:
            result = sftp_arrivals(context, hub=resource)
        return result.cursor, [(event.passed, event.metadata) for event in result.asset_events]

    with server:
        cursor, events = tick(None)
        assert (cursor, events) == ("", [])
        hub.ledger.contacts.failed(
            "KH",
            datetime.now(UTC) - timedelta(hours=25),
            reason="no route",
            refused=False,
            pause=lambda failures: timedelta(hours=48),
        )
        cursor, ((passed, metadata),) = tick(cursor)
        assert (cursor, passed) == ("KH", False)
        assert metadata["needAPerson"].value["KH"]["reason"] == "no route"
        cursor, events = tick(cursor)
        assert (cursor, events) == ("KH", [])
        hub.ledger.contacts.succeeded("KH", datetime.now(UTC))
        cursor, ((passed, _),) = tick(cursor)
    assert (cursor, passed) == ("", True)


def test_dagster_is_told_of_an_incomplete_upload_as_that(hub, server, monkeypatch):
    settings = hub.settings
    monkeypatch.setenv("IPHUB_SFTP", settings.sftp)
    monkeypatch.setenv("IPHUB_SFTP_KEY", str(settings.sftp_key))
    monkeypatch.setenv("IPHUB_KNOWN_HOSTS", str(settings.known_hosts))
    drop = server.server.root / "ipob_kh" / "Trademarks" / "Updates" / "KH_20261121_0001.xml"
    drop.touch()
    os.utime(drop, (1, 1))
    with server:
        for at in (AT, AT + timedelta(minutes=10)):
            collect(hub, at)
        with dg.build_sensor_context() as context:
            told = sftp_arrivals(context, hub=HubResource(home=str(settings.home))).skip_reason
    assert "2 offices looked at, 0 deliveries arrived, 1 incomplete." in str(told)
