"""Delta Sharing: tables of what their reader may see, to others' programs and by hand."""

import json
import runpy
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from ipregister.model import Disclosure, Right, load_tables

_WORLD: Any = runpy.run_path(str(Path(__file__).with_name("bulk_world.py")))
Running, mark = _WORLD["Running"], _WORLD["mark"]
TABLE, query = _WORLD["TABLE"], _WORLD["query"]
TM = Right.TRADEMARKS
EVERYTHING: frozenset[Disclosure] = frozenset()
NO_PERSONS, hub, acme = _WORLD["NO_PERSONS"], _WORLD["hub"], _WORLD["acme"]


READ = """
import json, sys
import delta_sharing
profile = sys.argv[1]
client = delta_sharing.SharingClient(profile)
tables = client.list_all_tables()
frame = delta_sharing.load_as_pandas(f"{profile}#KH.register.trademarks")
limited = delta_sharing.load_as_pandas(f"{profile}#KH.register.trademarks", limit=3)
print(json.dumps({
    "shares": [share.name for share in client.list_shares()],
    "tables": [f"{t.share}.{t.schema}.{t.name}" for t in tables],
    "columns": list(frame.columns),
    "numbers": sorted(frame["applicationNumber"]),
    "date": str(frame["applicationDate"].min()),
    "word": frame.sort_values("recordId")["markVerbalElements"].iloc[0][0]["text"],
    "limited": len(limited),
}))
"""


@pytest.mark.parametrize("kind", ["oauth_client_credentials", "bearer_token"])
def test_the_delta_sharing_client_reads_what_its_owner_may_see(
    acme: httpx.Client, tmp_path: Path, delta_sharing_python: str, kind: str
) -> None:
    profile = acme.get("/v1/me/delta-sharing-profile", params={"type": kind}).json()
    if kind == "oauth_client_credentials":
        assert profile["clientSecret"] == "put your client secret here"
        profile["clientSecret"] = acme.secret  # type: ignore[attr-defined]
    (tmp_path / "hub.share").write_text(json.dumps(profile))
    command = [delta_sharing_python, "-c", READ, str(tmp_path / "hub.share")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    read = json.loads(ran.stdout)
    assert (read["shares"], read["tables"]) == (["KH"], ["KH.register.trademarks"])
    assert read["numbers"] == [f"KH/{number:03d}" for number in range(30)]
    assert (read["date"], read["word"], read["limited"]) == ("2000-01-02", "ដំរី 0", 3)
    classes = {f.name: f.disclosure for f in load_tables()[TM].fields}
    assert {classes[name] for name in read["columns"]} == set(Disclosure) - NO_PERSONS


def test_what_a_delta_table_tells_is_of_its_reader(hub: Running, acme: httpx.Client) -> None:
    version = acme.get(f"{TABLE}/version").headers["delta-table-version"]
    file = query(acme)
    assert file["headers"]["delta-table-version"] == version
    # No value of a record: nothing is written down of who asks for a table.
    assert json.loads(file["stats"]) == {"numRecords": 30}
    assert "applicants" not in file["schema"]["schemaString"]
    hub.publish(mark(1, applicant="Sophea"))
    assert acme.get(f"{TABLE}/version").headers["delta-table-version"] == version
    assert query(acme)["id"] == file["id"]
    hub.publish(mark(1, status="registered"))
    assert int(acme.get(f"{TABLE}/version").headers["delta-table-version"]) > int(version)
    assert query(acme)["id"] != file["id"]


def test_a_decision_makes_a_new_version_of_a_delta_table(hub: Running, acme: httpx.Client) -> None:
    """Whoever asks for the version only must not keep what it may no longer hold."""
    versions = []
    for withheld in ({Disclosure.STAKEHOLDER}, set(Disclosure) - {Disclosure.CORE}, set()):
        hub.share(withheld=frozenset(withheld))
        versions.append(int(acme.get(f"{TABLE}/version").headers["delta-table-version"]))
        assert query(acme)["version"] == versions[-1]
    assert versions == sorted(set(versions))


def test_the_address_of_a_file_dies_with_the_right_to_it(hub: Running, acme: httpx.Client) -> None:
    hub.share(EVERYTHING)
    url = query(acme)["url"]
    assert (
        httpx.get(url, timeout=60).status_code == 200
    )  # without a token: the address is the permission
    assert httpx.get(f"{url}x").status_code == 404
    hub.share(NO_PERSONS)
    assert httpx.get(url, timeout=60).status_code == 404
    url = query(acme)["url"]
    assert httpx.get(url, headers={"Range": "bytes=0-3"}).content == b"PAR1"
    token = acme.headers["authorization"].removeprefix("Bearer ")
    who = {"client_id": acme.get("/v1/me").json()["clientId"]}
    form = who | {"client_secret": acme.secret, "token": token}  # type: ignore[attr-defined]
    assert httpx.post(f"{hub.url}/oauth2/revoke", data=form).status_code == 200
    assert httpx.get(url, timeout=60).status_code == 404


def test_what_is_not_shared_is_no_table(hub: Running, acme: httpx.Client) -> None:
    hub.publish(mark(1), office="TH")
    shares = "/delta-sharing/shares"
    assert [item["name"] for item in acme.get(shares).json()["items"]] == ["KH"]
    answers = [
        acme.get(path, headers={"X-Request-Id": "the-same-id"})
        for path in (
            f"{shares}/TH",
            f"{shares}/ZZ/schemas",
            f"{shares}/TH/all-tables",
            f"{shares}/KH/schemas/other/tables",
            f"{shares}/TH/schemas/register/tables/trademarks/version",
            f"{shares}/KH/schemas/register/tables/patents/metadata",
            f"{shares}/KH/schemas/register/tables/nonsense/version",
        )
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (404, answers[0].content)
    }
    refused = acme.post(f"{TABLE}/query", json={"version": 0})
    assert refused.json()["code"] == "invalid_request"
    assert acme.get(f"{TABLE}/changes").json()["code"] == "invalid_request"


def test_what_is_taken_back_while_a_list_is_read_hides_no_other_share(
    hub: Running, acme: httpx.Client
) -> None:
    for office in ("BN", "TH"):
        hub.share(EVERYTHING, office=office)
    first = acme.get("/delta-sharing/shares?maxResults=1").json()
    hub.ledger.authorizations.revoke("BN", "Acme", datetime.now(UTC), "test")
    rest = acme.get(f"/delta-sharing/shares?pageToken={first['nextPageToken']}").json()
    assert [item["name"] for item in (*first["items"], *rest["items"])] == ["BN", "KH", "TH"]
