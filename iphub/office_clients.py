"""``iphub office-client``: who may call the API for an office, and for the hub itself.

What each role may do is ``ipregister.roles``. Third parties' clients are ``third-party``.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from iphub.context import AnyOfficeOption, FormatOption, HomeOption, OwnerOfficeOption, open_hub
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
from ipregister.roles import HUB_ROLES, OFFICE_ROLES, Role

app = typer.Typer(
    no_args_is_help=True,
    help="Clients with which offices push and read their own reports, and coordinators read "
    "counts.",
)

ROLES = sorted(OFFICE_ROLES) + sorted(HUB_ROLES)


def _role(value: str | None) -> str | None:
    if value is None or value in ROLES:
        return value
    raise typer.BadParameter(f"{value!r} is no role here; one of {', '.join(ROLES)}.")


@app.command()
def add(
    by: ActorOption,
    name: Annotated[
        str | None, typer.Argument(help="What people call this client; its owner and role.")
    ] = None,
    office: OwnerOfficeOption = None,
    role: Annotated[
        str | None,
        typer.Option(
            help=f"What it may do: {', '.join(ROLES)}.",
            show_default="office_data_manager",
            callback=_role,
        ),
    ] = None,
    home: HomeOption = Path("hub"),
    public_key: PublicKeyOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Add a client of an office; without one, of a coordinator or an operator.

    Without a public key the client gets a secret, which is shown now and never again.
    """
    if office is None and role is None:
        raise InvalidRequest(
            "say whose client it is: --office KH for an office, --role coordinator or "
            "--role operator for the hub"
        )
    kind = Role(role) if role else Role.OFFICE_DATA_MANAGER
    key = None if public_key is None else read_key(public_key)
    with open_hub(home) as hub:
        client, secret = hub.ledger.clients.add(
            name=name or " ".join(filter(None, (office, kind))),
            office=office,
            role=kind,
            at=datetime.now(UTC),
            by=by,
            public_jwk=key,
        )
    emit_credentials(client, secret, format)


@app.command("list")
def list_all(
    office: AnyOfficeOption = None,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """List the clients of offices and of the hub, by time of adding."""
    with open_hub(home) as hub:
        known, now = hub.ledger.clients.list(office=office), datetime.now(UTC)
        with_secret = hub.ledger.clients.with_secret(now)
    clients = [client for client in known if client.role is not Role.THIRD_PARTY]
    table = clients_table("Office", clients, with_secret, now)
    emit({"items": as_documents(clients, with_secret)}, table, format)


@app.command()
def revoke(
    client_id: Annotated[str, typer.Argument(help="The client's identifier.")],
    by: ActorOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Refuse a client and its tokens from the next request on; again changes nothing."""
    with open_hub(home) as hub:
        client = hub.ledger.clients.by_id(client_id)
        if client is None or client.role is Role.THIRD_PARTY:
            raise InvalidRequest(
                f"there is no office client {client_id}; see iphub office-client list"
            )
        client = hub.ledger.clients.revoke(client_id, at=datetime.now(UTC), by=by)
    emit(client.document(), lambda out: out.print(f"{client.clientId} is revoked."), format)
