"""Collect an office's new deliveries: list, wait until quiet, fetch, prove, record.

New is what differs from the ledger's observations in path, size or time, then in content;
never "newer than the last poll". A file is taken when it is proven complete, not because
nobody wrote to it for a while: an upload that died looks exactly like a finished one.
Nothing is written or deleted at the office. Which belong together is ``grouping``, how they
are fetched ``fetching``; connecting, and trying again, is ``visits``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.collection import sidecars
from connectors.collection.arrivals import (
    CollectReport,
    Fetched,
    Waiting,
    lone_promises,
    lone_upload,
    not_yet,
)
from connectors.collection.fetching import Fetcher, Source
from connectors.collection.grouping import Group, Plan, name_in_lane, plan, readable
from connectors.collection.pacing import Budget, Patience
from connectors.faults import reach
from connectors.landing import Landing
from connectors.ledger import Ledger
from connectors.ledger.observations import Observation
from connectors.ledger.records import Channel, DeliveredFile, Delivery
from connectors.sftp.listing import Problem
from connectors.submitting import distinct_names
from ipregister.dates import st2_date
from ipregister.deliveries import State, identity
from ipregister.errors import DeliveryError, IncompleteDelivery
from ipregister.profiles import Profile

COLLECTED_BY = "sftp"

DEFAULT_PATIENCE = Patience()

RECENT = 20
"""Deliveries looked at after a crash: at most the last one lacks its note in the memory."""


@dataclass(frozen=True, slots=True)
class _Memory:
    """What the ledger knew when the pass began."""

    known: Mapping[str, Observation]
    incomplete: Sequence[Delivery]
    recent: Sequence[Delivery]

    def has(self, group: Group) -> bool:
        """Tell whether every member went into a delivery that was complete."""
        pending = {delivery.deliveryId for delivery in self.incomplete}
        return all(
            self.known[member.path].deliveryId not in (None, *pending) for member in group.members
        )

    def same(self, group: Group, content: str, files: tuple[DeliveredFile, ...]) -> Delivery | None:
        """Return the delivery that already stands for exactly this content.

        Either an incomplete one, or one recorded just before a crash: its files were seen
        before it was recorded. The same files uploaded again were seen after it.
        """
        for delivery in self.incomplete:
            if delivery.identity == content:
                return delivery
        last_seen = max(self.known[member.path].firstSeenAt for member in group.members)
        for delivery in self.recent:
            is_same = (delivery.identity, delivery.files) == (content, files)
            if is_same and delivery.receivedAt >= last_seen:
                return delivery
        return None


class Collector:
    """Takes deliveries from the offices' folders into landing and ledger.

    Args:
        ledger: remembers what was seen and what was taken.
        landing: keeps the bytes.
        profiles: the office's profile by its ST.3 code.
        prove: raises ``IncompleteDelivery`` for a file that ends too early, another
            ``DeliveryError`` for one that is whole but unreadable.
        patience: how slow an office may be.
    """

    def __init__(
        self,
        ledger: Ledger,
        landing: Landing,
        profiles: Callable[[str], Profile],
        prove: Callable[[Path], None],
        *,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self._ledger = ledger
        self._landing = landing
        self._profiles = profiles
        self._prove = prove
        self._patience = patience

    def collect(
        self, source: Source, office: str, *, at: datetime, budget: Budget | None = None
    ) -> CollectReport:
        """Take what is new and complete at one office.

        Args:
            source: the office's server.
            office: ST.3 code.
            at: instant of the pass.
            budget: the time there is; that of ``patience`` when not given.

        Raises:
            OfficeUnreachable: the connection was lost before the folders were listed; when it
                is lost later, what was whole is taken and the report says so.
            OfficeRefused: the office's folder may not be listed.
            OutOfTime: the budget was used up by the listing.
        """
        listing = source.list(office)
        reach("collect.listed")
        profile = self._profiles(office)
        habits = profile.delivery
        planned = plan(listing.files, mask=habits.group)
        odd = [Problem(readable(problem.path), problem.reason) for problem in listing.problems]
        report = CollectReport(office, quarantined=[*odd, *planned.quarantined])
        memory = self._remember(office, planned, at)
        reach("collect.observed")
        for upload in planned.uploads:
            report.add(lone_upload(upload, memory.known, at))
        for said in lone_promises(planned, memory.known, at):
            report.add(said)
        ready = []
        for group in planned.groups:
            if memory.has(group):
                continue
            if (right := group.key.right) not in profile.rights:
                # As every other door refuses it: nobody could read it.
                reason = f"the hub has no format for {right} of {office}; ask its operators for one"
                for member in group.members:
                    report.add(Problem(member.path, reason, member))
                continue
            if waiting := not_yet(group, memory.known, at, habits.quiet_seconds[group.key.kind]):
                report.waiting.append(waiting)
            else:
                ready.append(group)
        budget = budget or Budget(self._patience.pass_seconds)
        fetcher = Fetcher(office, self._landing, self._ledger.observations, self._patience, budget)
        fetched = fetcher.bring(source, ready, memory.known)
        reach("collect.fetched")
        report.received, report.lost = fetched.received, fetched.lost
        for group in ready:
            if blocked := fetched.blocks(group):
                paths = tuple(member.path for member in group.members)
                report.waiting.append(Waiting(paths, blocked))
            else:
                report.deliveries.append(self._take(office, group, fetched, memory, at))
        report.folder = report.left(memory.known, at)
        return report

    def _remember(self, office: str, planned: Plan, at: datetime) -> _Memory:
        """Note what is there now, and return what was known of it."""
        files = {file.path: file for group in planned.groups for file in group.files()}
        files |= {file.path: file for file in (*planned.uploads, *planned.alone)}
        # What is left alone, too: its office is told since when it lies there.
        files |= {alone.file.path: alone.file for alone in planned.quarantined if alone.file}
        seen = (file.listed for file in files.values())
        self._ledger.observations.see_all(office, seen, at)
        recent = self._ledger.deliveries.list(office, limit=RECENT)
        known = self._ledger.observations.known(office)
        return _Memory(known, self._incomplete_of(office), recent)

    def _incomplete_of(self, office: str) -> Sequence[Delivery]:
        return [
            delivery
            for delivery in self._ledger.deliveries.list(office, states=[State.INCOMPLETE])
            if delivery.channel is Channel.SFTP
        ]

    def _take(
        self, office: str, group: Group, fetched: Fetched, memory: _Memory, at: datetime
    ) -> Delivery:
        """Record one group, complete or incomplete."""
        # One name may stand in two spellings of one lane: Updates and Update.
        names = distinct_names([name_in_lane(member) for member in group.members])
        files = tuple(
            DeliveredFile(name, fetched.digests[member.path], member.size)
            for name, member in zip(names, group.members, strict=True)
        )
        key, reason = group.key, self._incomplete(group, fetched)
        state = State.RECEIVED if reason is None else State.INCOMPLETE
        reach("collect.proven")
        content = identity(office, key.right, key.kind, (file.sha256 for file in files))
        delivery = memory.same(group, content, files)
        if delivery is None:
            # An office's grouping mask may find eight digits that are no day.
            day = st2_date(key.day)
            delivery = self._ledger.deliveries.record(
                office, key.right, key.kind, Channel.SFTP, files, at, COLLECTED_BY,
                state=state, reason=reason, office_day=day,
            )  # fmt: skip
            if delivery.state is State.DUPLICATE:
                # Of what another process has found incomplete since this pass began.
                incomplete = self._incomplete_of(office)
                delivery = next((d for d in incomplete if d.identity == content), delivery)
            self._withdraw_older(delivery, memory.incomplete, at)
        if delivery.state is State.INCOMPLETE and state is State.RECEIVED:
            delivery = self._ledger.deliveries.move(delivery.deliveryId, state, at, COLLECTED_BY)
        reach("collect.recorded")
        taken = [member.listed for member in group.members]
        self._ledger.observations.set_delivery(office, taken, delivery.deliveryId)
        reach("collect.noted")
        return delivery

    def _incomplete(self, group: Group, fetched: Fetched) -> str | None:
        """Return why a group is not complete, in words for the office; ``None`` when it is."""
        for member in group.members:
            name, sha256 = name_in_lane(member), fetched.digests[member.path]
            path = self._landing.path(sha256)
            if (digest := fetched.digest_for(group, member)) is not None:
                if not sidecars.matches(digest, sha256, path):
                    return f"The file {name} does not match its checksum: upload it again"
                continue
            try:
                self._prove(path)
            except IncompleteDelivery as exc:
                return f"The file {name} is not complete, upload it again: {exc.detail}"
            except DeliveryError:
                # Whole but unreadable: processing rejects it and says why.
                continue
        return None

    def _withdraw_older(
        self, delivery: Delivery, incomplete: Sequence[Delivery], at: datetime
    ) -> None:
        """Withdraw the incomplete deliveries whose files came anew in ``delivery``."""
        names = {file.name for file in delivery.files}
        for old in incomplete:
            same_lane = (old.right, old.kind) == (delivery.right, delivery.kind)
            if same_lane and any(file.name in names for file in old.files):
                reason = f"uploaded again: see delivery {delivery.deliveryId}"
                self._ledger.deliveries.move(
                    old.deliveryId, State.WITHDRAWN, at, COLLECTED_BY, reason
                )
