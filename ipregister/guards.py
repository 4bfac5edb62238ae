"""When a plausible delivery is held: how what was measured is judged.

Pure: ``measures`` in, a ``Hold`` or nothing out. Growth and first loads are never held. A
held delivery changes nothing until the office decides. How measurements are taken is
``connectors.register.guard_measures``, what a hold says is ``holds``.
"""

from collections.abc import Callable

from ipregister.deliveries import Kind
from ipregister.guard_limits import DEFAULTS, GuardLimits
from ipregister.holds import DroppedField, Hold, HoldCode, IdChurn, Trouble
from ipregister.measures import Measures
from ipregister.report_words import count_of

FOREIGN_SHARE = 0.9
"""A file whose records nearly all name another office is that office's; single ones are
findings of their own and held one by one."""

CHURN_SHARE = 0.5
"""If half of what is lost comes back under another spelling, numbers were rewritten."""

RETURNING_SHARE = 0.95
"""A file whose changes all undo later ones, with nothing new, is an old file."""

ONE_VALUE = 0.95
"""From this share on, a field's values count as all the same."""

EMPTIED = 0.10
"""In an update a field must be left in no more than this share: an update has the records that
changed, and often they changed because one thing ended for all of them."""

LOOK_FROM = 0.05
"""Fields are looked at when more than this share of the common records changed: fewer could
neither empty a field by 20 points nor make a value that differed in more than 5 % the only one."""


_Check = Callable[[Measures, GuardLimits], Trouble | None]


def judge(measures: Measures, limits: GuardLimits = DEFAULTS) -> Hold | None:
    """Return why a delivery must wait, with every reason, or ``None``."""
    troubles = [trouble for check in _CHECKS if (trouble := check(measures, limits))]
    if not troubles:
        return None
    order = list(HoldCode)
    return Hold(
        troubles=tuple(sorted(troubles, key=lambda trouble: order.index(trouble.code))),
        had=measures.had,
        inThisFile=measures.in_this_file,
        wouldDisappear=measures.vanishing,
        shareChanged=measures.share_changed,
        droppedFields=_dropped(measures, limits),
        idChurn=_churn(measures, limits),
    )


def _wrong_office(measures: Measures, limits: GuardLimits) -> Trouble | None:
    foreign, present = measures.foreign, measures.in_this_file
    few = present <= limits.vanish_floor
    if not foreign or foreign < present * (1 if few else FOREIGN_SHARE):
        return None
    names = "record names" if foreign == 1 else "records name"
    which = "every record names" if foreign >= present else f"{foreign:,} {names}"
    return Trouble(
        HoldCode.WRONG_OFFICE,
        f"{which} another office than yours",
        "Was this file meant for another folder? Withdraw it and deliver it there.",
    )


def _declared_count(measures: Measures, limits: GuardLimits) -> Trouble | None:
    if measures.declared is None or measures.declared == measures.read:
        return None
    return Trouble(
        HoldCode.DECLARED_COUNT,
        f"the file says it has {count_of(measures.declared, 'record')}, "
        f"and {measures.read:,} are in it",
        "Was the export cut off? Withdraw it and export again; release it if the file's own "
        "count is wrong.",
    )


def _churn(measures: Measures, limits: GuardLimits) -> IdChurn | None:
    """Return respelt numbers if they are more than chance: half of what is lost, or new."""
    churn = measures.churn
    if churn is None or churn.records < CHURN_SHARE * churn.of:
        return None
    is_few = churn.records <= min(limits.vanish_floor, measures.had // 2)
    return None if is_few else churn


def _id_churn(measures: Measures, limits: GuardLimits) -> Trouble | None:
    churn = _churn(measures, limits)
    if churn is None:
        return None
    example = churn.examples[0]
    spelt = f"(such as {example.before} → {example.after})"
    if measures.kind is Kind.FULL_EXTRACTION:
        because = (
            f"{churn.records:,} of the {churn.of:,} vanishing records come back under another "
            f"spelling of their number {spelt}"
        )
    else:
        because = (
            f"{churn.records:,} of {churn.of:,} new records are ones you have, under another "
            f"spelling of their number {spelt}"
        )
    return Trouble(
        HoldCode.ID_CHURN,
        because,
        "Third parties would see each as a lost and a new record. Withdraw it and deliver the "
        "numbers as before; if your office has really changed them, tell the hub's operators, "
        "so that old and new numbers are mapped, before you release it.",
    )


def _old_file(measures: Measures, limits: GuardLimits) -> Trouble | None:
    undone, changed = measures.returning, measures.updated + measures.inserted
    if undone <= limits.vanish_floor or undone < RETURNING_SHARE * changed:
        return None
    like = f" as in delivery {measures.returning_to}" if measures.returning_to else ""
    return Trouble(
        HoldCode.OLD_FILE,
        f"{count_of(undone, 'record')} would go back to what they were before{like}, "
        "and nothing is new",
        "Is this an older file again? Withdraw it and deliver the newest.",
    )


def _all_vanish(measures: Measures, limits: GuardLimits) -> Trouble | None:
    if not measures.vanishing or measures.vanishing < measures.had:
        return None
    because = "not one record you had is in this extraction"
    if measures.kind is not Kind.FULL_EXTRACTION:
        because = "it deletes every record you had"
    return Trouble(HoldCode.ALL_VANISH, because, _RELEASE_OR_WITHDRAW)


def _unreadable_records(measures: Measures, limits: GuardLimits) -> Trouble | None:
    absent = measures.kind is Kind.FULL_EXTRACTION and measures.vanishing
    if not absent or not measures.rejected or measures.vanishing >= measures.had:
        return None
    return Trouble(
        HoldCode.UNREADABLE_RECORDS,
        f"{count_of(measures.rejected, 'record')} could not be read and may be among those that "
        "are missing",
        "Mend what cannot be read (the findings name file and line) and deliver again, or "
        "release it if the missing ones are meant to go.",
    )


def _mass_vanish(measures: Measures, limits: GuardLimits) -> Trouble | None:
    had, vanishing = measures.had, measures.vanishing
    if had < limits.small_collection or vanishing >= had:
        return None
    if vanishing <= max(limits.vanish_floor, limits.vanish_share * had):
        return None
    are = "are missing from this extraction"
    if measures.kind is not Kind.FULL_EXTRACTION:
        are = "are deleted by this update"
    return Trouble(
        HoldCode.MASS_VANISH, f"{vanishing / had:.1%} of your records {are}", _RELEASE_OR_WITHDRAW
    )


def _rolling_vanish(measures: Measures, limits: GuardLimits) -> Trouble | None:
    start = measures.had + measures.lost_before
    lost = measures.vanishing + measures.lost_before
    if not measures.vanishing or not measures.lost_before or start < limits.small_collection:
        return None
    if lost <= max(limits.vanish_floor, limits.rolling_share * start):
        return None
    return Trouble(
        HoldCode.ROLLING_VANISH,
        f"with it {count_of(lost, 'record')} ({lost / start:.1%}) would have disappeared "
        f"within {limits.rolling_days} days",
        "Each step was small, the sum is not. " + _RELEASE_OR_WITHDRAW,
    )


def _dropped(measures: Measures, limits: GuardLimits) -> tuple[DroppedField, ...]:
    if measures.common < limits.small_collection:
        return ()
    return tuple(
        field
        for field in measures.dropped
        if round(field.before - field.after, 9) > limits.fill_drop
        and (measures.kind is Kind.FULL_EXTRACTION or round(field.after, 9) <= EMPTIED)
    )


def _field_emptied(measures: Measures, limits: GuardLimits) -> Trouble | None:
    dropped = _dropped(measures, limits)
    if not dropped:
        return None
    told = ", ".join(f"{f.field} from {f.before:.0%} to {f.after:.0%}" for f in dropped[:3])
    more = f" and {len(dropped) - 3} more" if len(dropped) > 3 else ""
    return Trouble(
        HoldCode.FIELD_EMPTIED,
        f"fields have lost their values: {told}{more} of the records",
        "Did the export leave something out? Withdraw it and export again; release it if the "
        "values are meant to go.",
    )


def _one_value(measures: Measures, limits: GuardLimits) -> Trouble | None:
    told = [
        f"{c.field} is now {c.value} in {c.after:.0%} of {count_of(c.records, 'record')}"
        for c in measures.collapsed
        if c.records >= limits.small_collection
        and c.after >= ONE_VALUE
        and (c.after - c.before > limits.fill_drop or (c.after == 1 and c.before <= ONE_VALUE))
    ]
    if not told:
        return None
    return Trouble(
        HoldCode.ONE_VALUE,
        f"values that differed are all the same: {', '.join(told[:3])}",
        "Did the export write one value into every record? Withdraw it and export again.",
    )


def _mass_change(measures: Measures, limits: GuardLimits) -> Trouble | None:
    """Hold an update that rewrites much of the register.

    Only updates: an extraction that rewrites every record in another form is what offices do
    when they renew a system; what is wrong in such a file, the guards of fields see.
    """
    if measures.kind is not Kind.UPDATE or measures.had < max(1, limits.small_collection):
        return None
    share = measures.updated / measures.had
    if share <= limits.change_share:
        return None
    return Trouble(
        HoldCode.MASS_CHANGE,
        f"this update changes {count_of(measures.updated, 'record')} you had ({share:.0%})",
        "Release it if so many were meant to change, withdraw it if not.",
    )


_RELEASE_OR_WITHDRAW = "Release it if that is right, withdraw it if not."

_CHECKS: tuple[_Check, ...] = (
    _wrong_office,
    _declared_count,
    _id_churn,
    _old_file,
    _all_vanish,
    _unreadable_records,
    _mass_vanish,
    _rolling_vanish,
    _field_emptied,
    _one_value,
    _mass_change,
)
