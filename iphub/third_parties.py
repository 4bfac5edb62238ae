"""``iphub third-party``: who may call the API for a third party.

What a third party may see is decided by the offices (``iphub authorization``).
"""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.ledger import Client
from iphub.context import FormatOption, HomeOption, open_hub
from iphub.output import Format, emit
from ipregister.errors import InvalidRequest

app = typer.Typer(
    no_args_is_help=True, help="Third parties and the clients they call the API with."
)

ActorOption = Annotated[
    str,
    typer.Option(
        "--by", default_factory=getuser, help="Who does it; kept in the ledger.", show_default="you"
    ),
]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Name of the third party.")],
    by: ActorOption,
    home: HomeOption = Path("hub"),
    public_key: Annotated[
        str | None,
        typer.Option(help="Public key, JWK or PEM: a file, - for standard input, or the text."),
    ] = None,
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
    shown: dict[str, Any] = client.document() | ({"clientSecret": secret} if secret else {})
    emit(shown, _credentials(client, secret), format)


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

    def text(out: Console) -> None:
        table = Table("Third party", "Client", "Proves itself by", "State", box=None)
        for client in clients:
            if client.thirdParty is not None:
                table.add_row(
                    client.thirdParty,
                    client.clientId,
                    "key" if client.keys else "secret",
                    "active" if client.is_active else "revoked",
                )
        out.print(table, markup=False)

    emit({"items": items}, text, format)


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


def read_key(source: str) -> str:
    """Return the text of a key: of a file, of standard input, or as it was written.

    Raises:
        InvalidRequest: the file is not text, or there is no such file.
    """
    if source == "-":
        return sys.stdin.read()
    if source.lstrip().startswith(("{", "-----BEGIN")):
        return source
    try:
        return Path(source).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidRequest(f"{source} is neither a key nor a readable file with one") from exc


def _credentials(client: Client, secret: str | None) -> Callable[[Console], None]:
    def text(out: Console) -> None:
        out.out(f"Client {client.clientId} of {client.thirdParty or client.office}")
        if secret is None:
            (key,) = client.keys
            out.out(f"It signs with {key.jwk['alg']}, key {key.kid}")
        else:
            out.out(f"Secret, shown only now: {secret}")

    return text
