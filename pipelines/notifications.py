"""The sensor that tells third parties' webhooks what is new."""

import dagster as dg

from connectors.networks import read_networks
from connectors.notifications.dispatching import dispatch
from pipelines.jobs import now, process_deliveries
from pipelines.resources import HubResource


@dg.sensor(
    minimum_interval_seconds=10,
    job=process_deliveries,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells third parties' webhooks that something they may see has changed.",
)
def notifications(context: dg.SensorEvaluationContext, hub: HubResource) -> dg.SkipReason:
    """Make one pass; it starts no run."""
    with hub.open() as stores:
        inside = read_networks(stores.settings.notify_inside)
        done = dispatch(stores.ledger, stores.serving, clock=now, inside=inside)
    if done.givenUp:
        context.log.warning(f"{done.givenUp} notifications were given up after three days.")
    return dg.SkipReason(f"{done.delivered} delivered, {done.failed} to be tried again.")
