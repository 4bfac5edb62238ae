"""The command ``iphub``: one module per command group, put together here."""

import typer

from iphub import (
    authorizations,
    backup,
    certificates,
    clients,
    collect,
    dagster_ui,
    decisions,
    deliveries,
    history,
    ledger,
    maintenance,
    notify,
    office_clients,
    query,
    receipts,
    report,
    reprocess,
    serve,
    sftp,
    signing_keys,
    third_parties,
    validate,
)
from iphub.context import run
from iphub.demo import command as demo

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="ASEAN IP Data Hub: collect the offices' registers, tell each office what is wrong, "
    "share what it allows.",
)
app.command()(deliveries.init)
app.command()(demo.demo)
app.command()(collect.collect)
app.command()(deliveries.submit)
app.command()(deliveries.process)
app.command("deliveries")(deliveries.deliveries)
app.add_typer(decisions.app, name="delivery")
app.add_typer(third_parties.app, name="third-party")
app.add_typer(office_clients.app, name="office-client")
app.add_typer(clients.app, name="client")
app.add_typer(signing_keys.app, name="signing-key")
app.add_typer(authorizations.app, name="authorization")
app.add_typer(certificates.app, name="certificate")
app.add_typer(receipts.app, name="receipts")
app.add_typer(history.app, name="history")
app.add_typer(ledger.app, name="ledger")
app.add_typer(sftp.app, name="sftp")
app.command()(serve.serve)
app.command("dagster")(dagster_ui.dagster)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(maintenance.digest)
app.command()(maintenance.maintain)
app.command("rebuild-serving")(maintenance.rebuild_serving)
app.command()(notify.notify)
app.command()(query.query)
app.command()(validate.validate)
app.command()(report.report)
app.command()(reprocess.reprocess)


def main() -> None:
    """Run the command line."""
    run(app)
