"""The job that seals the access receipts of days that are over."""

import dagster as dg

from connectors.receipts.sealing import seal_days
from pipelines.jobs import now
from pipelines.resources import HubResource
from pipelines.workers import sign


@dg.op(description="Turn the journals of past days into Parquet and note their digests.")
def seal_past_days(context: dg.OpExecutionContext, hub: HubResource) -> None:
    """Seal what is over; a day that was sealed stays as it is."""
    with hub.open() as stores:
        made = seal_days(stores.home.receipts, stores.ledger, at=now(), by=sign(context))
    context.log.info(f"{len(made)} days of access receipts sealed: {', '.join(made) or 'none'}")


@dg.job(description="Daily: seal the access receipts of the days that are over.")
def seal_access_receipts() -> None:
    """Seal the receipts."""
    seal_past_days()


daily_seal = dg.ScheduleDefinition(
    job=seal_access_receipts,
    cron_schedule="15 1 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 01:15 UTC, an hour and more after the day has ended.",
)
