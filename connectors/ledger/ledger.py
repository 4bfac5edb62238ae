"""The ledger as callers see it: one object with a part per noun."""

from datetime import datetime
from pathlib import Path
from typing import Self

from connectors.ledger.access import Access, AccessReader
from connectors.ledger.audit import Audit, BrokenRow
from connectors.ledger.authorizations import Authorizations
from connectors.ledger.clients import Clients
from connectors.ledger.contacts import Contacts
from connectors.ledger.deliveries import Deliveries
from connectors.ledger.engine import Database
from connectors.ledger.environments import PRODUCTION, claim, claim_home
from connectors.ledger.idempotency import Repeats
from connectors.ledger.leases import Leases
from connectors.ledger.observations import Observations
from connectors.ledger.proofs import Proofs
from connectors.ledger.publications import Publications
from connectors.ledger.purges import Purges
from connectors.ledger.reversals import Reversals
from connectors.ledger.tokens import KEEP_TOKENS, Tokens
from connectors.ledger.turns import Turns
from connectors.ledger.uploads import Uploads
from connectors.ledger.webhooks import Webhooks


class Ledger:
    """The transactional store of deliveries, clients, authorizations and their history.

    Every instant is passed in (UTC), every write names its actor and is in the audit chain.
    Safe to share between threads; each process opens its own.
    """

    def __init__(self, url: str, *, pepper: bytes | None = None) -> None:
        """Prepare the parts; use ``open``, which also migrates."""
        self._database = Database(url)
        self.deliveries = Deliveries(self._database)
        self.leases = Leases(self._database)
        self.publications = Publications(self._database)
        self.purges = Purges(self._database)
        self.reversals = Reversals(self._database)
        self.observations = Observations(self._database)
        self.contacts = Contacts(self._database)
        self.clients = Clients(self._database, pepper)
        self.authorizations = Authorizations(self._database)
        self.tokens = Tokens(self._database)
        self.uploads = Uploads(self._database)
        self.repeats = Repeats(self._database)
        self.proofs = Proofs(self._database)
        self.webhooks = Webhooks(self._database, pepper)
        self.audit = Audit(self._database)
        self.turns = Turns(self._database)
        self._reader = AccessReader(self._database.reading, self._database.commits)

    @classmethod
    def open(
        cls,
        url: str,
        *,
        pepper: bytes | None = None,
        environment: str = PRODUCTION,
        begun: bool = False,
        home: Path | None = None,
    ) -> Self:
        """Open the ledger and bring it to the newest migration; idempotent.

        Args:
            url: ``sqlite:////home/ledger.sqlite`` or ``postgresql+psycopg://…``.
            pepper: the hub's key for client secrets; only who adds or verifies secrets needs it.
            environment: which one this is; a ledger belongs to the one that opened it first.
            begun: the hub has worked, so a ledger in which nothing was written is not its.
            home: the hub's directory, which belongs to the same environment.

        Raises:
            ConfigurationError: the URL is not one of these, a newer program was here, the
                ledger or the home belongs to another environment, or the ledger is new and
                must not be.
            StoreError: the database does not answer.
        """
        ledger = cls(url, pepper=pepper)
        try:
            ledger._database.migrate()
            claim(ledger._database, environment, begun=begun)
            if home is not None:
                claim_home(home, environment)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def access(self, token_hash: bytes, at: datetime, address: str | None = None) -> Access | None:
        """Return what the token with this SHA-256 opens now, ``None`` for nothing at all.

        A caller whose ``address`` is not known is outside every list of allowed addresses.
        Sees what any process of the hub committed before the call; made for every request.
        """
        return self._reader.access(token_hash, at, address)

    def still(self, token_hash: bytes, at: datetime, address: str | None) -> Access | None:
        """Return the same for a transfer that has begun: that its token expires does not end it."""
        return self._reader.access(token_hash, at, address, KEEP_TOKENS)

    def verify(self) -> BrokenRow | None:
        """Return the first row of the audit chain that does not hold, or ``None``."""
        return self.audit.verify()

    def watch(self, *files: Path) -> None:
        """Let every use fail once the ledger's file, or one of these, is no longer the open one.

        For a program that runs for months: it would go on with what was moved away or restored.
        """
        self._database.watch(*files)

    def close(self) -> None:
        """Close every connection."""
        self.proofs.close()
        self.turns.close()
        self._database.close()
