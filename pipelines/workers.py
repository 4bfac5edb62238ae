"""Who works on a delivery: a name that says the machine and the process.

A process that was killed leaves its lease behind; on its own machine everybody can see that
it is gone.
"""

import os
import socket
from contextlib import suppress


def worker_name(run: str) -> str:
    """Return the name of this process in one run: ``host:process:run``."""
    return f"{socket.gethostname()}:{os.getpid()}:{run[:8]}"


def is_dead(worker: str) -> bool:
    """Tell whether a worker is known to be gone; of other machines nothing is known."""
    host, _, rest = worker.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname() or not rest.isdigit():
        return False
    with suppress(PermissionError):  # it runs, as somebody else
        try:
            os.kill(int(rest), 0)
        except ProcessLookupError:
            return True
    return False
