"""Roles: what kind of caller a client is, and what each kind may do.

A third party's client reads what offices authorize, and nothing here adds to that. The
others speak for an office, for the coordination of all offices, or for the operation of the
hub. Which office a client belongs to and how it proves itself is the ledger's.
"""

from enum import StrEnum

from ipregister.errors import InvalidRequest


class Role(StrEnum):
    """What a client is to the hub."""

    THIRD_PARTY = "third_party"
    OFFICE_VIEWER = "office_viewer"
    OFFICE_DATA_MANAGER = "office_data_manager"
    OFFICE_AUTHORIZER = "office_authorizer"
    COORDINATOR = "coordinator"
    OPERATOR = "operator"


class Act(StrEnum):
    """Something a role may do; the word is also the scope that narrows a token to it."""

    READ_DELIVERIES = "deliveries:read"
    DECIDE_DELIVERIES = "deliveries:decide"
    PUSH = "packages:write"
    READ_REPORTS = "reports:read"
    READ_COUNTS = "counts:read"
    READ_RECEIPTS = "receipts:read"
    READ_AUTHORIZATIONS = "authorizations:read"
    ADMINISTER_AUTHORIZATIONS = "authorizations:write"
    OPERATE = "hub:operate"


OFFICE_ROLES = frozenset({Role.OFFICE_VIEWER, Role.OFFICE_DATA_MANAGER, Role.OFFICE_AUTHORIZER})
"""Roles that belong to one office and see that office alone."""

HUB_ROLES = frozenset({Role.COORDINATOR, Role.OPERATOR})
"""Roles of the exchange as a whole: they belong to no office."""

_VIEWER = frozenset(
    {
        *(Act.READ_DELIVERIES, Act.READ_REPORTS, Act.READ_COUNTS, Act.READ_RECEIPTS),
        Act.READ_AUTHORIZATIONS,
    }
)

MAY: dict[Role, frozenset[Act]] = {
    Role.THIRD_PARTY: frozenset(),
    Role.OFFICE_VIEWER: _VIEWER,
    Role.OFFICE_DATA_MANAGER: _VIEWER | {Act.DECIDE_DELIVERIES, Act.PUSH},
    # Who decides about redistribution need not be able to change the data, and the reverse.
    Role.OFFICE_AUTHORIZER: _VIEWER | {Act.ADMINISTER_AUTHORIZATIONS},
    # Counts and rates of all offices; no record, no finding, no secret.
    Role.COORDINATOR: frozenset({Act.READ_COUNTS}),
    Role.OPERATOR: frozenset({Act.READ_COUNTS, Act.OPERATE}),
}
"""What each role may do; what is not here it may not."""


def check_role(role: Role | None, *, third_party: str | None, office: str | None) -> Role:
    """Return the role of a client with these owners; the usual one when none is asked for.

    Raises:
        InvalidRequest: the role and the owners do not fit.
    """
    if third_party is not None and office is not None:
        raise InvalidRequest("a client belongs to one third party or to one office, not to both")
    if role is None:
        if third_party is None and office is None:
            raise InvalidRequest(
                "a client belongs to one third party or to one office; without either, name the "
                f"role: {' or '.join(sorted(HUB_ROLES))}"
            )
        return Role.THIRD_PARTY if office is None else Role.OFFICE_DATA_MANAGER
    if role in OFFICE_ROLES and office is None:
        raise InvalidRequest(f"{role} is a role at an office: name the office")
    if role in HUB_ROLES and (office, third_party) != (None, None):
        raise InvalidRequest(f"{role} is a role for all offices: leave out office and third party")
    if (role is Role.THIRD_PARTY) != (third_party is not None):
        raise InvalidRequest("third parties have the role third_party, and nobody else has it")
    return role
