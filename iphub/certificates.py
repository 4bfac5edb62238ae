"""``iphub certificate``: signed statements of what an office shares, issued and verified."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api import certificates
from iphub.authorizations import ThirdPartyOption, say_what_is_shared
from iphub.context import FormatOption, HomeOption, OfficeOption, open_hub
from iphub.output import Format, emit, whole
from ipregister.errors import InvalidRequest, UnreadableDelivery

app = typer.Typer(
    no_args_is_help=True, help="Restriction certificates, which anybody can verify offline."
)


@app.command()
def issue(
    office: OfficeOption,
    third_party: ThirdPartyOption,
    output: Annotated[Path, typer.Option("--output", help="File to write.", dir_okay=False)],
    home: HomeOption = Path("hub"),
) -> None:
    """Write a certificate of what an office shares with a third party now."""
    at = datetime.now(UTC)
    with open_hub(home) as hub:
        authorization = hub.ledger.authorizations.show(office, third_party)
        if authorization is None:
            raise InvalidRequest(f"{office} has never shared anything with {third_party}")
        issuer = (hub.settings.public_url or "http://127.0.0.1:8000").rstrip("/")
        written = hub.ledger.authorizations.written(authorization)
        made = certificates.issue(hub.signing_keys(), authorization, written, issuer=issuer, at=at)
    # The bytes the API answers with: a line break is no part of a JWS, and libraries refuse it.
    with whole(output) as place:
        place.write_text(made, "utf-8")


@app.command()
def verify(
    certificate: Annotated[Path, typer.Argument(help="The certificate's file.")],
    jwks: Annotated[Path, typer.Option(help="The hub's public keys: a copy of /oauth2/jwks.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Check a certificate; needs no hub and no network."""
    claims = certificates.verify(_text(certificate), _text(jwks))

    def text(out: Console) -> None:
        at = datetime.fromtimestamp(claims["iat"], UTC)
        out.out(f"Signed by {claims['iss']} on {at:%Y-%m-%d %H:%M:%S} UTC, not changed since.")
        out.out(f"It was {'' if claims['inForce'] else 'not '}in force then:")
        say_what_is_shared(out, claims["authorization"])

    emit(claims, text, format)


def _text(path: Path) -> Any:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UnreadableDelivery(f"{path} cannot be read as text.") from exc
