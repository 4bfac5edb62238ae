"""``iphub client``: rotate, narrow, widen and limit what a client calls the API with.

Works for third parties' and offices' clients alike; the former are also reached as
``iphub third-party client``. Nothing here decides what a client may see.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connectors.ledger import Client, ClientChanges
from connectors.ledger.client_profiles import HUBS_QUOTA, MAX_QUOTA
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
    no_args_is_help=True, help="Clients: rotate their secrets and keys, set profile and quotas."
)

ClientArgument = Annotated[str, typer.Argument(help="The client's identifier.")]
KeepOption = Annotated[
    float,
    typer.Option(
        "--keep-hours", min=0, max=24 * 90, help="How long the old one is still accepted."
    ),
]


class Dpop(StrEnum):
    """Whether a client must bind its tokens to a key."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@app.command("list")
def list_all(
    third_party: Annotated[
        str | None, typer.Option("--third-party", help="Only clients of this third party.")
    ] = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """List clients by time of adding."""
    with open_hub(home) as hub:
        clients, now = hub.ledger.clients.list(third_party=third_party), datetime.now(UTC)
        with_secret = hub.ledger.clients.with_secret(now)
    table = clients_table("Owner", clients, with_secret, now)
    emit({"items": as_documents(clients, with_secret)}, table, format)


@app.command()
def add(
    third_party: Annotated[str, typer.Argument(help="Name of a known third party.")],
    by: ActorOption,
    name: Annotated[
        str | None, typer.Option("--name", help="What people call it; the third party's name.")
    ] = None,
    public_key: PublicKeyOption = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Add one more client of a known third party.

    Without a public key it gets a secret, which is shown now and never again.
    """
    key = None if public_key is None else read_key(public_key)
    with open_hub(home) as hub:
        hub.ledger.clients.list(third_party=third_party)  # refuses one that is not known
        client, secret = hub.ledger.clients.add(
            name=name or third_party,
            third_party=third_party,
            at=datetime.now(UTC),
            by=by,
            public_jwk=key,
        )
    emit_credentials(client, secret, format)


@app.command()
def rotate_secret(
    client_id: ClientArgument,
    by: ActorOption,
    keep_hours: KeepOption = 24,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Give a client a new secret, shown only now; the old one works on for a while."""
    at, keep = datetime.now(UTC), timedelta(hours=keep_hours)
    with open_hub(home) as hub:
        secret = hub.ledger.clients.rotate_secret(client_id, at=at, by=by, keep=keep)
    until = (at + keep).isoformat(timespec="seconds")

    def text(out: Console) -> None:
        out.out(f"Secret of {client_id}, shown only now: {secret}")
        out.out(f"Secrets it had before are refused from {until} on.")

    document = {"clientId": client_id, "clientSecret": secret, "othersRefusedFrom": until}
    emit(document, text, format)


@app.command()
def add_key(
    client_id: ClientArgument,
    by: ActorOption,
    public_key: PublicKeyOption = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Accept one more public key of a client, beside those it has."""
    if public_key is None:
        raise InvalidRequest("give the public half: --public-key FILE")
    key = read_key(public_key)
    with open_hub(home) as hub:
        hub.ledger.clients.add_key(client_id, key, at=datetime.now(UTC), by=by)
        client = _known(hub.ledger.clients.by_id(client_id), client_id)
    _emit_client(client, format)


# A key's identifier is base64url (RFC 7638), so that it may begin with the dash of an option.
@app.command(context_settings={"ignore_unknown_options": True})
def retire_key(
    client_id: ClientArgument,
    kid: Annotated[str, typer.Argument(help="The key's identifier, as `list` shows it.")],
    by: ActorOption,
    keep_hours: KeepOption = 0,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Accept a key of a client no longer, at once or after a while."""
    at = datetime.now(UTC)
    until = at + timedelta(hours=keep_hours)
    with open_hub(home) as hub:
        hub.ledger.clients.retire_key(client_id, kid, at=at, by=by, until=until)
        client = _known(hub.ledger.clients.by_id(client_id), client_id)
    _emit_client(client, format)


@app.command()
def revoke(
    client_id: ClientArgument,
    by: ActorOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Refuse a client and its tokens from the next request on; again changes nothing."""
    with open_hub(home) as hub:
        client = hub.ledger.clients.revoke(client_id, at=datetime.now(UTC), by=by)
    emit(client.document(), lambda out: out.print(f"{client.clientId} is revoked."), format)


@app.command("set")
def set_profile(
    client_id: ClientArgument,
    by: ActorOption,
    dpop: Annotated[
        Dpop | None, typer.Option(help="Must its tokens be bound to a key (RFC 9449)?")
    ] = None,
    strict_audience: Annotated[
        bool | None,
        typer.Option(
            "--strict-audience/--no-strict-audience",
            help="Accept only assertions for the issuer (FAPI 2.0); stock Authlib names the "
            "token endpoint.",
        ),
    ] = None,
    das_compat: Annotated[
        bool | None,
        typer.Option(
            "--das-compat/--no-das-compat",
            help="Accept assertions as WIPO's DAS documents them: without jti.",
        ),
    ] = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Change how a client must prove itself, from its next request on."""
    changes = ClientChanges(
        dpopRequired=None if dpop is None else dpop is Dpop.REQUIRED,
        strictAudience=strict_audience,
        dasCompat=das_compat,
    )
    _configure(client_id, changes, home=home, by=by, format=format)


@app.command()
def limit(
    client_id: ClientArgument,
    by: ActorOption,
    requests: Annotated[
        int | None, typer.Option(min=HUBS_QUOTA, max=MAX_QUOTA, help="Requests a minute.")
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=HUBS_QUOTA, max=MAX_QUOTA, help="Records or changes a minute.")
    ] = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Give a client quotas of its own, from its next request on; 0 is the hub's quota again."""
    changes = ClientChanges(requestsPerMinute=requests, rowsPerMinute=rows)
    _configure(client_id, changes, home=home, by=by, format=format)


def _configure(
    client_id: str, changes: ClientChanges, *, home: Path, by: str, format: Format
) -> None:
    if changes == ClientChanges():
        raise InvalidRequest("say what to change; --help lists it")
    with open_hub(home) as hub:
        client = hub.ledger.clients.configure(client_id, changes, at=datetime.now(UTC), by=by)
    _emit_client(client, format)


def _known(client: Client | None, client_id: str) -> Client:
    if client is None:
        raise InvalidRequest(f"there is no client {client_id}")
    return client


def _emit_client(client: Client, format: Format) -> None:
    def text(out: Console) -> None:
        for name, value in client.document().items():
            if name != "keys" and value is not None:
                out.print(f"{name:18} {value}", markup=False)
        for key in client.document()["keys"]:
            until = f", accepted until {key['expiresAt']}" if key["expiresAt"] else ""
            out.print(f"key                {key['kid']} ({key['alg']}){until}", markup=False)

    emit(client.document(), text, format)
