"""A client's job for a file: asked for twice, told about, and given up."""

from typing import Any

import httpx

from ipregister.model import Disclosure


def ask(
    hub: Any, key: str | None = None, *, by: dict[str, str] | None = None, **asked: Any
) -> httpx.Response:
    body = {"office": "KH", "right": "trademarks"} | asked
    headers = (by or {}) | ({} if key is None else {"Idempotency-Key": key})
    answer: httpx.Response = hub.http.post("/v1/exports", json=body, headers=headers)
    return answer


def test_a_key_is_the_same_job_whatever_has_changed_since(third_parties: Any) -> None:
    hub = third_parties
    hub.share(Disclosure.STAKEHOLDER)
    hub.publish(hub.mark("a", status="filed"))
    first = ask(hub, "k").json()
    hub.publish(hub.mark("a", status="registered"))
    again = ask(hub, "k", format="parquet")  # what is meant where nothing is said
    assert (again.status_code, again.json()) == (202, first)
    assert again.headers["location"] == f"/v1/jobs/{first['jobId']}"
    assert ask(hub, "another").json()["jobId"] != first["jobId"]
    assert ask(hub).json()["jobId"] != first["jobId"]
    for other in ({"format": "csv"}, {"filters": {"status": "filed"}}):
        refused = ask(hub, "k", **other)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert ask(hub, "k" * 256).status_code == 400
    bora = hub.login("Bora")
    hub.share(name="Bora")
    theirs = ask(hub, "k", by=bora, format="csv")
    assert theirs.status_code == 202  # a key is its client's own
    hub.share(Disclosure.STAKEHOLDER, Disclosure.STATUS_CHANGE)
    assert ask(hub, "k").status_code == 404  # it was a file of more than may be seen now
