"""A dry run: the office hears what is wrong, and nothing of what is delivered knows of it."""

from typing import Any

from connectors.digest import digest_of
from connectors.history.absence import why
from ipregister.deliveries import Kind, State
from ipregister.model import Right

MARKS = Right.TRADEMARKS


def states(desk: Any, delivery: Any) -> list[str]:
    """Return whether each finding of a delivery is new or still open."""
    return [finding["state"] for finding in desk.findings(delivery)]


def test_what_was_tried_is_new_when_it_is_delivered(desk: Any, ipas: Any) -> None:
    document = ipas.marks(ipas.mark("KH/1/2019", status="Strange"))
    tried = desk.deliver(document, kind=Kind.TEST)
    delivered = desk.deliver(document)
    assert set(states(desk, tried)) == set(states(desk, delivered)) == {"new"}


def test_many_dry_runs_do_not_make_old_findings_new(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark("KH/1/2019", status="Strange")))
    for n in range(5):
        desk.deliver(ipas.marks(ipas.mark(f"KH/9{n}/2019")), kind=Kind.TEST)
    again = desk.deliver(ipas.marks(ipas.mark("KH/1/2019", "OTHER", status="Strange")))
    assert set(states(desk, again)) == {"open"}


def test_a_record_is_not_looked_for_in_dry_runs_and_that_is_said(desk: Any, ipas: Any) -> None:
    desk.deliver(ipas.marks(ipas.mark("KH/1/2019")))
    assert "Dry runs" not in why(desk.hub, "KH", MARKS, "KH/9/2019")["sentence"]
    tried = desk.deliver(ipas.marks(ipas.mark("KH/9/2019")), kind=Kind.TEST)
    broken = desk.deliver("<broken", kind=Kind.TEST)
    found = why(desk.hub, "KH", MARKS, "KH/9/2019")
    assert (found["verdict"], found["places"]) == ("never_received", [])
    assert f"Dry runs (the last is {broken.deliveryId}) publish nothing" in found["sentence"]
    waiting = desk.hand_in(ipas.marks(ipas.mark("KH/8/2019")), kind=Kind.TEST)
    found = why(desk.hub, "KH", MARKS, "KH/8/2019")
    assert found["verdict"] == "never_received", f"{waiting.deliveryId} will not bring it"
    assert why(desk.hub, "KH", MARKS, "KH/1/2019")["sentence"].endswith("brought it.")
    assert tried.state is State.TEST_ONLY


def test_the_same_dry_run_again_is_not_told_to_revert_anything(desk: Any, ipas: Any) -> None:
    document = ipas.marks(ipas.mark("KH/1/2019"))
    tried = desk.deliver(document, kind=Kind.TEST)
    desk.deliver(ipas.marks(ipas.mark("KH/2/2019")))
    again = desk.hand_in(document, kind=Kind.TEST)
    assert (again.state, again.reason) == (
        State.DUPLICATE,
        f"same content as delivery {tried.deliveryId}",
    )


def test_dry_runs_of_every_kind_leave_the_register_as_it_is(desk: Any, ipas: Any) -> None:
    marks = [ipas.mark(f"KH/{n}/2019") for n in range(60)]
    desk.deliver(ipas.marks(*marks), kind=Kind.FULL_EXTRACTION)
    parts = ("register", "feed", "serving")
    before = [digest_of(desk.hub).parts[part] for part in parts]
    for document in (ipas.marks(), "", "<broken", ipas.marks(*marks[:2]), ipas.marks(*marks)):
        desk.deliver(document, kind=Kind.TEST)
    assert [digest_of(desk.hub).parts[part] for part in parts] == before
