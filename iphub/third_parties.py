"""``iphub third-party``: who may call the API for a third party.

What a third party may see is decided by the offices (``iphub authorization``).
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from iphub.context import FormatOption, HomeOption, open_hub
from iphub.credentials import (
    ActorOption,
    PublicKeyOption,
    clients_table,
    emit_credentials,
    read_key,
)
from iphub.output import Format, emit

app = typer.Typer(
    no_args_is_help=True, help="Third parties and the clients they call the API with."
)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the third party.")],
    by: ActorOption,
    home: HomeOption = Path("hub"),
    public_key: PublicKeyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Add a third party, or one more client of a known one.

    Without a public key the client gets a secret, which is shown now and never again.
    """
    key = None if public_key is None else read_key(public_key)
    with open_hub(home) as hub:
        client, secret = hub.ledger.clients.add(
            name=name, third_party=name, at=datetime.now(UTC), by=by, public_jwk=key
        )
    emit_credentials(client, secret, format)


@app.command("list")
def list_all(home: HomeOption = Path("hub"), format: FormatOption = Format.TEXT) -> None:
    """List third parties with their clients."""
    with open_hub(home) as hub:
        parties = hub.ledger.clients.third_parties()
        clients = hub.ledger.clients.list()
    items = [
        {
            "name": party.name,
            "clients": [client.document() for client in clients if client.thirdParty == party.name],
        }
        for party in parties
    ]

    theirs = [client for client in clients if client.thirdParty is not None]
    emit({"items": items}, clients_table("Third party", theirs), format)


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
