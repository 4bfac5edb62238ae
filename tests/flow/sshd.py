"""Debian's own ``sshd`` on a high loopback port, for tests and benchmarks.

It runs as the current user with its own configuration, host key and client key, speaks only
SFTP and touches nothing outside one directory. Nothing here is part of the hub.
"""

import getpass
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host_key
AuthorizedKeysFile {root}/client_key.pub
PidFile {root}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
MaxStartups 50
LogLevel VERBOSE
Subsystem sftp {subsystem}
"""


@dataclass
class OpenSshServer:
    """One running server; ``root`` holds keys, log and configuration."""

    root: Path
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def user(self) -> str:
        """Return the account to log in with."""
        return getpass.getuser()

    @property
    def key(self) -> Path:
        """Return the private key that may log in."""
        return self.root / "client_key"

    @property
    def known_hosts(self) -> Path:
        """Return the file that pins the server's key."""
        return self.root / "known_hosts"

    @property
    def requests(self) -> list[str]:
        """Return what the SFTP server logged of its clients' requests, where it logs."""
        return (self.root / "sftp.log").read_text("utf-8", "replace").splitlines()

    def client(self, command: str, *options: str) -> list[str]:
        """Return the arguments of OpenSSH's ``sftp`` (or ``scp``) without its target."""
        pinned = [f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=yes"]
        pinned += ["IdentitiesOnly=yes", "BatchMode=yes", "LogLevel=ERROR"]
        settings = [part for option in pinned for part in ("-o", option)]
        return [
            command,
            "-F",
            "none",
            "-P",
            str(self.port),
            "-i",
            str(self.key),
            *settings,
            *options,
        ]

    def stop(self) -> None:
        """Stop the server and the connections it serves."""
        self.process.terminate()
        self.process.wait(10)


def start(root: Path, sshd: str, *, log_requests: bool = False) -> OpenSshServer:
    """Start a server with fresh keys and wait until it answers.

    With ``log_requests`` the SFTP server is a program of its own, which can log to a file.

    Raises:
        RuntimeError: it did not come up; the message is its log.
    """
    for name in ("host_key", "client_key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(root / name)]
        subprocess.run(command, check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    logged = f"/usr/lib/openssh/sftp-server -e -l VERBOSE 2>>{root}/sftp.log"
    subsystem = logged if log_requests else "internal-sftp"
    text = CONFIGURATION.format(port=port, root=root, subsystem=subsystem)
    (root / "sshd_config").write_text(text)
    host_key = (root / "host_key.pub").read_text().split()[:2]
    (root / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(host_key)}\n")
    # Debian's sshd refuses to start without its privilege separation directory.
    Path("/run/sshd").mkdir(exist_ok=True)
    command = [sshd, "-D", "-e", "-f", str(root / "sshd_config")]
    with (root / "sshd.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    server = OpenSshServer(root, port, process)
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise RuntimeError((root / "sshd.log").read_text("utf-8", "replace")) from None
            time.sleep(0.05)
        else:
            return server
    server.stop()
    raise RuntimeError((root / "sshd.log").read_text("utf-8", "replace"))
