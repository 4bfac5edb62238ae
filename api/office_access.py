"""Who may use an office's routes: its own clients, and coordinators for counts.

Every route below ``/v1/offices/{office}/`` that is not redistribution asks here first.
Whoever has no business at an office gets the bytes of an office that does not exist; who
belongs there and may not do this one thing is told so.
"""

from starlette.requests import Request
from starlette.responses import Response

from api.auth import authenticate
from api.problems import refuse
from api.service import Service
from connectors.ledger import Access
from ipregister.profiles import offices
from ipregister.roles import HUB_ROLES, Act


def office_access(
    request: Request, service: Service, office: str, *, may: Act, or_may: Act | None = None
) -> Access | Response:
    """Return the caller that may do this at ``office`` now, or the refusal to send it.

    Args:
        request: what was sent.
        service: whose clients there are.
        office: what stands where the path has an ST.3 code.
        may: what the caller must be allowed to do.
        or_may: or this; the route then gives it what it is allowed.
    """
    access = authenticate(request, service)
    if isinstance(access, Response):
        return access
    if not belongs(access, office):
        return refuse(request, "not_found")
    if not access.may_do(may) and not (or_may is not None and access.may_do(or_may)):
        return refuse(request, "forbidden")
    return access


def belongs(access: Access, office: str) -> bool:
    """Tell whether a caller has any business at this office."""
    if access.role in HUB_ROLES:
        return office in offices()
    return access.office is not None and access.office == office
