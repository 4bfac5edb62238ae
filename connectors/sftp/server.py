"""The embedded SFTP server: the offices' drop folders on loopback, for demos and tests.

Accounts ``ipob_xx`` see and fill their own folder only; the account ``hub`` reads all of
them and changes nothing. What a session may do to files is ``jail``. Not for production:
there an OpenSSH server holds the tree.
"""

import hmac
import secrets
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from connectors.sftp.jail import Jail
from connectors.sftp.keys import key_pair, public_line
from connectors.sftp.session import Address, Login, harden, quiet_log
from ipregister.deliveries import FOLDERS, RIGHT_FOLDERS
from ipregister.errors import ConfigurationError

HUB_ACCOUNT = "hub"
MAX_CONNECTIONS = 100
"""More than all offices at once; a client that only opens connections must not fill us."""


@dataclass(frozen=True, slots=True)
class Account:
    """One login: a key, a password or both; ``folders`` is what it sees, ``None`` all."""

    user: str
    public_key: bytes | None
    password: str | None
    folders: frozenset[str] | None
    writable: bool


class _LoginDesk(paramiko.ServerInterface):
    """Decides who may come in; remembers who did."""

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = accounts

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        account = self._accounts.get(username)
        known = account.public_key if account else None
        return AUTH_SUCCESSFUL if known is not None and known == key.asbytes() else AUTH_FAILED

    def check_auth_password(self, username: str, password: str) -> int:
        account = self._accounts.get(username)
        expected = account.password if account and account.password else secrets.token_urlsafe()
        same = hmac.compare_digest(expected.encode(), password.encode())
        return AUTH_SUCCESSFUL if same else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        allowed = kind == "session"
        return OPEN_SUCCEEDED if allowed else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED


class _Session(paramiko.SFTPServer):
    """The SFTP subsystem, in the jail of whoever logged in."""

    def __init__(
        self,
        channel: paramiko.Channel,
        name: str,
        server: paramiko.ServerInterface,
        root: Path,
        accounts: Mapping[str, Account],
    ) -> None:
        account = accounts[channel.get_transport().get_username() or ""]
        super().__init__(channel, name, server, Jail, root, account.folders, account.writable)
        self._channel = channel

    def finish_subsystem(self) -> None:
        """End the session as sshd does: ``scp`` takes one without an exit status for failed."""
        try:
            self._channel.send_exit_status(0)
        finally:
            super().finish_subsystem()


class EmbeddedServer:
    """A running server, as a context manager: listening inside, closed afterwards.

    Args:
        root: the folder with the ``ipob_xx`` folders; made when missing.
        accounts: who may log in.
        host_key: what the server shows.
        port: 0 for any free one; read it back from ``port``.
    """

    def __init__(
        self,
        root: Path,
        accounts: Iterable[Account],
        host_key: paramiko.PKey,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.root = root
        self.accounts = {account.user: account for account in accounts}
        self.host = host
        self.port = port
        self._host_key = host_key
        self._transports: list[paramiko.Transport] = []
        self._closing = threading.Event()

    def __enter__(self) -> Self:
        """Begin to listen.

        Raises:
            ConfigurationError: the port is taken.
        """
        quiet_log()
        self._closing.clear()
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            self._listener = socket.create_server((self.host, self.port), backlog=64)
        except OSError as exc:
            raise ConfigurationError(f"cannot listen on {self.host}:{self.port}: {exc}") from exc
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="sftp-accept", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening and end every session."""
        self._closing.set()
        # Closing alone does not wake a thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for transport in self._transports:
            transport.close()
            transport.join()

    @property
    def known_hosts_line(self) -> str:
        """Return the line that pins this server's key."""
        return f"[{self.host}]:{self.port} {public_line(self._host_key)}\n"

    @property
    def fingerprint(self) -> str:
        """Return the host key's type and SHA-256 fingerprint."""
        return f"{self._host_key.get_name()} {self._host_key.fingerprint}"

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._transports = [known for known in self._transports if known.is_active()]
            if len(self._transports) >= MAX_CONNECTIONS:
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        harden(transport.get_security_options())
        transport.add_server_key(self._host_key)
        transport.set_subsystem_handler("sftp", _Session, self.root, self.accounts)
        # With an event this returns at once; the transport's own thread does the rest.
        transport.start_server(event=threading.Event(), server=_LoginDesk(self.accounts))
        self._transports.append(transport)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedded server of one home: where its keys are and what to tell people."""

    server: EmbeddedServer
    keys: Path

    @property
    def address(self) -> Address:
        """Return where the hub collects from."""
        return Address(self.server.host, self.server.port, HUB_ACCOUNT)

    @property
    def login(self) -> Login:
        """Return how the hub logs in."""
        return _hub_login(self.keys)

    @property
    def known_hosts(self) -> Path:
        """Return the file that pins the server's key."""
        return self.keys / "sftp_known_hosts"

    def __enter__(self) -> Self:
        """Begin to listen, pin the host key for this port, and note the address in the home."""
        self.server.__enter__()
        self.known_hosts.write_text(self.server.known_hosts_line, "utf-8")
        (self.keys / "sftp_address").write_text(f"{self.address}\n", "utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.server.__exit__(kind, error, trace)


def embedded(
    home: Path, offices: Iterable[str], *, port: int = 0, root: Path | None = None
) -> Embedded:
    """Return the embedded server of a home, not yet started, with its tree in place.

    Args:
        home: keys are kept in ``home/keys``.
        offices: ST.3 codes; each gets the account ``ipob_xx``, a key and a fresh password.
        port: 0 for any free one.
        root: where the ``ipob_xx`` folders are; ``home/sftp`` when not given.
    """
    tree, keys = root or home / "sftp", home / "keys"
    hub_key = key_pair(keys / "sftp_hub").asbytes()
    accounts = [Account(HUB_ACCOUNT, hub_key, None, folders=None, writable=False)]
    for office in offices:
        user = office_folder(office)
        key = key_pair(keys / f"sftp_{user}").asbytes()
        folders = frozenset({user})
        accounts.append(Account(user, key, secrets.token_urlsafe(12), folders, writable=True))
        make_lanes(tree / user)
    host_key = key_pair(keys / "sftp_host")
    return Embedded(EmbeddedServer(tree, accounts, host_key, port=port), keys)


def last_embedded(home: Path) -> tuple[Address, Login, Path] | None:
    """Return address, login and ``known_hosts`` of the embedded server this home ran last.

    ``None`` where it never had one; whether it runs now shows when connecting.
    """
    keys = home / "keys"
    try:
        url = (keys / "sftp_address").read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    return Address.parse(url), _hub_login(keys), keys / "sftp_known_hosts"


def _hub_login(keys: Path) -> Login:
    return Login(key_file=keys / "sftp_hub")


def office_folder(office: str) -> str:
    """Return the folder (and account) name of an office by its ST.3 code."""
    return f"ipob_{office.lower()}"


def make_lanes(folder: Path) -> None:
    """Make the nine lane folders of one office, where they are missing."""
    for right in RIGHT_FOLDERS.values():
        for lane in FOLDERS.values():
            (folder / right / lane).mkdir(parents=True, exist_ok=True)
