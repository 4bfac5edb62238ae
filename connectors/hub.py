"""A hub's stores, opened together: what every entry point starts from.

Where each lies, and the hub's own secrets, is ``home``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from connectors.alone import in_turn
from connectors.gate import Gate
from connectors.home import Home
from connectors.landing import Landing
from connectors.ledger import Ledger
from connectors.serving_store import ServingStore
from connectors.settings import Settings
from ipregister.errors import ConfigurationError, StoreError
from ipregister.model import Right

# Loaded where they are used: DuckDB, Arrow, Delta and cryptography cost most commands more time
# than all they do.
if TYPE_CHECKING:
    from connectors.exports.preparing import Exports
    from connectors.register.store import RegisterStore
    from connectors.signing_keys import SigningKeys


@dataclass(frozen=True)
class Hub:
    """The open stores of one hub."""

    settings: Settings
    home: Home
    ledger: Ledger
    landing: Landing
    serving: ServingStore
    gate: Gate

    @classmethod
    def create(cls, settings: Settings) -> "Hub":
        """Create the hub where it is missing, and open it."""
        Home(settings.home).create()
        hub = cls.open(settings)
        hub.signing_keys().current(datetime.now(UTC))
        return hub

    @classmethod
    def open(cls, settings: Settings) -> "Hub":
        """Open an existing hub.

        Raises:
            ConfigurationError: there is none at ``settings.home``.
            StoreError: a store of it does not answer, or is lost.
        """
        home = Home(settings.home.resolve())
        pepper, begun = home.pepper(), home.has_received()
        ledger = Ledger.open(
            ledger_url(settings),
            pepper=pepper,
            environment=settings.environment,
            begun=begun,
            home=home.root,
        )
        return cls(
            settings=settings,
            home=home,
            ledger=ledger,
            landing=Landing(home.root / "landing"),
            serving=ServingStore(home.serving, create=not begun),
            gate=Gate(home.root, ledger.turns),
        )

    @cached_property
    def register(self) -> "RegisterStore":
        """Return the register."""
        from connectors.register.store import RegisterStore

        return RegisterStore(self.home.root / "register", memory_limit=self.settings.memory_limit)

    @contextmanager
    def alone(self, office: str, right: Right) -> Iterator[None]:
        """Be the only one who compares with the register of one office and right, and changes it.

        What is compared must still be so when it is published.
        """
        with self.in_turn(f"{office}-{right}"), self.register.remembering():
            yield

    def confirm_alone(self, office: str, right: Right, decision: Path) -> None:
        """Prove that we were ``alone`` while a decision was made and written down.

        Whoever takes our turn later finds the decision and carries it out first.

        Raises:
            StoreError: the ledger was gone meanwhile, and with it what keeps other machines away:
                there is no decision any more.
        """
        try:
            self.ledger.turns.confirm(f"{office}-{right}")
        except StoreError:
            decision.unlink(missing_ok=True)
            raise

    @contextmanager
    def in_turn(self, what: str) -> Iterator[None]:
        """Be the only one at something, on whatever machine; whoever comes later waits."""
        with in_turn(self.home.root, what), self.ledger.turns.alone(what):
            yield

    def exports(self) -> "Exports":
        """Return the files prepared for third parties."""
        from connectors.exports.preparing import Exports
        from connectors.exports.store import ExportStore

        return Exports(self.home.serving, ExportStore(self.home.exports), self.home.receipts)

    def signing_keys(self) -> "SigningKeys":
        """Return the keys the hub signs with."""
        from connectors.signing_keys import SigningKeys

        return SigningKeys(self.home.signing_keys)

    @property
    def ledger_url(self) -> str:
        """Return the address of the ledger's database."""
        return ledger_url(self.settings)

    def close(self) -> None:
        """Close what holds files open."""
        self.serving.close()
        self.ledger.close()


def ledger_url(settings: Settings) -> str:
    """Return the address of the ledger's database: the configured one, or a file in the home.

    Raises:
        ConfigurationError: none is configured, and the file of a hub that has worked is not there.
            An empty one would number deliveries and changes anew that the register has.
    """
    if settings.ledger_url:
        return settings.ledger_url
    home = Home(settings.home.resolve())
    if home.serving.exists() and not home.ledger.exists():
        raise ConfigurationError(
            f"The hub in {home.root} has no ledger there. Where it is in PostgreSQL, set "
            "IPHUB_LEDGER_URL; where it was lost, restore a backup."
        )
    return f"sqlite:///{home.ledger}"
