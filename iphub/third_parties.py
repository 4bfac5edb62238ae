"""``iphub third-party``: who may call the API for a third party.

What a third party may see is decided by the offices (``iphub authorization``).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from connectors.hub import Hub
from iphub import clients as client_commands
from iphub.context import FormatOption, HomeOption, open_hub
from iphub.credentials import (
    ActorOption,
    PublicKeyOption,
    as_documents,
    clients_table,
    emit_credentials,
    read_key,
)
from iphub.output import Format, emit
from ipregister.errors import InvalidRequest

app = typer.Typer(
    no_args_is_help=True, help="Third parties and the clients they call the API with."
)


app.add_typer(client_commands.app, name="client")


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the third party.")],
    by: ActorOption,
    home: HomeOption = Path("hub"),
    public_key: PublicKeyOption = None,
    another: Annotated[
        bool, typer.Option("--another", help="Add one more client of a known third party.")
    ] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Add a third party with its first client.

    Without a public key the client gets a secret, which is shown now and never again.
    """
    key = None if public_key is None else read_key(public_key)
    with open_hub(home) as hub:
        if not another:
            _refuse_known(hub, name)
        client, secret = hub.ledger.clients.add(
            name=name, third_party=name, at=datetime.now(UTC), by=by, public_jwk=key
        )
    emit_credentials(client, secret, format)


def _refuse_known(hub: Hub, name: str) -> None:
    """Refuse a name that is taken: who repeats a command does not want a second credential."""
    try:
        clients = hub.ledger.clients.list(third_party=name)
    except InvalidRequest:  # not known, or no name at all, which adding it will say
        return
    theirs = ", ".join(client.clientId for client in clients if client.is_active) or "none active"
    raise InvalidRequest(
        f"there is a third party of this name already; its clients: {theirs}. Nothing was added. "
        "For one more client say --another; for a new secret: iphub client rotate-secret"
    )


@app.command("list")
def list_all(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """List third parties with their clients."""
    with open_hub(home) as hub:
        parties = hub.ledger.clients.third_parties()
        clients, now = hub.ledger.clients.list(), datetime.now(UTC)
        with_secret = hub.ledger.clients.with_secret(now)
    theirs = [client for client in clients if client.thirdParty is not None]
    documents = as_documents(theirs, with_secret)
    items = [
        {
            "name": party.name,
            "clients": [client for client in documents if client["thirdParty"] == party.name],
        }
        for party in parties
    ]
    emit({"items": items}, clients_table("Third party", theirs, with_secret, now), format)


@app.command()
def revoke_client(
    client_id: Annotated[str, typer.Argument(help="The client's identifier.")],
    by: ActorOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Refuse a client and its tokens from the next request on."""
    with open_hub(home) as hub:
        client = hub.ledger.clients.revoke(client_id, at=datetime.now(UTC), by=by)
    emit(client.document(), lambda out: out.print(f"{client.clientId} is revoked."), format)
