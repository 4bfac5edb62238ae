"""A hub's stores, opened together: what every entry point starts from.

The home directory holds everything of the embedded default: ledger, landing, register,
serving store, findings, keys and Dagster's own files.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from stat import S_IMODE
from typing import TYPE_CHECKING

from connectors.alone import in_turn
from connectors.gate import Gate
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

PEPPER_BYTES = 32

_DIRECTORIES = ("landing", "register", "staging", "findings", "holds", "dagster", "counting")

UNUSABLE = re.compile(r"[*?\[\]\\]|%[0-9A-Fa-f]{2}")
"""What a path may not have: DuckDB takes the first for a pattern, SQLAlchemy and Delta the rest
for parts of a URL, and would read or write somewhere else."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths in a hub's home directory."""

    root: Path

    @property
    def ledger(self) -> Path:
        """Return the ledger's database file."""
        return self.root / "ledger.sqlite"

    @property
    def serving(self) -> Path:
        """Return the serving store's database file."""
        return self.root / "serving.sqlite"

    @property
    def exports(self) -> Path:
        """Return the directory of prepared files."""
        return self.root / "exports"

    @property
    def keys(self) -> Path:
        """Return the directory of the hub's own secrets, readable by its user alone."""
        return self.root / "keys"

    @property
    def dagster(self) -> Path:
        """Return Dagster's home."""
        return self.root / "dagster"

    @property
    def signing_keys(self) -> Path:
        """Return the directory of the keys the hub signs with."""
        return self.keys / "signing"

    @property
    def counting(self) -> Path:
        """Return the directory of what the API's workers count together."""
        return self.root / "counting"

    @property
    def receipts(self) -> Path:
        """Return where it is kept who read what."""
        return self.root / "receipts"

    def staging(self, delivery_id: str) -> Path:
        """Return where one delivery is worked on."""
        return self.root / "staging" / delivery_id

    def findings(self, delivery_id: str) -> Path:
        """Return the findings of one delivery."""
        return self.root / "findings" / f"{delivery_id}.parquet"

    def missing(self, delivery_id: str) -> Path:
        """Return the list of records that would disappear with a held delivery."""
        return self.root / "holds" / f"{delivery_id}.parquet"

    def has_received(self) -> bool:
        """Tell whether anything was ever delivered here."""
        return any(self.root.glob("landing/[0-9a-f][0-9a-f]"))

    def create(self) -> None:
        """Make the directories and the hub's secrets; what is there stays.

        Raises:
            ConfigurationError: nothing can be kept under such a path.
        """
        if unusable := UNUSABLE.search(str(self.root.resolve())):
            raise ConfigurationError(
                f"{self.root.resolve()} cannot be a hub's home: its path has “{unusable[0]}”. "
                "Choose another one, or another name for that folder."
            )
        if not self.root.exists():
            self.root.mkdir(mode=0o700, parents=True)
        elif not self.root.is_dir():
            raise ConfigurationError(f"{self.root} is no folder: name one for the hub.")
        elif not self._pepper.exists() and not _has_others_things(self.root):
            _keep_from_others(self.root, 0o750)
        for name in _DIRECTORIES:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.keys.mkdir(mode=0o700, exist_ok=True)
        if not self._pepper.exists():
            _keep_from_others(self.keys, 0o700)
        with in_turn(self.root, "pepper"):  # what one has hashed another must not make worthless
            if not self._pepper.exists():
                self._make_pepper()

    def pepper(self) -> bytes:
        """Return the key under which client secrets are hashed.

        Raises:
            ConfigurationError: there is no hub here, or its key is damaged.
        """
        try:
            pepper = self._pepper.read_bytes()
        except FileNotFoundError:
            raise ConfigurationError(
                f"There is no hub in {self.root}. Create one: iphub init --home {self.root}"
            ) from None
        if len(pepper) < PEPPER_BYTES:  # cursors and notifications sealed with it could be forged
            raise ConfigurationError(
                f"{self._pepper} is damaged: restore a backup. Where the hub is new, remove the "
                f"file and create the hub again: iphub init --home {self.root}"
            )
        return pepper

    @property
    def _pepper(self) -> Path:
        return self.keys / "pepper"

    def _make_pepper(self) -> None:
        """Write the key wholly or not at all: half a key would be known to everybody."""
        beside = self.keys / f".pepper.{secrets.token_hex(4)}"
        beside.touch(mode=0o600)
        with beside.open("wb") as file:
            file.write(secrets.token_bytes(PEPPER_BYTES))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._pepper)


def _has_others_things(root: Path) -> bool:
    """Tell whether a folder was there for something else, as ``/`` is."""
    own = {*_DIRECTORIES, "keys", "lost+found"}
    return any(path.name not in own and path.name[0] != "." for path in root.iterdir())


def _keep_from_others(directory: Path, most: int) -> None:
    """Take from others what they may do in a directory that was made beforehand.

    What the group of a home may read stays: whoever sends prepared files may be in it.
    """
    with suppress(PermissionError):  # a mounted volume of somebody else, who decides about it
        directory.chmod(S_IMODE(directory.stat().st_mode) & most)


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
        """
        home = Home(settings.home.resolve())
        pepper = home.pepper()
        ledger = Ledger.open(
            ledger_url(settings),
            pepper=pepper,
            environment=settings.environment,
            begun=home.has_received(),
            home=home.root,
        )
        return cls(
            settings=settings,
            home=home,
            ledger=ledger,
            landing=Landing(home.root / "landing"),
            serving=ServingStore(home.serving),
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
