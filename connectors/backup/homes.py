"""Backing up a home while it is at work, and restoring one into an empty directory."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from errno import EBUSY
from pathlib import Path
from tempfile import mkdtemp

from connectors.arriving import is_still, locked
from connectors.backup import archive
from connectors.backup.archive import Contents
from connectors.backup.cut import LEDGER, cut
from connectors.faults import reach
from connectors.home import Home
from connectors.hub import Hub
from connectors.ledger.copying import copy_into
from connectors.ledger.environments import check_copy
from connectors.rebuilding import rebuild_serving
from connectors.register.store import RegisterStore
from connectors.serving.gaps import leave_gap
from connectors.serving.schema import connect
from connectors.settings import Settings
from ipregister.errors import ConfigurationError, InvalidRequest


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was written or restored, and where it is."""

    path: Path
    contents: Contents


def back_up(hub: Hub, output: Path, *, at: datetime) -> Backup:
    """Write one file with everything a hub needs to be restored.

    What killed backups left where it is written is removed.

    Args:
        hub: the open stores; collecting, processing and serving go on.
        output: the file, or a directory to make one in.
        at: the instant, which names the backup.

    Raises:
        InvalidRequest: there is such a file already, or it would be in the home.
    """
    target = output / f"iphub-{at:%Y%m%dT%H%M%SZ}.tar" if output.is_dir() else output
    if target.resolve().is_relative_to(hub.home.root):
        raise InvalidRequest(
            f"{target} would be in the home that is backed up, and each backup would hold all "
            "before it: write it outside."
        )
    if target.exists():
        raise InvalidRequest(f"{target} is there already; a backup overwrites nothing.")
    target.parent.mkdir(parents=True, exist_ok=True)
    archive.remove_unfinished(target.parent)
    with cut(hub) as entries:
        return Backup(target, archive.write(target, entries, at.isoformat()))


def restore(backup: Path, settings: Settings, *, at: datetime) -> Backup:
    """Make a home from a backup, whole or not at all; a killed attempt may be repeated.

    A ledger is restored to ``settings.ledger_url`` when one is set, which must be empty.
    Places in the feed that readers got after the backup are answered with a resync.

    Raises:
        InvalidRequest: the home is not empty, or a mounted file system.
        ConfigurationError: that ledger is not empty; a killed attempt may have filled it. Or
            the backup is another environment's.
        UnreadableBackup: the backup is damaged.
    """
    home = settings.home.resolve()
    _make_way(home)
    home.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(home) as scratch:
        reach("restore.begun")
        contents = archive.extract(backup, scratch)
        for path in scratch.glob("*/"):  # who may pass through the home reads nothing in it
            path.chmod(0o700)
        for path in scratch.glob("landing/*/*"):
            path.chmod(0o440)
        check_copy(scratch / LEDGER, settings.environment)
        reach("restore.extracted")
        Home(scratch).create()  # the directories that held nothing
        _prepare_serving(Home(scratch), settings, at)
        reach("restore.prepared")
        if settings.ledger_url:
            copy_into(scratch / LEDGER, settings.ledger_url)
            reach("restore.ledger")
            (scratch / LEDGER).unlink()
        scratch.replace(home)
        reach("restore.named")
    return Backup(backup, contents)


def _make_way(home: Path) -> None:
    """Remove an empty home, which the restored one takes the place of.

    Where it cannot, that is told before a ledger elsewhere is filled.
    """
    if not home.exists():
        return
    if any(home.iterdir()):
        raise InvalidRequest(f"{home} is not empty: restore into a new directory.")
    try:
        home.rmdir()
    except OSError as exc:
        if exc.errno != EBUSY:
            raise
        raise InvalidRequest(
            f"{home} is a mounted file system, which no directory can take the place of: "
            "restore into a new directory in it."
        ) from exc


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """Lend a new directory beside a home; gone afterwards, as are those of killed restores."""
    beside = f".{home.name}.restoring-"
    for left in home.parent.iterdir():
        if left.name.startswith(beside):
            _remove_left(left)
    scratch = Path(mkdtemp(prefix=beside, dir=home.parent))  # mode 0700
    descriptor = os.open(scratch, os.O_RDONLY)
    try:
        if not locked(descriptor) or not is_still(scratch, descriptor):
            raise InvalidRequest(f"{home} is being restored by another process.")
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(descriptor)


def _remove_left(directory: Path) -> None:
    """Remove what a killed restore left; a living one holds its lock."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        if locked(descriptor):
            shutil.rmtree(directory, ignore_errors=True)
        os.close(descriptor)


def _prepare_serving(home: Home, settings: Settings, at: datetime) -> None:
    """Let readers' places from after the backup be unknown; rebuild a store of another layout."""
    try:
        with closing(connect(home.serving, writer=True)) as connection:
            leave_gap(connection, at)
    except ConfigurationError:
        register = RegisterStore(home.root / "register", memory_limit=settings.memory_limit)
        home.serving.unlink()
        rebuild_serving(register, home.serving, at=at)
