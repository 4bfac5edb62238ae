"""Jobs: all waiting deliveries in one run; folding and vacuuming beside them."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field, field_validator

from connectors.hub import Hub
from connectors.ledger import Delivery
from ipregister.deliveries import EFFECTIVE
from ipregister.model import Right
from ipregister.profiles import offices
from ipregister.quality import Severity
from pipelines import assets
from pipelines.begun import finish_place, places_begun
from pipelines.ingest import give_back, process_delivery
from pipelines.maintenance import Folded, fold, maintain
from pipelines.partitions import partition
from pipelines.reprocessing import reprocess
from pipelines.resources import HubResource
from pipelines.run_history import forget_runs
from pipelines.workers import is_dead, sign


class OfficeConfig(dg.Config):
    """Of which office; a run for none that exists would do nothing and succeed."""

    office: str | None = None

    @field_validator("office")
    @classmethod
    def _exists(cls, office: str | None) -> str | None:
        if office is not None and office not in offices():
            raise ValueError(f"{office!r} is no office of this hub; one of {', '.join(offices())}")
        return office


class DeliveriesConfig(OfficeConfig):
    """Which deliveries one run takes; empty means all that wait when it starts.

    Whatever it takes, it finishes what was begun and is not finished, of ``office`` or of all.
    """

    delivery_ids: list[str] = Field(default_factory=list)


def now() -> datetime:
    """Return the instant: the one clock of the pipelines."""
    return datetime.now(UTC)


@dg.op(description="Read, check, compare and publish every waiting delivery, one after the other.")
def process_waiting(
    context: dg.OpExecutionContext, config: DeliveriesConfig, hub: HubResource
) -> list[str]:
    """Return the identifiers of the deliveries taken to their end."""
    worker = sign(context)
    done: list[str] = []
    failed: dict[str, Exception] = {}
    blocked: set[tuple[str, Right]] = set()
    with hub.open() as stores:
        waiting = _waiting(stores, config)
        for number, waits in enumerate(waiting, start=1):
            place = (waits.office, waits.right)
            if place in blocked:
                continue  # what comes after a delivery we failed must not overtake it
            context.log.info(f"{number}/{len(waiting)} {waits.deliveryId}")
            try:
                delivery = process_delivery(stores, waits.deliveryId, worker=worker, clock=now)
            except Exception as exc:  # a defect of ours must not stop the other offices' deliveries
                failed[waits.deliveryId] = exc
                blocked.add(place)
                give_back(stores, waits.deliveryId, exc, worker=worker, at=now())
                continue
            if delivery is not None:
                done.append(delivery.deliveryId)
                _report(context, delivery)
        for office, right in places_begun(stores, config.office):
            if (office, right) in blocked:
                continue
            try:
                finish_place(stores, office, right, by=worker, clock=now)
            except Exception as exc:  # the next run finds it begun still
                failed[partition(office, right)] = exc
    if failed:
        told = "; ".join(f"{name}: {type(exc).__name__}" for name, exc in failed.items())
        raise dg.Failure(f"{len(failed)} could not be processed: {told}") from next(
            iter(failed.values())
        )
    return done


@dg.op(description="Fold the log into the base where it has outgrown it.")
def fold_registers(context: dg.OpExecutionContext, done: list[str], hub: HubResource) -> None:
    """Fold the partitions the run has touched."""
    with hub.open() as stores:
        touched = {(d.office, d.right) for d in map(stores.ledger.deliveries.get, done)}
        for office, right in sorted(touched):
            if stores.register.needs_fold(right, office):
                _report_fold(context, fold(stores, office, right))


@dg.op(description="Fold, compact, vacuum, sweep what killed processes left, forget old tokens.")
def maintain_registers(context: dg.OpExecutionContext, hub: HubResource) -> None:
    """Keep the stores small and their reads fast."""
    sign(context)
    with hub.open() as stores:
        done = maintain(stores, at=now())
    runs = forget_runs(context.instance, now())
    for folded in done.folded:
        _report_fold(context, folded)
    context.log.info(
        f"{len(done.folded)} partitions folded, {done.vacuumed} unused files removed, "
        f"{done.swept.document()} swept, {done.tokens} tokens and "
        f"{done.notifications} notifications forgotten, "
        f"{done.exported} bytes of prepared files and {done.views} views removed, "
        f"{runs} runs forgotten"
    )


@dg.job(description="Everything that waits, in one run: read, check, compare, publish, report.")
def process_deliveries() -> None:
    """Process what waits and fold what grew."""
    fold_registers(process_waiting())


@dg.job(description="Nightly: fold, compact and vacuum the register, beside readers and writers.")
def maintain_register() -> None:
    """Maintain the register."""
    maintain_registers()


class ReprocessConfig(OfficeConfig):
    """What is derived again; nothing named means everything."""

    right: str | None = None

    @field_validator("right")
    @classmethod
    def _is_right(cls, right: str | None) -> str | None:
        if right is not None and right not in list(Right):
            raise ValueError(f"{right!r} is no right; one of {', '.join(Right)}")
        return right


@dg.op(description="Read again from landing what the register says now, with today's mapping.")
def reprocess_registers(
    context: dg.OpExecutionContext, config: ReprocessConfig, hub: HubResource
) -> None:
    """Publish what mapping and rules of today say differently, office by office."""
    worker = sign(context)
    rights = [Right(config.right)] if config.right else list(Right)
    with hub.open() as stores:
        for right in rights:
            for office in stores.register.offices(right):
                if config.office in (None, office):
                    done = reprocess(stores, office, right, by=worker, clock=now)
                    changes = sum(each.changes for each in done)
                    context.log.info(f"{office}.{right}: {changes} records changed")


@dg.job(description="Derive every current record again, after a change of mapping or rules.")
def reprocess_register() -> None:
    """Reprocess the register."""
    reprocess_registers()


def _waiting(stores: Hub, config: DeliveriesConfig) -> list[Delivery]:
    if config.delivery_ids:
        return [stores.ledger.deliveries.get(name) for name in config.delivery_ids]
    stores.ledger.leases.end(is_dead, now())
    return stores.ledger.leases.waiting(config.office, now())


def _report_fold(context: dg.OpExecutionContext, folded: Folded) -> None:
    """Tell Dagster what a fold has written."""
    key = partition(folded.office, folded.right)
    metadata = {"rows": folded.rows, "foldSeconds": folded.seconds}
    context.log_event(dg.AssetMaterialization(assets.BASE.key, partition=key, metadata=metadata))


def _report(context: dg.OpExecutionContext, delivery: Delivery) -> None:
    """Tell Dagster what one delivery has written."""
    key = partition(delivery.office, delivery.right)
    receipt, findings = delivery.receipt, delivery.findings or {}
    common = {"deliveryId": delivery.deliveryId, "state": str(delivery.state)}
    counts = (
        {}
        if receipt is None
        else {name: getattr(receipt, name) for name in type(receipt).__dataclass_fields__}
    )
    seconds = {f"{name}Seconds": value for name, value in (delivery.durations or {}).items()}
    by_severity = {f"{severity}Findings": findings.get(severity, 0) for severity in Severity}
    written = [assets.LANDING, assets.STAGED, assets.FINDINGS, assets.RECEIPTS]
    if delivery.state in EFFECTIVE:
        written += [assets.LOG, assets.SERVING]
    for spec in written:
        metadata = common | counts | (by_severity if spec is assets.FINDINGS else {}) | seconds
        context.log_event(dg.AssetMaterialization(spec.key, partition=key, metadata=metadata))
    for severity, check in assets.NO_FINDINGS.items():
        found = findings.get(severity, 0)
        _evaluate(
            context,
            dg.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=found == 0,
                severity=dg.AssetCheckSeverity.WARN,
                metadata=common | {"findings": found},
                partition=key,
            ),
        )
    _evaluate(
        context,
        dg.AssetCheckEvaluation(
            asset_key=assets.RECEIPT_ADDS_UP.asset_key,
            check_name=assets.RECEIPT_ADDS_UP.name,
            passed=receipt is not None and receipt.adds_up(),
            metadata=common | counts,
            partition=key,
        ),
    )


def _evaluate(context: dg.OpExecutionContext, evaluation: dg.AssetCheckEvaluation) -> None:
    context.log_event(evaluation)  # type: ignore[arg-type]  # accepted, but not declared so
