"""Visits to several offices at once: connect, collect, try again, and remember how it went.

Every office has a thread, a connection and a budget of its own, so a server that stalls holds
nobody else up. This is the one place that tries again: a lost connection a few times within
the visit, an office in trouble after a growing pause kept in the ledger. What a pass over an
office takes is ``collector``.
"""

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial

from connectors.collection.arrivals import CollectReport
from connectors.collection.backoff import pause
from connectors.collection.collector import DEFAULT_PATIENCE, Collector
from connectors.collection.fetching import Source
from connectors.collection.pacing import Budget, Clock, Patience
from connectors.ledger.contacts import Contacts
from ipregister.errors import (
    ExchangeError,
    HubError,
    IncompleteDelivery,
    OfficeRefused,
    OfficeUnreachable,
)

MAX_AT_ONCE = 16
"""More than there are offices; each costs a thread, a connection and 4 to 16 MiB of read-ahead."""

MAX_PASSES = 10
"""With ``wait``: an office that never stops writing does not keep us for ever."""

Connect = Callable[[str, Budget], AbstractContextManager[Source]]
"""Connects to an office within a budget; raises as ``sftp.source.open_source`` does."""


class Visits:
    """Visits offices with one collector.

    Args:
        collector: what is done at an office.
        contacts: remembers the offices in trouble.
        connect: how to reach an office.
        server: what ``connect`` reaches and with which keys, for whose failures to count.
        patience: how long a visit may take and how often it is tried.
        sleep: how to wait, in seconds.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        collector: Collector,
        contacts: Contacts,
        connect: Connect,
        *,
        server: str | None = None,
        patience: Patience = DEFAULT_PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Clock = time.monotonic,
    ) -> None:
        self._collector = collector
        self._contacts = contacts
        self._connect = connect
        self._server = server
        self._patience = patience
        self._sleep = sleep
        self._clock = clock
        self._budgets: list[Budget] = []

    def all(
        self, offices: Sequence[str], *, at: datetime, wait: bool = False, insist: bool = False
    ) -> list[CollectReport]:
        """Visit several offices at the same time; return their reports in the order given.

        Args:
            offices: ST.3 codes.
            at: instant of the pass (UTC).
            wait: stay until what only has to be quiet for a moment was taken too.
            insist: visit also offices that are to be left alone for now.
        """
        visit = partial(self.one, at=at, wait=wait, insist=insist)
        with ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="visit") as pool:
            try:
                return list(pool.map(visit, offices))
            except BaseException:
                # Somebody wants to stop: no thread goes on for the rest of its hour.
                pool.shutdown(wait=False, cancel_futures=True)
                for budget in self._budgets:
                    budget.end()
                raise

    def one(
        self, office: str, *, at: datetime, wait: bool = False, insist: bool = False
    ) -> CollectReport:
        """Visit one office, unless it is to be left alone for now."""
        contact = self._contacts.get(office).asked_of(self._server)
        if not insist and not contact.is_due(at):
            return CollectReport(office, error=contact.reason, contact=contact, visited=False)
        report = self._visit(office, at)
        for _ in range(MAX_PASSES if wait else 0):
            if report.error is not None or not report.wait_seconds:
                break
            # Whole milliseconds, never a bit too short.
            seconds = math.ceil(report.wait_seconds * 1000) / 1000
            self._sleep(seconds)
            at += timedelta(seconds=seconds)
            report = self._visit(office, at).after(report)
        return report

    def _visit(self, office: str, at: datetime) -> CollectReport:
        """Make one pass, in several attempts where the connection is lost."""
        budget = Budget(self._patience.pass_seconds, self._clock)
        self._budgets.append(budget)
        report = self._attempt(office, at, budget)
        for seconds in self._patience.pauses:
            if report.lost is None or budget.left <= seconds:
                break
            self._sleep(seconds)
            report = self._attempt(office, at, budget).after(report)
        if report.lost is not None:
            progressed = bool(report.received or report.deliveries)
            failed_at = at + timedelta(seconds=budget.used)
            failed = self.fail(office, failed_at, report.lost, refused=False, progressed=progressed)
            report.error, report.contact = failed.error, failed.contact
        return report

    def _attempt(self, office: str, at: datetime, budget: Budget) -> CollectReport:
        """Connect and make a pass; ``lost`` says that another attempt may help."""
        connected = False
        try:
            with self._connect(office, budget) as source:
                connected = True
                report = self._collector.collect(source, office, at=at, budget=budget)
        except OfficeUnreachable as exc:
            return CollectReport(office, lost=exc)
        except (ExchangeError, IncompleteDelivery) as exc:
            refused = isinstance(exc, OfficeRefused) and not connected
            return self.fail(office, at + timedelta(seconds=budget.used), exc, refused=refused)
        except HubError as exc:
            # Trouble of our own (a full disk, a wrong setting): no reason to avoid the office.
            return CollectReport(office, error=exc.detail)
        if report.lost is None:
            report.contact = self._contacts.succeeded(
                office, at, self._server, folder=report.folder
            )
        return report

    def fail(
        self, office: str, at: datetime, exc: HubError, *, refused: bool, progressed: bool = False
    ) -> CollectReport:
        """Remember that an office could not be collected, and report it.

        Args:
            office: ST.3 code.
            at: instant of the failure.
            exc: what happened.
            refused: the server's host key or our login.
            progressed: something came before that.
        """
        contact = self._contacts.failed(
            office,
            at,
            reason=exc.detail,
            refused=refused,
            pause=partial(pause, refused=refused),
            progressed=progressed,
            server=self._server,
        )
        return CollectReport(office, error=exc.detail, contact=contact)
