"""Why a record is here, or why it is not: what every delivery said of it, and what was decided.

The answer is a verdict, a sentence for people and the evidence. A record that could not be read
has no number, so it can only be named as a place where the missing one may stand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.history.points import identifier_of
from connectors.history.versions import versions_of
from connectors.hub import Hub
from connectors.ledger import Delivery
from connectors.register.engine import literal, parquet
from connectors.register.manifests import Effective, define_mentions
from ipregister.authorizations import Denied, Granted, decide
from ipregister.deliveries import Kind, State
from ipregister.model import Right
from ipregister.report_words import count_of

PLACES = 20
"""Unreadable records named at most; the delivery's report has all."""

WAITING = frozenset({State.RECEIVED, State.INCOMPLETE, State.CHECKING})

SENTENCES = {
    "visible": "It is published, as delivery {delivery} brought it.",
    "withheld": "It is published, but {third_party} may not read it: {reason}.",
    "held": "Its only version, of delivery {delivery}, is held by {rules}.",
    "vanished": "Delivery {delivery} no longer has it; it has vanished.",
    "deleted": "Delivery {delivery} deleted it.",
    "reverted": "It came with delivery {delivery}, which was taken back.",
    "in_held_delivery": "It came with delivery {delivery}, which is held: {reason}",
    "withdrawn": "It came with delivery {delivery}, which was withdrawn.",
    "waiting": "It may be in delivery {delivery}, which waits to be processed.",
    "perhaps_rejected": "No delivery has it, but some records ({places}) could not be read.",
    "never_received": "No delivery of this office and right has ever had it.",
}

DRY_RUNS = " Dry runs (the last is {delivery}) publish nothing, and what they had is not looked up."
"""Said where nothing is known of a record: a file may have gone into the folder of tests."""

HELD_VERSION = " A newer version, of delivery {delivery}, is held by {rules}."
"""Said where the last good version is shown, and its office looks for the one it sent since."""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known about one record."""

    hub: Hub
    office: str
    right: Right
    record_id: str
    deliveries: Sequence[Delivery]

    def named(self, delivery_id: str) -> Delivery:
        return next(each for each in self.deliveries if each.deliveryId == delivery_id)


def why(
    hub: Hub,
    office: str,
    right: Right,
    number: str,
    *,
    third_party: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """Return why a record is here or not.

    Args:
        hub: the stores.
        office: whose record.
        right: of which right.
        number: its application number or recordId.
        third_party: in whose eyes; nobody's in particular when not given.
        at: when that third party asks.

    Returns:
        ``verdict`` (a key of ``SENTENCES``), ``sentence``, ``recordId``, ``versions``, ``said``
        (what each delivery said of it), ``findings`` that hold it, and ``places`` of records
        that could not be read.
    """
    record_id = identifier_of(office, right, number)
    every = hub.ledger.deliveries.list(office=office, right=right)[::-1]
    deliveries = [each for each in every if each.kind is not Kind.TEST]
    case = _Case(hub, office, right, record_id, deliveries)
    versions = versions_of(hub, office, right, record_id)
    said = _statements(case)
    findings = _holding_findings(case, [each["deliveryId"] for each in said])
    places = [] if versions or said else _unreadable(case)
    verdict, words = _verdict(case, versions, said, findings, places)
    if verdict == "visible" and third_party is not None and at is not None:
        verdict, words = _in_the_eyes_of(case, third_party, at, words)
    sentence = SENTENCES[verdict].format(**words)
    counting = [each for each in versions if not each["reverted"]]
    if verdict == "visible" and counting[-1]["held"]:
        sentence += HELD_VERSION.format(**_held(counting[-1], findings))
    dry_runs = [each.deliveryId for each in every if each.kind is Kind.TEST]
    if dry_runs and not (versions or said):
        sentence += DRY_RUNS.format(delivery=dry_runs[-1])
    return {
        "recordId": record_id,
        "verdict": verdict,
        "sentence": sentence,
        "versions": versions,
        "said": said,
        "findings": findings,
        "places": places,
    }


def _statements(case: _Case) -> list[dict[str, Any]]:
    """Return what each delivery that was read said of the record, oldest arrival first."""
    kept = [
        Effective(each.deliveryId, each.kind, each.order, path)
        for each in case.deliveries
        if (path := case.hub.register.manifest(case.right, case.office, each.deliveryId)).exists()
    ]
    if not kept:
        return []
    with case.hub.register.connect() as con:
        define_mentions(con, "mentions", kept)
        rows = con.sql(
            f"""
            SELECT place, held, removed, source FROM mentions
            WHERE recordId = {literal(case.record_id)}
            ORDER BY place
            """
        ).to_arrow_table()
    return [
        {
            "deliveryId": kept[row["place"] - 1].delivery_id,
            "state": case.named(kept[row["place"] - 1].delivery_id).state,
            "held": row["held"],
            "deleted": row["removed"],
            "source": row["source"],
        }
        for row in rows.to_pylist()
    ]


def _holding_findings(case: _Case, delivery_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the critical findings about the record in the deliveries that have it."""
    return [
        {"deliveryId": name, **finding}
        for name in delivery_ids
        for finding in _findings(
            case, name, f"recordId = {literal(case.record_id)} AND severity = 'critical'"
        )
    ]


def _unreadable(case: _Case) -> list[dict[str, Any]]:
    """Return where records stand that could not be read and so have no number."""
    found: list[dict[str, Any]] = []
    for each in case.deliveries[::-1]:
        if each.receipt is not None and each.receipt.rejected and len(found) < PLACES:
            condition = "recordId IS NULL AND severity IN ('critical', 'error')"
            found += [
                {"deliveryId": each.deliveryId, **finding}
                for finding in _findings(case, each.deliveryId, condition)
            ]
    return found[:PLACES]


def _findings(case: _Case, delivery_id: str, condition: str) -> list[dict[str, Any]]:
    path = case.hub.home.findings(delivery_id)
    if not path.exists():
        return []
    with case.hub.register.connect() as con:
        query = (
            f"SELECT ruleCode, severity, field, file, line, value, message "
            f"FROM {parquet([path])} WHERE {condition} ORDER BY file, line LIMIT {PLACES}"
        )
        found: list[dict[str, Any]] = con.sql(query).to_arrow_table().to_pylist()
    return found


def _verdict(
    case: _Case,
    versions: Sequence[dict[str, Any]],
    said: Sequence[dict[str, Any]],
    findings: Sequence[dict[str, Any]],
    places: Sequence[dict[str, Any]],
) -> tuple[str, dict[str, Any]]:
    counting = [each for each in versions if not each["reverted"]]
    if all(each["op"] == "vanish" for each in counting):  # of what others had brought
        counting = []
    good = [each for each in counting if not each["held"]]
    if good and good[-1]["op"] != "vanish":
        return "visible", {"delivery": good[-1]["deliveryId"]}
    if counting:
        last = counting[-1]
        if last["op"] == "vanish":
            by_name = any(each["deliveryId"] == last["deliveryId"] for each in said)
            return "deleted" if by_name else "vanished", {"delivery": last["deliveryId"]}
        return "held", _held(last, findings)
    if versions:
        brought = [each for each in versions if each["reverted"] and each["op"] != "vanish"]
        return "reverted", {"delivery": (brought or versions)[-1]["deliveryId"]}
    for each in reversed(said):
        words = {"delivery": each["deliveryId"], "reason": case.named(each["deliveryId"]).reason}
        if each["state"] is State.HELD:
            return "in_held_delivery", words
        if each["state"] is State.WITHDRAWN:
            return "withdrawn", words
    waiting = [each.deliveryId for each in case.deliveries if each.state in WAITING]
    if waiting:
        return "waiting", {"delivery": waiting[0]}
    if places:
        return "perhaps_rejected", {"places": count_of(len(places), "place")}
    return "never_received", {}


def _held(version: dict[str, Any], findings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return which delivery brought a version that is held, and the rules that hold it."""
    name = version["deliveryId"]
    rules = sorted({each["ruleCode"] for each in findings if each["deliveryId"] == name})
    return {"delivery": name, "rules": ", ".join(rules) or "a rule"}


def _in_the_eyes_of(
    case: _Case, third_party: str, at: datetime, words: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return whether a third party may read a published record, and by which authorization."""
    shown = case.hub.ledger.authorizations.show(case.office, third_party)
    version = f" (authorization version {shown.version})" if shown else ""
    decided = decide(
        [shown] if shown else [],
        third_party=third_party,
        office=case.office,
        right=case.right,
        at=at,
    )
    match decided:
        case Denied(denial):
            reason = denial.replace("_", " ")
        case Granted(grant):
            body = case.hub.serving.record(case.office, case.right, case.record_id, grant)
            if body is not None:
                return "visible", words
            reason = "its records are not among those shared"
    return "withheld", {"third_party": third_party, "reason": reason + version}
