"""What one account of the embedded SFTP server may do: an office's drop folder, no more.

Every path is walked from the account's root component by component without following a
link (``O_NOFOLLOW``), so neither ``..`` nor a planted link leads out, even while someone
swaps folders under us. Sockets, logins and keys are ``server``.

Standard: draft-ietf-secsh-filexfer-02 (SFTP v3).
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import paramiko
from paramiko.sftp import SFTP_FAILURE, SFTP_NO_SUCH_FILE, SFTP_OK, SFTP_PERMISSION_DENIED

from ipregister.deliveries import FOLDERS, RIGHT_FOLDERS

P = ParamSpec("P")
R = TypeVar("R")

_CODES = {
    errno.ENOENT: SFTP_NO_SUCH_FILE,
    errno.ENOTDIR: SFTP_NO_SUCH_FILE,
    errno.EACCES: SFTP_PERMISSION_DENIED,
    errno.EPERM: SFTP_PERMISSION_DENIED,
    errno.ELOOP: SFTP_PERMISSION_DENIED,
    errno.EROFS: SFTP_PERMISSION_DENIED,
}

_LAID_OUT = {(right,) for right in RIGHT_FOLDERS.values()} | {
    (right, lane) for right in RIGHT_FOLDERS.values() for lane in FOLDERS.values()
}
"""Folders below an office's own that it finds there and may not move."""

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _answered(
    operation: Callable[Concatenate["Jail", P], R],
) -> Callable[Concatenate["Jail", P], R | int]:
    """Turn an operating system's error into the protocol's status code."""

    @wraps(operation)
    def answer(self: "Jail", /, *args: P.args, **kwargs: P.kwargs) -> R | int:
        try:
            return operation(self, *args, **kwargs)
        except OSError as exc:
            return _CODES.get(exc.errno or 0, SFTP_FAILURE)
        except ValueError:  # a null byte in a name
            return SFTP_NO_SUCH_FILE

    return answer


class _OpenFile(paramiko.SFTPHandle):
    """One open file of a client."""

    def __init__(self, descriptor: int, flags: int) -> None:
        super().__init__(flags)
        writes = flags & (os.O_WRONLY | os.O_RDWR)
        mode = "ab" if flags & os.O_APPEND else "r+b" if flags & os.O_RDWR else "wb"
        self._file = os.fdopen(descriptor, mode if writes else "rb")
        if not flags & os.O_WRONLY:
            self.readfile = self._file
        if writes:
            self.writefile = self._file

    def stat(self) -> paramiko.SFTPAttributes:
        """Return size, times and mode of the open file."""
        return paramiko.SFTPAttributes.from_stat(os.fstat(self._file.fileno()))

    def chattr(self, attr: paramiko.SFTPAttributes) -> int:
        """Set times and size; owner and mode are the server's."""
        _set_attributes(self._file.fileno(), attr)
        return SFTP_OK


def _set_attributes(descriptor: int, attr: paramiko.SFTPAttributes) -> None:
    if attr.st_size is not None:
        os.ftruncate(descriptor, attr.st_size)
    if attr.st_atime is not None and attr.st_mtime is not None:
        os.utime(descriptor, (attr.st_atime, attr.st_mtime))


def _seen(entry: "os.DirEntry[str]") -> paramiko.SFTPAttributes:
    seen = paramiko.SFTPAttributes.from_stat(entry.stat(follow_symlinks=False))
    name = os.fsencode(entry.name)
    try:
        seen.filename = name.decode("utf-8")
    except UnicodeDecodeError:
        seen.filename = name  # type: ignore[assignment]  # the wire takes any bytes
    return seen


class Jail(paramiko.SFTPServerInterface):
    """The file operations of one session, inside one account's folders.

    Args:
        server: the session's login.
        root: the folder that holds the ``ipob_xx`` folders.
        folders: the only names the account sees in ``root``; ``None`` for all.
        writable: whether it may upload, rename and delete.
    """

    def __init__(
        self,
        server: paramiko.ServerInterface,
        root: Path,
        folders: frozenset[str] | None,
        writable: bool,
    ) -> None:
        super().__init__(server)
        self._root = root
        self._folders = folders
        self._writable = writable
        self._home = f"/{next(iter(folders))}" if folders and len(folders) == 1 else "/"

    def canonicalize(self, path: str) -> str:
        """Return an absolute path; relative ones begin in the account's own folder."""
        return os.path.normpath("/" + os.path.join(self._home, path).lstrip("/"))  # noqa: PTH118 the client's path, not ours

    @contextmanager
    def _place(self, path: str, *, write: bool = False) -> Iterator[tuple[int, str]]:
        """Yield the descriptor of the folder that holds ``path``, and the last name."""
        if write and not self._writable:
            raise PermissionError(errno.EACCES, "read-only account")
        parts = [part for part in self.canonicalize(path).split("/") if part]
        if self._folders is not None and parts and parts[0] not in self._folders:
            raise FileNotFoundError(errno.ENOENT, "not this account's folder")
        if write and len(parts) < 2:
            raise PermissionError(errno.EACCES, "the account's own folder stays")
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in parts[:-1]:
                below = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder, parts[-1] if parts else "."
        finally:
            os.close(folder)

    def _refuse_laid_out(self, path: str) -> None:
        """Keep the folders of rights and lanes: without them the office's next upload fails."""
        parts = [part for part in self.canonicalize(path).split("/") if part]
        if tuple(parts[1:]) in _LAID_OUT:
            raise PermissionError(errno.EACCES, "the folders of rights and lanes stay")

    @_answered
    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes]:
        """List a folder; at the top an account sees its own folder only."""
        only = self._folders if self.canonicalize(path) == "/" else None
        with self._place(path) as (folder, name):
            descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            try:
                with os.scandir(descriptor) as entries:
                    return [_seen(entry) for entry in entries if not only or entry.name in only]
            finally:
                os.close(descriptor)

    @_answered
    def lstat(self, path: str) -> paramiko.SFTPAttributes:
        """Return the attributes of a file, folder or link."""
        with self._place(path) as (folder, name):
            seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
        return paramiko.SFTPAttributes.from_stat(seen)

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        """Return the attributes of a file or folder; links are not followed here either."""
        return self.lstat(path)

    @_answered
    def open(
        self, path: str, flags: int, attr: paramiko.SFTPAttributes
    ) -> paramiko.SFTPHandle | int:
        """Open a regular file."""
        del attr
        write = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        with self._place(path, write=write) as (folder, name):
            safe = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(name, flags | safe, 0o644, dir_fd=folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return SFTP_PERMISSION_DENIED
        return _OpenFile(descriptor, flags)

    @_answered
    def remove(self, path: str) -> int:
        """Delete a file."""
        with self._place(path, write=True) as (folder, name):
            os.unlink(name, dir_fd=folder)
        return SFTP_OK

    @_answered
    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename a file where the new name is free (SFTP v3)."""
        if isinstance(self.lstat(newpath), paramiko.SFTPAttributes):
            return SFTP_FAILURE
        return self._rename(oldpath, newpath)

    @_answered
    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename a file, replacing what has the new name."""
        return self._rename(oldpath, newpath)

    def _rename(self, oldpath: str, newpath: str) -> int:
        self._refuse_laid_out(oldpath)
        with (
            self._place(oldpath, write=True) as (old_folder, old_name),
            self._place(newpath, write=True) as (new_folder, new_name),
        ):
            os.rename(old_name, new_name, src_dir_fd=old_folder, dst_dir_fd=new_folder)
        return SFTP_OK

    @_answered
    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Make a folder."""
        del attr
        with self._place(path, write=True) as (folder, name):
            os.mkdir(name, 0o755, dir_fd=folder)
        return SFTP_OK

    @_answered
    def rmdir(self, path: str) -> int:
        """Remove an empty folder."""
        self._refuse_laid_out(path)
        with self._place(path, write=True) as (folder, name):
            os.rmdir(name, dir_fd=folder)
        return SFTP_OK

    @_answered
    def chattr(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Set times and size by path."""
        with self._place(path, write=True) as (folder, name):
            flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            access = os.O_WRONLY if attr.st_size is not None else os.O_RDONLY
            descriptor = os.open(name, flags | access, dir_fd=folder)
        try:
            _set_attributes(descriptor, attr)
        finally:
            os.close(descriptor)
        return SFTP_OK
