"""Roles: who may do what, and whose clients have which role."""

import pytest

from ipregister.errors import InvalidRequest
from ipregister.roles import HUB_ROLES, MAY, OFFICE_ROLES, Act, Role, check_role


def test_every_role_is_said_to_be_of_someone_and_to_do_something() -> None:
    assert MAY.keys() == set(Role) == OFFICE_ROLES | HUB_ROLES | {Role.THIRD_PARTY}
    assert not OFFICE_ROLES & HUB_ROLES
    assert MAY[Role.THIRD_PARTY] == frozenset()
    assert {act for acts in MAY.values() for act in acts} == set(Act)


def test_who_sees_all_offices_sees_nothing_but_counts() -> None:
    for role in HUB_ROLES:
        assert MAY[role] <= {Act.READ_COUNTS, Act.OPERATE}


def test_nobody_both_changes_data_and_decides_who_gets_it() -> None:
    for acts in MAY.values():
        assert not {Act.PUSH, Act.ADMINISTER_AUTHORIZATIONS} <= acts


@pytest.mark.parametrize(
    ("asked", "owners", "given"),
    [
        (None, {"third_party": "Ann"}, Role.THIRD_PARTY),
        (None, {"office": "KH"}, Role.OFFICE_DATA_MANAGER),
        *((role, {"office": "KH"}, role) for role in sorted(OFFICE_ROLES)),
        *((role, {}, role) for role in sorted(HUB_ROLES)),
    ],
)
def test_a_role_fits_its_owner(asked: Role | None, owners: dict[str, str], given: Role) -> None:
    none = {"third_party": None, "office": None}
    assert check_role(asked, **{**none, **owners}) is given  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "owners", "advice"),
    [
        (None, {}, "name the role: coordinator or operator"),
        (None, {"third_party": "Ann", "office": "KH"}, "not to both"),
        (Role.THIRD_PARTY, {}, "third parties have the role"),
        (Role.THIRD_PARTY, {"office": "KH"}, "third parties have the role"),
        *((role, {}, "name the office") for role in sorted(OFFICE_ROLES)),
        *((role, {"third_party": "Ann"}, "name the office") for role in sorted(OFFICE_ROLES)),
        *((role, {"office": "KH"}, "leave out office") for role in sorted(HUB_ROLES)),
        *((role, {"third_party": "Ann"}, "leave out office") for role in sorted(HUB_ROLES)),
    ],
)
def test_a_role_that_does_not_fit_is_refused_with_advice(
    asked: Role | None, owners: dict[str, str], advice: str
) -> None:
    none = {"third_party": None, "office": None}
    with pytest.raises(InvalidRequest, match=advice):
        check_role(asked, **{**none, **owners})  # type: ignore[arg-type]
