"""Key files: Ed25519 keys of the embedded server, made once, and whatever we log in with.

Private keys are written in OpenSSH's form, readable by their owner only. Which keys are
trusted is not decided here.
"""

import os
import re
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from paramiko.hostkeys import InvalidHostKey
from paramiko.pkey import UnknownKeyType

from ipregister.errors import ConfigurationError

MIN_RSA_BITS = 3072
"""NIST SP 800-57: 128 bits of security."""


def key_pair(path: Path) -> paramiko.PKey:
    """Return the private key in ``path``, made on first use; its public half is ``path.pub``.

    Raises:
        ConfigurationError: the file is there but is no usable key.
    """
    if not path.exists():
        _generate(path)
    try:
        return paramiko.Ed25519Key.from_private_key_file(str(path))
    except (OSError, paramiko.SSHException, ValueError) as exc:
        raise ConfigurationError(f"cannot use the private key {path}: {exc}") from exc


def public_line(key: paramiko.PKey) -> str:
    """Return a public key as ``known_hosts`` and ``authorized_keys`` write it."""
    return f"{key.get_name()} {key.get_base64()}"


def pinned_keys(known_hosts: Path) -> paramiko.HostKeys:
    """Return the host keys in a ``known_hosts`` file.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        return paramiko.HostKeys(str(known_hosts))
    except (OSError, UnicodeDecodeError, InvalidHostKey) as exc:
        raise ConfigurationError(
            f"cannot read the pinned host keys in {known_hosts}: {exc}"
        ) from exc


def private_key(path: Path) -> paramiko.PKey:
    """Return the key in a file of any form OpenSSH or PEM has.

    Raises:
        ConfigurationError: it cannot be used, or is a weak one.
    """
    try:
        key = paramiko.PKey.from_path(path)
    except (OSError, ValueError, TypeError, paramiko.SSHException, UnknownKeyType) as exc:
        reason = re.sub(r"\s+", " ", str(exc))[:200]
        raise ConfigurationError(f"cannot use the private key {path}: {reason}") from exc
    if isinstance(key, paramiko.RSAKey) and key.get_bits() < MIN_RSA_BITS:
        raise ConfigurationError(
            f"the RSA key {path} has {key.get_bits()} bits; at least {MIN_RSA_BITS} are needed"
        )
    return key


def _generate(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    text = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
    )
    # Whole or not at all: a half-written host key would lock every office out.
    arriving = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(text)
    arriving.replace(path)
    key = paramiko.Ed25519Key.from_private_key_file(str(path))
    path.with_name(f"{path.name}.pub").write_text(f"{public_line(key)} {path.name}\n", "utf-8")
