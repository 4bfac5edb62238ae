"""How long an office in trouble is left alone, and when a person must hear of it.

Pure: numbers of failures in, spans of time out. What happened is kept in the ledger
(``contacts``); there is no chance in it, so that a week of failures can be replayed.
"""

from datetime import timedelta

SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=1)
"""A server that was restarted is back within minutes; one that is down costs 24 looks a day."""

REFUSED = timedelta(hours=6)
"""Host key or login refused: only a person can help, and repeated logins can get us locked out."""


def pause(failures: int, *, refused: bool) -> timedelta:
    """Return how long to leave an office alone after so many failures in a row.

    Args:
        failures: one or more.
        refused: the server's host key or our login was refused.
    """
    if refused:
        return REFUSED
    # Beyond the sixth doubling the cap holds anyway; a year of failures must not overflow.
    return min(SOONEST * (1 << min(failures - 1, 6)), LATEST)
