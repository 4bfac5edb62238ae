"""What the commands that give out credentials share: who acts, keys in, secrets out once."""

import sys
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.ledger import Client
from iphub.context import whoever_runs_this
from iphub.output import Format, emit
from ipregister.errors import InvalidRequest

ActorOption = Annotated[
    str,
    typer.Option(
        "--by",
        default_factory=whoever_runs_this,
        help="Who does it; kept in the ledger.",
        show_default="you",
    ),
]

PublicKeyOption = Annotated[
    str | None,
    typer.Option(
        "--public-key",
        help="Public key, JWK or PEM: a file, - for standard input, or the text.",
    ),
]


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


def emit_credentials(client: Client, secret: str | None, format: Format) -> None:
    """Print a new client and, this once, its secret."""
    shown: dict[str, Any] = client.document() | ({"clientSecret": secret} if secret else {})

    def text(out: Console) -> None:
        out.out(f"Client {client.clientId} of {owner(client)}")
        if secret is None:
            (key,) = client.keys
            out.out(f"It signs with {key.jwk['alg']}, key {key.kid}")
        else:
            out.out(f"Secret, shown only now: {secret}")

    emit(shown, text, format)


def as_documents(clients: list[Client], with_secret: Collection[str]) -> list[dict[str, Any]]:
    """Return clients as JSON; ``with_secret`` are those a secret opens, beside keys or not."""
    return [client.document() | {"hasSecret": client.clientId in with_secret} for client in clients]


def clients_table(
    heading: str, clients: list[Client], with_secret: Collection[str], at: datetime
) -> Callable[[Console], None]:
    """Return what prints clients for people; ``heading`` is over their owners."""

    def proofs(client: Client) -> str:
        found = ["key"] * bool(client.live_keys(at))
        found += ["secret"] * (client.clientId in with_secret)
        return ", ".join(found) or "nothing"

    def text(out: Console) -> None:
        table = Table(
            heading, "Client", "Role", "Proves itself by", "State", "Last token", box=None
        )
        for client in clients:
            state = "active" if client.is_active else "revoked"
            used = f"{client.lastUsedAt:%Y-%m-%d %H:%M}" if client.lastUsedAt else "never"
            table.add_row(owner(client), client.clientId, client.role, proofs(client), state, used)
        out.print(table, markup=False)

    return text


def owner(client: Client) -> str:
    """Return whose client it is, for people."""
    return client.thirdParty or client.office or "the hub"
