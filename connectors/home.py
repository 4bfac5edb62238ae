"""A hub's home directory: where each thing lies, and the secrets made with it.

The directory holds everything of the embedded default. Opening the stores in it is ``hub``.
"""

import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE

from connectors.alone import in_turn
from ipregister.errors import ConfigurationError

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
        for name in _DIRECTORIES:  # who may pass through the home, to prepared files, reads no more
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
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
