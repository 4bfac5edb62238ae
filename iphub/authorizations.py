"""``iphub authorization``: what an originating office lets a third party see."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from iphub.context import AnyOfficeOption, FormatOption, HomeOption, OfficeOption, open_hub
from iphub.credentials import ActorOption
from iphub.output import Format, emit
from ipregister.authorization_forms import parse_withheld
from ipregister.authorizations import WITHHOLDABLE, Authorization
from ipregister.errors import InvalidRequest
from ipregister.model import Right

app = typer.Typer(no_args_is_help=True, help="Data-exchange authorizations of the offices.")

ThirdPartyOption = Annotated[str, typer.Option("--third-party", help="Name of the third party.")]


@app.command("set")
def set_(
    office: OfficeOption,
    third_party: ThirdPartyOption,
    rights: Annotated[str, typer.Option(help=f"Rights to share, of {', '.join(Right)}.")],
    by: ActorOption,
    home: HomeOption = Path("hub"),
    withhold: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Classes not to share, of {', '.join(WITHHOLDABLE)}; "
            "for one right only: trademarks:stakeholder. May be repeated."
        ),
    ] = None,
    valid_until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day (UTC); for good if not given."),
    ] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Share rights with a third party, from the next request on; replaces what was shared."""
    withheld = parse_withheld(rights, withhold or ())
    with open_hub(home) as hub:
        now = hub.ledger.authorizations.set(
            office,
            third_party,
            withheld,
            valid_until.date() if valid_until else None,
            at=datetime.now(UTC),
            by=by,
        )
    emit(now.document(), lambda out: _say(out, now), format)


@app.command()
def show(
    office: OfficeOption,
    third_party: ThirdPartyOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Show what is shared now, and every decision that led there."""
    with open_hub(home) as hub:
        versions = hub.ledger.authorizations.history(office, third_party)
    if not versions:
        raise InvalidRequest(f"{office} has never shared anything with {third_party}")
    document = versions[-1].document() | {"history": [old.document() for old in versions[:-1]]}

    def text(out: Console) -> None:
        for version in reversed(versions):
            _say(out, version)

    emit(document, text, format)


@app.command()
def revoke(
    office: OfficeOption,
    third_party: ThirdPartyOption,
    by: ActorOption,
    home: HomeOption = Path("hub"),
    format: FormatOption = Format.TEXT,
) -> None:
    """Share nothing any more, from the next request on."""
    with open_hub(home) as hub:
        now = hub.ledger.authorizations.revoke(office, third_party, at=datetime.now(UTC), by=by)
    emit(now.document(), lambda out: _say(out, now), format)


@app.command("list")
def list_all(
    home: HomeOption = Path("hub"),
    office: AnyOfficeOption = None,
    third_party: Annotated[
        str | None, typer.Option("--third-party", help="Only this third party.")
    ] = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the authorizations as they are now, revoked ones too."""
    with open_hub(home) as hub:
        found = hub.ledger.authorizations.list(office=office, third_party=third_party)

    def text(out: Console) -> None:
        for authorization in found:
            _say(out, authorization)

    emit({"items": [authorization.document() for authorization in found]}, text, format)


def _say(out: Console, authorization: Authorization) -> None:
    decision = authorization.decision
    first = f" from {decision.validFrom}" if decision.validFrom else ""
    until = f" until {decision.validUntil}" if decision.validUntil else ""
    pair = f"{authorization.office} → {authorization.thirdParty}"
    out.out(f"{pair}, version {authorization.version}{first}{until}")
    for right, grant in decision.grants.items():
        closed = [str(name) for name in WITHHOLDABLE if name not in grant.allowed]
        if not grant.freeText:
            closed.append("free text")
        out.out(f"  {right}: everything{' but ' + ', '.join(closed) if closed else ''}")
        for name, value in grant.rule.document().items() if grant.rule else ():
            words = ", ".join(value) if isinstance(value, list) else value
            out.out(f"    only records with {name} {words}")
    if authorization.is_revoked:
        out.out("  nothing: revoked")
    else:
        out.out(f"  terms of use: {decision.termsOfUse}")
    if decision.allowedAddresses:
        out.out(f"  from {', '.join(decision.allowedAddresses)} only")
    if decision.purpose:
        out.out(f"  purpose: {decision.purpose}")
    why = f": {decision.reason}" if decision.reason else ""
    out.out(f"  decided by {authorization.setBy}, {authorization.setAt:%Y-%m-%d %H:%M} UTC{why}")
