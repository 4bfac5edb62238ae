"""What every route needs: the stores, the cursors, the address of this hub, the time.

Made once by the entry point and kept in the application's state. No route opens a store.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from starlette.requests import Request

from api.limits import Limits
from api.streams import Slots
from connectors.cursors import Cursors
from connectors.exports.preparing import Exports
from connectors.hub import Hub
from connectors.ledger import Ledger
from connectors.ledger.environments import PRODUCTION
from connectors.networks import Networks
from connectors.receipts.journal import Journal
from connectors.serving_store import ServingStore
from connectors.signing_keys import SigningKeys
from ipregister.errors import ConfigurationError

TOKEN_SECONDS = 600
"""Ten minutes, as api-conventions ask; a look-up per request makes revocation immediate."""


def utc_now() -> datetime:
    """Return the present instant; the only place where the API reads the clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Service:
    """The surroundings of the API; ``public_url`` has no trailing slash and is the issuer.

    Without ``limits`` nobody is counted, without ``keys`` nothing is signed; ``proxies`` are
    whose word about a caller's address is taken, and ``counting`` is where the workers of a
    host count together what they answer. ``calling`` are the clients for whom an address outside
    is just being looked up or called.
    """

    ledger: Ledger
    serving: ServingStore
    cursors: Cursors
    public_url: str
    clock: Callable[[], datetime] = field(default=utc_now)
    token_seconds: int = TOKEN_SECONDS
    limits: Limits | None = None
    keys: SigningKeys | None = None
    environment: str = PRODUCTION
    counting: Path | None = None
    proxies: Networks = ()
    streams: Slots = field(default_factory=Slots)
    exports: Exports | None = None
    accel_prefix: str | None = None
    hub: Hub | None = None
    notify_inside: Networks = ()
    calling: set[str] = field(default_factory=set)
    # Keyword-only and without a default: nobody may forget that reads leave receipts.
    receipts: Journal = field(kw_only=True)

    def files(self) -> Hub:
        """Return the hub whose files (landing, findings, register) offices' routes work on.

        Raises:
            ConfigurationError: this API was opened without one.
        """
        if self.hub is None:
            raise ConfigurationError("this API was opened without the hub's files")
        return self.hub


def service_of(request: Request) -> Service:
    """Return the service of the application that handles ``request``."""
    service: Service = request.scope["app"].state.service
    return service
