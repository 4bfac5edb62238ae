"""When a plausible delivery is held: too much of what an office has would disappear.

Growth and first loads are never held. A held delivery changes nothing until the office
releases or withdraws it; a guard that cannot decide holds.
"""

from dataclasses import dataclass

VANISH_SHARE = 0.02
"""Share of an office's records that may vanish in one full extraction unasked.

Source: seed practice of WIPO's collections; the catalogue's ALL.XDL.001 holds at 2 %.
"""

VANISH_FLOOR = 10
"""So few may always vanish, or small collections would be held for every withdrawal."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a delivery waits for the office, in numbers a person can check."""

    had: int
    in_this_file: int
    would_disappear: int
    because: str

    @property
    def reason(self) -> str:
        """Return the sentence the office reads."""
        return (
            f"Held: {self.because}. You had {self.had:,} records, this delivery has "
            f"{self.in_this_file:,}, {self.would_disappear:,} would disappear. "
            "Release it if that is right, withdraw it if not."
        )


def judge_vanishing(*, had: int, in_this_file: int, vanishing: int, rejected: int) -> Hold | None:
    """Return why a full extraction must wait, or ``None``.

    Args:
        had: records the register has from this office and right.
        in_this_file: records the extraction contains and that could be read.
        vanishing: records the register has and the extraction does not contain.
        rejected: records of the extraction that could not be read.
    """
    if vanishing == 0:
        return None
    if vanishing == had:
        return Hold(had, in_this_file, vanishing, "not one record you had is in this extraction")
    if rejected:
        because = f"{rejected:,} records could not be read and may be among those that are missing"
        return Hold(had, in_this_file, vanishing, because)
    if vanishing > max(VANISH_FLOOR, VANISH_SHARE * had):
        because = f"{vanishing / had:.1%} of your records are missing from this extraction"
        return Hold(had, in_this_file, vanishing, because)
    return None
