"""``iphub digest``, ``rebuild-serving``, ``maintain``: is a hub what it was, and keeping it so."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

from rich.console import Console

from connectors import rebuilding
from connectors.digest import digest_of
from connectors.gate import Gate
from connectors.home import Home
from connectors.hub import ledger_url
from connectors.ledger import Ledger
from connectors.receipts.sealing import seal_days
from connectors.register.store import RegisterStore
from connectors.serving_store import ServingStore
from connectors.views import prepare_views, used_views
from iphub.context import FormatOption, HomeOption, open_hub, settings, whoever_runs_this
from iphub.output import Format, emit, progress


def digest(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """Print one digest over register, feed, serving store, findings and ledger.

    Two hubs with the same digest are the same; `state` leaves out how they got there.
    """
    with open_hub(home) as hub, progress.status("Reading everything …"):
        found = digest_of(hub)
    document = {"digest": found.whole, "state": found.state, "parts": found.parts}

    def text(out: Console) -> None:
        for name, part in found.parts.items():
            out.print(f"{name:9} {part}")
        out.print(f"state     {found.state}")
        out.print(f"digest    {found.whole}")

    emit(document, text, format)


def rebuild_serving(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """Make the serving store anew from the register, when it is lost, damaged or outdated."""
    started, at, chosen = perf_counter(), datetime.now(UTC), settings(home)
    place = Home(chosen.home.resolve())
    place.pepper()  # refuses where there is no hub
    register = RegisterStore(place.root / "register", memory_limit=chosen.memory_limit)
    with (
        progress.status("Publishing every delivery again …"),
        closing(
            Ledger.open(ledger_url(chosen), environment=chosen.environment, home=place.root)
        ) as ledger,
        Gate(place.root, ledger.turns).closed(),
    ):
        views = list(used_views(ledger, at))
        made = rebuilding.rebuild_serving(
            register,
            place.serving,
            at=at,
            views=views,
            published=ledger.publications.instants,
        )
        with closing(ServingStore(place.serving)) as serving:
            # Offices decide meanwhile: what they opened has its view in the old store only.
            prepare_views(ledger, serving, at)
    seconds = perf_counter() - started
    cursors = "go on from where they are" if made.cursors_survive else "start again (resync)"
    document = {
        "deliveries": made.deliveries,
        "records": made.records,
        "cursorsSurvive": made.cursors_survive,
        "seconds": round(seconds, 3),
    }
    told = (
        f"{made.records:,} records of {made.deliveries:,} deliveries in {seconds:.1f} s; "
        f"readers of the feed {cursors}."
    )
    emit(document, lambda out: out.print(told), format)


def maintain(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """Do now what Dagster does every night: fold, vacuum, sweep, seal access receipts.

    Beside all other work.
    """
    from pipelines.maintenance import maintain as maintain_stores
    from pipelines.running import forget_old_runs

    with open_hub(home) as hub, progress.status("Folding, compacting, sweeping …"):
        at = datetime.now(UTC)
        done = maintain_stores(hub, at=at)
        sealed = seal_days(hub.home.receipts, hub.ledger, at=at, by=whoever_runs_this())
        runs = forget_old_runs(hub, at)
    document = {
        "folded": [f"{each.office}.{each.right}" for each in done.folded],
        "vacuumed": done.vacuumed,
        "swept": done.swept.document(),
        "tokens": done.tokens,
        "notifications": done.notifications,
        "views": done.views,
        "runs": runs,
        "sealed": sealed,
    }
    told = (
        f"{len(done.folded)} partitions folded, {done.vacuumed} unused files removed, "
        f"{done.swept.leftovers + done.swept.arrivals} unfinished files and the work of "
        f"{done.swept.deliveries} ended deliveries swept, {done.tokens} tokens and "
        f"{done.notifications} notifications forgotten, "
        f"{done.views} unused views and {runs} runs of more than 90 days ago removed; "
        f"{len(sealed)} days of access receipts sealed."
    )
    emit(document, lambda out: out.print(told), format)
