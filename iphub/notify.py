"""``iphub notify``: one pass of notifications, as Dagster's sensor makes it."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from connectors.networks import read_networks
from connectors.notifications.dispatching import dispatch
from iphub.context import FormatOption, HomeOption, open_hub
from iphub.output import Format, emit, progress


def notify(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """Tell third parties' webhooks what is new, and try again what did not arrive."""
    with open_hub(home) as hub, progress.status("Sending notifications …"):
        done = dispatch(
            hub.ledger,
            hub.serving,
            clock=lambda: datetime.now(UTC),
            inside=read_networks(hub.settings.notify_inside),
        )
    told = f"{done.noticed:,} new, {done.delivered:,} delivered, {done.failed:,} failed"
    ended = f", {done.givenUp:,} given up" if done.givenUp else ""
    emit(asdict(done), lambda out: out.print(f"Notifications: {told}{ended}."), format)
