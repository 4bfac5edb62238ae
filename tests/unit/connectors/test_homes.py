"""A hub's home: its own secret is there wholly or not at all."""

import errno
from pathlib import Path

import pytest

import connectors.home
from connectors.home import PEPPER_BYTES, Home
from connectors.hub import Hub
from connectors.settings import Settings
from ipregister.errors import ConfigurationError


def test_creation_that_was_stopped_leaves_no_part_of_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "hub")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(connectors.home.os, "fsync", full)
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            home.create()
    with pytest.raises(ConfigurationError, match="There is no hub"):
        home.pepper()
    home.create()
    first = home.pepper()
    assert len(first) == PEPPER_BYTES
    home.create()
    assert home.pepper() == first
    assert (home.keys / "pepper").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("before", "after"), [(0o777, 0o750), (0o755, 0o750), (0o700, 0o700)])
def test_a_home_made_beforehand_is_kept_from_others(
    tmp_path: Path, before: int, after: int
) -> None:
    home = Home(tmp_path / "hub")
    for directory in (home.root, home.keys):
        directory.mkdir()
        directory.chmod(before)
    home.create()
    modes = [directory.stat().st_mode & 0o777 for directory in (home.root, home.keys)]
    assert modes == [after, 0o700]
    home.root.chmod(0o755)
    home.create()
    assert home.root.stat().st_mode & 0o777 == 0o755, "what was decided later stays"


@pytest.mark.parametrize("things", ["lost+found", "landing", ".env"])
def test_what_belongs_into_a_home_does_not_leave_it_open(tmp_path: Path, things: str) -> None:
    home = Home(tmp_path / "hub")
    (home.root / things).mkdir(parents=True)
    home.root.chmod(0o755)
    home.create()
    assert home.root.stat().st_mode & 0o777 == 0o750


def test_who_may_pass_through_a_home_reads_nothing_in_it(tmp_path: Path) -> None:
    """As nginx's user, on its way to the prepared files."""
    hub = Hub.create(Settings(home=tmp_path / "hub"))
    hub.close()
    hub.exports().store.create()
    hub.home.root.chmod(0o711)
    open_to_others = [path for path in hub.home.root.iterdir() if path.stat().st_mode & 0o077]
    assert open_to_others == []


def test_nothing_is_taken_from_others_in_a_folder_with_their_things(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "letters").mkdir()
    Home(tmp_path).create()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert Home(tmp_path).keys.stat().st_mode & 0o777 == 0o700


def test_a_file_is_no_home_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "hub"
    file.touch()
    file.chmod(0o666)
    with pytest.raises(ConfigurationError, match="is no folder: name one for the hub"):
        Home(file).create()
    assert file.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("left", [b"", b"half of the key"])
def test_a_key_that_is_damaged_is_refused(tmp_path: Path, left: bytes) -> None:
    """With an empty one, anybody could make cursors and sign notifications."""
    home = Home(tmp_path / "hub")
    home.create()
    (home.keys / "pepper").write_bytes(left)
    with pytest.raises(ConfigurationError, match="is damaged: restore a backup"):
        home.pepper()


@pytest.mark.parametrize("folder", ["what?", "a*", "a[1]", "a\\b", "a%20b"])
def test_a_path_that_would_be_read_as_another_one_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be a hub's home"):
        Home(tmp_path / folder / "hub").create()
    assert list(tmp_path.iterdir()) == []
