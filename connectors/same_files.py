"""Whether the files a program has open are still the ones of these names.

A database goes on with the file it opened, also when that was moved away, or removed, and another
one was put in its place: what is decided there from then on would never be seen.
"""

from pathlib import Path
from time import monotonic

from ipregister.errors import StoreError

LOOK_SECONDS = 0.1
"""How long an answer may still come from files that are gone; looking takes two microseconds."""


class SameFiles:
    """Files that must stay where they are; none until one is watched."""

    def __init__(self) -> None:
        """Watch nothing."""
        self._files: dict[Path, tuple[int, int] | None] = {}
        self._next = 0.0

    def watch(self, path: Path) -> None:
        """Watch a file that is open, by the name it is known by."""
        self._files[path] = _identity(path)

    def check(self) -> None:
        """Look again, if that was not done a moment ago.

        Raises:
            StoreError: another file has one of the names, or none has.
        """
        if not self._files or (now := monotonic()) < self._next:
            return
        for path, opened in self._files.items():
            if _identity(path) != opened:
                raise StoreError(
                    f"{path} is not the file any more that this program has open: it was moved, "
                    "removed or restored. Start the program again."
                )
        self._next = now + LOOK_SECONDS


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
