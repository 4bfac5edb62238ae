"""In which order pages come, and how many records there are: of what may be seen only."""

from typing import Any

import pytest

from ipregister.model import Disclosure


@pytest.fixture
def hub(third_parties: Any) -> Any:
    return third_parties


def test_an_order_by_a_withheld_field_is_refused_as_a_filter_is(hub: Any) -> None:
    """And one that there is not says which there are; neither depends on what there is."""
    base = "/v1/offices/KH/trademarks/records"
    hub.share(Disclosure.STATUS_CHANGE)
    for _ in range(2):
        for order in ("status", "-status", "-applicationNumber,status", "statusDate"):
            answer = hub.get(f"{base}?sort={order}")
            assert (answer.status_code, answer.json()["code"]) == (400, "field_not_available")
        for order in ("nonsense", "", "applicants", "applicationNumber,-applicationNumber"):
            answer = hub.get(f"{base}?sort={order}")
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
            assert "one of applicationNumber, -applicationNumber." in answer.json()["detail"]
        hub.publish(hub.mark("a", status="filed"))


def test_an_order_goes_with_filters_and_search(hub: Any) -> None:
    hub.share()
    words = [{"text": "Elephant", "languageCode": "en"}]
    statuses = ("filed", "expired", "registered")
    hub.publish(
        *[hub.mark(f"r{n}", status=statuses[n % 3], markVerbalElements=words) for n in range(9)],
    )

    def found(query: str) -> list[str]:
        url = f"/v1/offices/KH/trademarks/records?sort=-applicationNumber&{query}"
        return [item["recordId"] for item in hub.get(url).json()["items"]]

    assert found("status=filed") == ["r6", "r3", "r0"]
    assert found("status=filed,expired&limit=3") == ["r7", "r6", "r4"]
    assert found("q=elephant&status=expired") == ["r7", "r4", "r1"]
    assert found("q=elephant&limit=2") == ["r8", "r7"]
    assert found("applicationNumber=r5") == ["r5"]


def test_a_count_is_of_all_pages_after_filters(hub: Any) -> None:
    hub.share()
    hub.publish(*[hub.mark(f"r{n}", status=("filed", "expired")[n % 2]) for n in range(9)])
    hub.publish(gone=("r0",))
    base = "/v1/offices/KH/trademarks/records"

    def told(query: str) -> int | None:
        found: int | None = hub.get(f"{base}?{query}").json().get("count")
        return found

    assert told("limit=2") is told("limit=2&count=none") is None
    for wanted in ("exact", "estimate"):
        assert told(f"count={wanted}&limit=2") == 8
        assert told(f"count={wanted}&limit=2&status=filed&sort=-applicationNumber") == 4
        assert told(f"count={wanted}&status=expired&applicationNumber=r1") == 1
        assert told(f"count={wanted}&q=nonsense") == 0
    cursor = hub.get(f"{base}?limit=3&status=filed").json()["nextCursor"]
    assert told(f"count=exact&status=filed&cursor={cursor}") == 4
    for accept in ("text/csv", "application/x-ndjson"):
        for limit in ("", "&limit=1"):
            answer = hub.get(f"{base}?count=exact&status=filed{limit}", Accept=accept)
            assert answer.headers["x-total-count"] == "4"
    assert "x-total-count" not in hub.get(base, Accept="text/csv").headers
    for wrong in ("", "all", "EXACT", "exact,none"):
        answer = hub.get(f"{base}?count={wrong}")
        assert answer.json()["detail"] == "count: one of exact, estimate, none."


def test_counting_ends_and_says_what_else_there_is(hub: Any, monkeypatch: Any) -> None:
    hub.share()
    words = [{"text": "mark", "languageCode": "en"}]
    hub.publish(*[hub.mark(f"r{n}", markVerbalElements=words) for n in range(300)])
    monkeypatch.setattr(hub.serving, "_search_seconds", -1.0)
    base = "/v1/offices/KH/trademarks/records?limit=1"
    answer = hub.get(f"{base}&q=mark&count=exact")
    assert (answer.status_code, answer.json()["code"]) == (503, "search_too_slow")
    assert answer.json()["detail"].startswith("Counting took longer")
    assert "count=estimate" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert hub.get(f"{base}&q=mark").status_code == 200  # the connection is as it was
    assert hub.get(f"{base}&count=exact").json()["count"] == 300
