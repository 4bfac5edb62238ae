"""What is measured of a delivery before it is published; numbers only, no verdict.

How they are taken is ``connectors.register.guard_measures``, how they are judged ``guards``.
"""

from dataclasses import dataclass

from ipregister.deliveries import Kind
from ipregister.holds import DroppedField, IdChurn


@dataclass(frozen=True, slots=True)
class Collapse:
    """The most frequent value of a field after a delivery, over the records both have.

    ``records`` have a value; ``before`` and ``after`` are shares of the most frequent one.
    """

    field: str
    records: int
    before: float
    after: float
    value: str


@dataclass(frozen=True, slots=True)
class Measures:
    """What a delivery would do, counted in records.

    ``had``: of the register; ``in_this_file``: different and readable; ``vanishing``: would
    disappear, by absence or by a delete; ``common``: of the register and in the file;
    ``updated``: of these, with other content; ``returning``: of these, with a content the
    register had earlier (``returning_to`` names the delivery it came with); ``declared``: as
    the file itself says; ``lost_before``: vanished unasked within the rolling days.
    """

    kind: Kind
    had: int
    in_this_file: int
    vanishing: int = 0
    inserted: int = 0
    updated: int = 0
    common: int = 0
    rejected: int = 0
    foreign: int = 0
    read: int = 0
    declared: int | None = None
    returning: int = 0
    returning_to: str | None = None
    lost_before: int = 0
    churn: IdChurn | None = None
    dropped: tuple[DroppedField, ...] = ()
    collapsed: tuple[Collapse, ...] = ()

    @property
    def share_changed(self) -> float | None:
        """Return the share of the register that would change or disappear."""
        return min(1.0, (self.updated + self.vanishing) / self.had) if self.had else None
