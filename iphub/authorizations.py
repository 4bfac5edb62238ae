"""``iphub authorization``: what an originating office lets a third party see."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from api.previews import MAX_RECORDS, Wish
from api.previews import preview as preview_of
from connectors.serving.preview import Choice
from connectors.views import authorize
from iphub.context import AnyOfficeOption, FormatOption, HomeOption, OfficeOption, open_hub
from iphub.credentials import ActorOption
from iphub.output import Format, emit, progress
from ipregister.authorization_forms import parse_rows, parse_withheld
from ipregister.authorizations import WITHHOLDABLE, Authorization, TermsOfUse
from ipregister.decision_documents import ROW_MEMBERS, read_decision
from ipregister.errors import InvalidRequest
from ipregister.model import Right

app = typer.Typer(no_args_is_help=True, help="Data-exchange authorizations of the offices.")

ThirdPartyOption = Annotated[str, typer.Option("--third-party", help="Name of the third party.")]
RightsOption = Annotated[str, typer.Option(help=f"Rights to share, of {', '.join(Right)}.")]
WithholdOption = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Classes not to share, of {', '.join(WITHHOLDABLE)}; "
        "for one right only: trademarks:stakeholder. May be repeated."
    ),
]
RowsOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Share only some records: publishedOnly, applicationDateFrom=2020-01-01, "
        f"kinds=individual+collective, …; conditions on {', '.join(ROW_MEMBERS)}. "
        "For one right only: patents:kinds=B. May be repeated."
    ),
]
DropFreeTextOption = Annotated[
    bool,
    typer.Option("--drop-free-text", help="Leave out texts that may name persons."),
]
Day = typer.Option(formats=["%Y-%m-%d"], help="First day, at the office; at once if not given.")
LastDay = typer.Option(formats=["%Y-%m-%d"], help="Last day, at the office; for good if not given.")
TermsOption = Annotated[
    TermsOfUse, typer.Option("--terms", help="What the third party may do with it.")
]
PurposeOption = Annotated[str | None, typer.Option(help="What it is shared for.")]
AddressOption = Annotated[
    list[str] | None,
    typer.Option("--allow-address", help="Network requests must come from. May be repeated."),
]
ReasonOption = Annotated[str | None, typer.Option(help="Why; kept with the version.")]


@app.command("set")
def set_(
    office: OfficeOption,
    third_party: ThirdPartyOption,
    rights: RightsOption,
    by: ActorOption,
    home: HomeOption = Path("hub"),
    withhold: WithholdOption = None,
    rows: RowsOption = None,
    drop_free_text: DropFreeTextOption = False,
    valid_from: Annotated[datetime | None, Day] = None,
    valid_until: Annotated[datetime | None, LastDay] = None,
    terms: TermsOption = TermsOfUse.INTERNAL_USE,
    purpose: PurposeOption = None,
    allow_address: AddressOption = None,
    reason: ReasonOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Share rights with a third party, from the next request on; replaces what was shared."""
    document = _rights(rights, withhold, rows, drop_free_text=drop_free_text) | {
        "validFrom": str(valid_from.date()) if valid_from else None,
        "validUntil": str(valid_until.date()) if valid_until else None,
        "termsOfUse": str(terms),
        "purpose": purpose,
        "allowedAddresses": allow_address or [],
        "reason": reason,
    }
    decision = read_decision(document)
    with open_hub(home) as hub, progress.status("Making what is shared ready …"):
        now = authorize(
            *(hub.ledger, hub.serving),
            office=office,
            third_party=third_party,
            decision=decision,
            clock=lambda: datetime.now(UTC),
            by=by,
        )
    emit(now.document(), lambda out: _say(out, now), format)


@app.command()
def preview(
    office: OfficeOption,
    third_party: ThirdPartyOption,
    rights: RightsOption,
    home: HomeOption = Path("hub"),
    withhold: WithholdOption = None,
    rows: RowsOption = None,
    drop_free_text: DropFreeTextOption = False,
    choose: Annotated[Choice, typer.Option(help="Which records to show.")] = Choice.FIRST,
    limit: Annotated[int, typer.Option(help="How many.", min=0, max=MAX_RECORDS)] = 3,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show what a third party would get under such an authorization; nothing is saved."""
    decision = read_decision(_rights(rights, withhold, rows, drop_free_text=drop_free_text))
    with open_hub(home) as hub:
        saved = hub.ledger.authorizations.show(office, third_party)
        wish = Wish(choose=choose, limit=limit)
        now = datetime.now(UTC)
        made = preview_of(hub.serving, office, saved, decision, wish, at=now)

    def text(out: Console) -> None:
        for right in made["rights"]:
            now, then = right["records"]["now"], right["records"]["then"]
            out.out(f"{right['right']}: {then:,} records, {now:,} now")
            for element in right.get("withheldElements", ()):
                out.out(f"  without {element['element']} ({element['because']})")
            if names := [element["element"] for element in right.get("mayNamePersons", ())]:
                out.out(f"  may name persons: {', '.join(names)}")
            for item in right["items"]:
                out.out(item["content"])
        out.out(f"{made['retractions']:,} records would be retracted")

    emit(made, text, format)


def _rights(
    rights: str, withhold: list[str] | None, rows: list[str] | None, *, drop_free_text: bool
) -> dict[str, Any]:
    """Return the written form of what is shared as a document."""
    withheld = parse_withheld(rights, withhold or ())
    rules = parse_rows(withheld, rows or ())
    return {
        "rights": [
            {
                "right": str(right),
                "withheld": [str(name) for name in classes],
                "rows": rules[right],
                "freeText": not drop_free_text,
            }
            for right, classes in withheld.items()
        ]
    }


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
    reason: ReasonOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Share nothing any more, from the next request on."""
    with open_hub(home) as hub:
        now = hub.ledger.authorizations.revoke(
            office, third_party, at=datetime.now(UTC), by=by, reason=reason
        )
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
    say_what_is_shared(out, authorization.document())
    why = f": {authorization.decision.reason}" if authorization.decision.reason else ""
    out.out(f"  decided by {authorization.setBy}, {authorization.setAt:%Y-%m-%d %H:%M} UTC{why}")


def say_what_is_shared(out: Console, said: Mapping[str, Any]) -> None:
    """Say what an authorization opens, from its JSON form, with every condition it has."""
    first = f" from {said['validFrom']}" if said["validFrom"] else ""
    until = f" until {said['validUntil']}" if said["validUntil"] else ""
    out.out(f"{said['office']} → {said['thirdParty']}, version {said['version']}{first}{until}")
    for right in said["rights"]:
        closed = [*right["withheld"], *(() if right["freeText"] else ("free text",))]
        out.out(f"  {right['right']}: everything{' but ' + ', '.join(closed) if closed else ''}")
        for name, value in right["rows"].items():
            # As `--rows` takes it, so that it can be said again.
            words = "+".join(value) if isinstance(value, list) else value
            out.out(f"    only records with {name}{'' if value is True else f'={words}'}")
    if said["revoked"]:
        out.out("  nothing: revoked")
    else:
        out.out(f"  terms of use: {said['termsOfUse']}")
    if said["allowedAddresses"]:
        out.out(f"  from {', '.join(said['allowedAddresses'])} only")
    if said["purpose"]:
        out.out(f"  purpose: {said['purpose']}")
