"""Plain sentences of the quality report, for officers who do not know the hub's words.

Sentences come before numbers, say what happened and what to do next. What a report contains
is ``reporting``; markup is the writers'. Instants are UTC and say so.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from ipregister.deliveries import EFFECTIVE, Receipt, State

KINDS = {"full_extraction": "Full extraction", "update": "Update", "test": "Test (dry run)"}
RIGHTS = {"patents": "Patents", "trademarks": "Trademarks", "designs": "Designs"}
CHANNELS = {
    "sftp": "your SFTP folder",
    "api": "the API",
    "local": "a file handed in on the hub itself",
}
STATES = {
    State.RECEIVED: ("Received", "It is safe with us and waits to be checked."),
    State.INCOMPLETE: ("Incomplete", "We wait for the rest of the files; nothing was published."),
    State.CHECKING: ("Being checked", "Come back in a few minutes."),
    State.HELD: ("Held", "It waits for your decision; what you had before stays visible."),
    State.PUBLISHED: ("Published", "Third parties you authorised see it."),
    State.PUBLISHED_WITH_FINDINGS: (
        "Published with findings",
        "Third parties you authorised see it, except records that are held.",
    ),
    State.REJECTED: ("Rejected", "It could not be read; what you had before stays visible."),
    State.DUPLICATE: ("Duplicate", "The same content was delivered before; nothing changed."),
    State.WITHDRAWN: ("Withdrawn", "It was taken back; nothing changed."),
    State.TEST_ONLY: ("Test only", "It was checked and not published."),
}
SEVERITIES = {
    "critical": "The record is kept but not shared until it is mended.",
    "error": "Wrong by a standard or a law; the record is shared.",
    "warning": "Probably wrong; the record is shared.",
    "info": "Worth a look; the record is shared.",
}
AREAS = {
    "all": "Everything",
    "package": "Files and packages",
    "completeness": "Completeness: is it there?",
    "conformity": "Conformity: is it written as it should be?",
    "consistency": "Consistency: do the values agree?",
    "uniqueness": "Uniqueness: is it there only once?",
}
PARTS = {
    "accepted": "new, changed or deleted, as you say",
    "held": "kept, not shown to third parties",
    "rejected": "could not be read",
    "unchanged": "equal to what we have",
    "duplicates": "stand again in this delivery",
}
"""The parts of a receipt, in the order of its sum."""

_SCRIPTS = {
    "km": ((0x1780, 0x17FF), (0x19E0, 0x19FF)),
    "th": ((0x0E00, 0x0E7F),),
    "lo": ((0x0E80, 0x0EFF),),
    "my": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
}
"""Unicode blocks of scripts that stand for one language of the region."""


def moment(at: datetime) -> str:
    """Return an instant for people, ``2026-11-22 05:30 UTC``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def size(count: int) -> str:
    """Return a size in bytes for people: decimal units, the exact number with them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit} ({count:,} bytes)"
    return count_of(count, "byte")


def percent(share: float | None) -> str:
    """Return a share (0 to 1) for people; never 100 % or 0 % unless it is exactly that."""
    if share is None:
        return ""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return (
        f"{share:.0%}".replace("%", " %") if share in (0, 1) else f"{share:.1%}".replace("%", " %")
    )


def count_of(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 record``, ``1,204 records``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def script_language(text: str) -> str | None:
    """Return the language a browser should shape a value in, by its first telling letter."""
    for letter in text:
        for language, blocks in _SCRIPTS.items():
            if any(first <= ord(letter) <= last for first, last in blocks):
                return language
    return None


def state_in_words(state: State | None, reason: str | None) -> str:
    """Return what a state means for the office, with the reason that was given for it."""
    if state is None:
        return "Checked only. Nothing was delivered and nothing was published."
    name, meaning = STATES[state]
    told = f" {sentence(reason.removeprefix(f'{name}: '))}" if reason else ""
    return f"{name}. {meaning}{told}"


def reverted_in_words(at: datetime, by: str | None) -> str:
    """Return what became of a delivery that took effect and was taken back."""
    return f"Reverted. It was published and taken back on {moment(at)} by {by}; it counts no more."


def sentence(text: str) -> str:
    """Return a reason as a sentence: capital first, a full stop at the end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def receipt_sum(receipt: Receipt) -> str:
    """Return the receipt as the sum that an office can check."""
    parts = " + ".join(f"{getattr(receipt, name):,} {name}" for name in PARTS)
    return f"{receipt.recordsRead:,} read = {parts}"


def register_in_words(receipt: Receipt, state: State | None) -> str:
    """Return what a delivery changed in the register."""
    if state not in EFFECTIVE:
        return "Nothing has changed in the register."
    return (
        f"In the register: {count_of(receipt.inserted, 'record')} inserted,"
        f" {receipt.updated:,} updated,"
        f" {receipt.vanished:,} vanished (deleted by you, or no longer in your full extraction),"
        f" {receipt.restored:,} restored (there again)."
    )


def impact(*, critical: int, receipt: Receipt | None, state: State | None) -> str:
    """Return which records third parties do not get, and since when that ends.

    Args:
        critical: different records with a critical finding.
        receipt: what became of the delivery's records.
        state: of the delivery; ``None`` for a dry run.
    """
    would = "would not get" if state in (None, State.TEST_ONLY) else "do not get"
    if state is State.HELD:
        return "Third parties get nothing of this delivery until you release it."
    if state is State.REJECTED:
        return "Third parties get nothing of this delivery; deliver it again once it is mended."
    if state is State.WITHDRAWN:
        return "Third parties get nothing of this delivery, for it was taken back."
    if receipt is None and state is not None:
        return "Third parties get nothing of this delivery yet, for it is not checked."
    if state is State.CHECKING:  # it was held and is released: its receipt is of the first check
        return "Third parties get nothing of this delivery yet, for it is still being checked."
    parts = []
    if critical:
        parts.append(
            f"Third parties {would} the new version of {count_of(critical, 'record')} with a"
            " critical finding. Where there is an earlier version without one, it stays visible."
        )
    if receipt and receipt.rejected:
        parts.append(f"{count_of(receipt.rejected, 'record')} could not be read at all.")
    return " ".join(parts) or "Every record of this delivery can be shared."


def headline(
    state: State | None,
    receipt: Receipt | None,
    findings: Mapping[str, int],
    clean: int,
    records: int,
) -> str:
    """Return the first sentence an officer reads about a delivery.

    Args:
        state: of the delivery; ``None`` for a dry run.
        receipt: ``None`` while the delivery was not checked.
        findings: counts by severity.
        clean: different records without critical or error findings.
        records: different records of the delivery.
    """
    if state is State.HELD:
        return (
            "This delivery is waiting for your decision: release it if it is right as it is,"
            " withdraw it if not."
        )
    if state is None:
        start = "This was a check only: nothing was delivered."
    elif state in EFFECTIVE:
        start = "This delivery is published."
    elif state is State.WITHDRAWN:
        start = "This delivery was taken back."
    else:
        start = f"This delivery: {STATES[state][0].lower()}."
    if receipt is None:
        return start
    if not any(findings.values()):
        return f"{start} Nothing was found in it; there is nothing to do about it."
    if not records:
        return f"{start} It had no records; see the findings about the files."
    if clean == records:
        return f"{start} No record has a critical or error finding."
    verb = "has" if records - clean == 1 else "have"
    return (
        f"{start} {records - clean:,} of {count_of(records, 'record')} {verb} something to mend"
        " (a critical or error finding, or could not be read)."
    )
