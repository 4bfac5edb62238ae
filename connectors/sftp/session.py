"""Connect to an SFTP server: socket, host key, login. Nothing is accepted that is not pinned.

Host keys come from a file in OpenSSH's ``known_hosts`` form and are never learnt from the
server. What is read over the connection is ``source``; the embedded server is ``server``.

Standards: RFC 4251-4254 (SSH), RFC 5647 (AES-GCM).
"""

import logging
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import paramiko

from connectors.sftp.inflow import Inflow
from connectors.sftp.keys import pinned_keys, private_key
from connectors.sftp.protocol import Wire
from ipregister.errors import ConfigurationError, OfficeRefused, OfficeUnreachable

WINDOW_BYTES = 64 * 1024 * 1024
"""A window of 2 MiB (the usual one) caps a line of 100 ms at 20 MB/s."""

KEY_EXCHANGES = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "diffie-hellman-group16-sha512",
)
"""What ssh-audit calls sound: no SHA-1, no NIST curve, no group of less than 3072 bits. A server
limited to FIPS algorithms has the last."""

HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""No ssh-rsa (SHA-1), no DSA. Which of these a server may show is what is pinned for it."""

CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
"""GCM first: no separate MAC, half the processor time. No CBC, no 3DES."""

MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
"""Only for CTR ciphers. The last two are for servers that know no ``etm``, and come last."""

KEEPALIVE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and who logs in; ``folder`` is where the ``ipob_xx`` folders are."""

    host: str
    port: int
    user: str
    folder: str | None = None

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read ``sftp://user@host[:port][/folder]``.

        Raises:
            ConfigurationError: it is not such an address, or it carries a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or 22
        except ValueError as exc:
            raise ConfigurationError(f"not an SFTP address: {exc}") from exc
        if parts.scheme != "sftp" or not parts.hostname or not parts.username:
            raise ConfigurationError("an SFTP address looks like sftp://user@host:port/folder")
        if parts.password is not None:
            raise ConfigurationError("an SFTP address must not carry a password; use a key")
        folder = unquote(parts.path).rstrip("/") if parts.path not in ("", "/") else None
        return cls(parts.hostname, port, unquote(parts.username), folder)

    @property
    def pinned_name(self) -> str:
        """Return the server's name as ``known_hosts`` writes it."""
        return self.host if self.port == 22 else f"[{self.host}]:{self.port}"

    def __str__(self) -> str:
        """Return the address for people; it holds no secret."""
        return f"sftp://{self.user}@{self.host}:{self.port}{self.folder or ''}"


@dataclass(frozen=True, slots=True)
class Login:
    """How we prove who we are: a private key file, or a password (embedded server only)."""

    key_file: Path | None = None
    password: str | None = None


@contextmanager
def connect(
    address: Address,
    login: Login,
    *,
    known_hosts: Path,
    timeout_seconds: float = 60.0,
    budget_seconds: float | None = None,
) -> Iterator[Wire]:
    """Log in and open one SFTP channel; everything is closed at the end.

    Args:
        address: where to go.
        login: the key (RSA of 3072 bits or more, ECDSA or Ed25519) or password.
        known_hosts: the pinned host keys.
        timeout_seconds: for connecting, for logging in, and for each answer after that.
        budget_seconds: for everything from the first answer on; no end when not given.

    Raises:
        OfficeUnreachable: no connection, or it was lost; worth trying again.
        OfficeRefused: unknown or changed host key, or the login was rejected.
        ConfigurationError: our key or ``known_hosts`` file cannot be used.
    """
    pinned = pinned_keys(known_hosts)
    key = private_key(login.key_file) if login.key_file is not None else None
    transport = _transport(address, pinned, timeout_seconds)
    try:
        with _closed_after(transport, timeout_seconds):
            _shake_hands(transport, address, pinned, known_hosts, timeout_seconds)
            _authenticate(transport, address, key, login.password)
            channel = _open_channel(transport, address, timeout_seconds)
        yield Wire(channel, timeout_seconds=timeout_seconds, budget_seconds=budget_seconds)
    finally:
        transport.close()


@contextmanager
def _closed_after(transport: paramiko.Transport, seconds: float) -> Iterator[None]:
    """Give up a server that does not let us in within a time.

    Paramiko waits for ever for the answer to some requests.
    """
    watch = threading.Timer(seconds, transport.close)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _transport(
    address: Address, pinned: paramiko.HostKeys, timeout_seconds: float
) -> paramiko.Transport:
    quiet_log()
    try:
        connection = socket.create_connection((address.host, address.port), timeout=timeout_seconds)
    except OSError as exc:
        raise OfficeUnreachable(f"{address} does not answer: {exc}") from exc
    # Without this, Nagle and delayed acknowledgement hold one small request in ten for 40 ms.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(connection, default_window_size=WINDOW_BYTES)
    transport.banner_timeout = transport.auth_timeout = timeout_seconds
    options = transport.get_security_options()
    harden(options)
    options.key_types = _key_types(HOST_KEYS, address, pinned)
    return transport


def harden(options: paramiko.SecurityOptions) -> None:
    """Offer only what is sound; the first key exchange needs a recent OpenSSL."""
    options.kex = tuple(name for name in KEY_EXCHANGES if name in options.kex)
    options.ciphers = CIPHERS
    options.digests = MACS


_SILENT = logging.NullHandler()


def quiet_log() -> None:
    """Keep Paramiko's log off standard error where nobody configured it.

    It logs, with traces, what it also raises.
    """
    logging.getLogger("paramiko").addHandler(_SILENT)


def _key_types(
    offered: Sequence[str], address: Address, pinned: paramiko.HostKeys
) -> tuple[str, ...]:
    """Put the pinned key types first, or a server with several keys would show another one."""
    names = set(pinned.lookup(address.pinned_name) or ())
    if "ssh-rsa" in names:
        names |= {"rsa-sha2-512", "rsa-sha2-256"}
    return tuple(sorted(offered, key=lambda name: name not in names))


def _shake_hands(
    transport: paramiko.Transport,
    address: Address,
    pinned: paramiko.HostKeys,
    known_hosts: Path,
    timeout_seconds: float,
) -> None:
    try:
        transport.start_client(timeout=timeout_seconds)
        offered = transport.get_remote_server_key()
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise OfficeUnreachable(f"{address}: no SSH connection: {exc or 'closed'}") from exc
    if pinned.check(address.pinned_name, offered):
        return
    shown = f"{offered.get_name()} {offered.fingerprint}"
    expected = pinned.lookup(address.pinned_name)
    if not expected:
        raise OfficeRefused(
            f"{address.pinned_name} is unknown: it shows the host key {shown}, and {known_hosts}"
            " has no key for it. Ask the server's operator for its fingerprint; if it is this one,"
            " add the key to that file."
        )
    known = ", ".join(f"{key.get_name()} {key.fingerprint}" for key in expected.values())
    raise OfficeRefused(
        f"{address.pinned_name} shows another host key than pinned: expected {known}, offered"
        f" {shown}. Nothing was read. Ask the server's operator whether the key was changed."
    )


def _authenticate(
    transport: paramiko.Transport,
    address: Address,
    key: paramiko.PKey | None,
    password: str | None,
) -> None:
    try:
        if key is not None:
            transport.auth_publickey(address.user, key)
        else:
            transport.auth_password(address.user, password or "", fallback=False)
    except paramiko.AuthenticationException as exc:
        raise OfficeRefused(f"{address} refused the login of {address.user!r}") from exc
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise OfficeUnreachable(f"{address}: the connection was lost at login: {exc}") from exc


def _open_channel(
    transport: paramiko.Transport, address: Address, timeout_seconds: float
) -> paramiko.Channel:
    try:
        transport.set_keepalive(KEEPALIVE_SECONDS)
        channel = transport.open_session(timeout=timeout_seconds)
        channel.settimeout(timeout_seconds)
        # Before anything can have come; should Paramiko once not look here, it is only slower.
        channel.in_buffer = Inflow()
        channel.invoke_subsystem("sftp")
    except (paramiko.SSHException, EOFError, OSError) as exc:
        if not transport.is_active():
            raise OfficeUnreachable(f"{address}: the connection was lost at login: {exc}") from exc
        raise OfficeRefused(f"{address} offers no SFTP: {exc or 'closed'}") from exc
    return channel
