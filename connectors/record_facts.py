"""What row rules look at in a staged record, as columns of a query.

A publication with a day after the delivery is announced, not published, and does not count, nor
does one without a day: perhaps it could not be read. The record counts as published from the
next delivery on that changes it: what comes unchanged is not filed again. What the rules do with
these facts is ``ipregister.row_rules``.
"""

from datetime import timedelta

from ipregister.model import Right
from ipregister.profiles import load_profile

KIND = {Right.TRADEMARKS: "r.markKind", Right.PATENTS: "r.kindCode", Right.DESIGNS: "NULL::VARCHAR"}
"""The kind of mark, the kind of document (WIPO ST.16); designs have but one."""


FACTS = (
    *("registrationDate", "publicationDate", "published"),
    *("rightKind", "kind", "filingRoute"),
)
"""What ``row_facts`` tells, in its order."""


def day_of_log(office: str) -> str:
    """Return, as SQL, the office's day of the delivery a row of the register's log came with."""
    minutes = load_profile(office).utcOffset // timedelta(minutes=1)
    return f"CAST(r.recordedAt AT TIME ZONE 'UTC' + INTERVAL ({minutes}) MINUTE AS DATE)"


def row_facts(right: Right, today: str) -> str:
    """Return the facts of a record called ``r``, in the order of ``FACTS``.

    All of ``row_rules.Facts`` but the filing date, which everybody reads. ``today`` is the
    day of the delivery (the office's), as SQL.
    """
    days = "list_transform(r.publications, lambda p: p.date)"
    past = f"list_filter({days}, lambda d: d <= {today})"
    registered = f"coalesce(r.registrationDate <= {today}, r.registrationNumber IS NOT NULL)"
    return (
        f'r.registrationDate AS ".registrationDate", list_min({past}) AS ".publicationDate", '
        f'coalesce(len({past}) > 0, false) OR {registered} AS ".published", '
        f'r.rightKind AS ".rightKind", {KIND[right]} AS ".kind", r.filingRoute AS ".filingRoute"'
    )
