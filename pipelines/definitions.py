"""The whole code location in one function, as ``workspace.yaml`` loads it."""

import os

import dagster as dg

from connectors.settings import Settings
from pipelines.assets import ASSETS
from pipelines.checks import latest_deliveries, sftp_contacts
from pipelines.holds import held_deliveries, ignored_holds
from pipelines.jobs import maintain_register, process_deliveries, reprocess_register
from pipelines.notifications import notifications
from pipelines.receipts import daily_seal, seal_access_receipts
from pipelines.resources import HubResource
from pipelines.sensors import nightly_maintenance, sftp_arrivals, waiting_deliveries


def build_definitions(home: str) -> dg.Definitions:
    """Return assets, checks, jobs, sensors and schedules of the hub in ``home``."""
    return dg.Definitions(
        assets=ASSETS,
        asset_checks=[latest_deliveries, sftp_contacts, held_deliveries],
        jobs=[process_deliveries, maintain_register, reprocess_register, seal_access_receipts],
        sensors=[waiting_deliveries, sftp_arrivals, ignored_holds, notifications],
        schedules=[nightly_maintenance, daily_seal],
        resources={"hub": HubResource(home=home)},
        executor=dg.in_process_executor,
    )


defs = build_definitions(os.fspath(Settings().home.resolve()))
