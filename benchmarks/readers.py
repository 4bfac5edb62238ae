"""How long readers wait while a large extraction is published.

    .venv/bin/python -m benchmarks.readers [--records 200000] [--million] [--nice]

The API runs as ``iphub serve`` does, with one worker; one keep-alive connection reads single
records and pages, first with nothing else going on and then while another process publishes an
extraction into the same store. Printed are p50 and p99 of both and their ratio (goal: p99 within
twice). Writer and reader share the machine's cores, as they do in the embedded default.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.served import Connection, prepare, serving

GOAL = 2.0
PORT = 18_803
READ_BEFORE = 3_000

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from benchmarks.served import rows
from connectors.serving_store import Publication, ServingStore
from ipregister.model import Right
store = ServingStore(Path(sys.argv[1]))
new = rows(int(sys.argv[2]))
store.publish(Publication("load", "TH", Right.TRADEMARKS, datetime.now(UTC), new))
store.close()
"""


def read(connection: Connection, paths: list[str], number: int) -> float:
    """Return how long one request took, in milliseconds."""
    started = time.perf_counter()
    connection.get(paths[number % len(paths)])
    return (time.perf_counter() - started) * 1_000


def p99(found: list[float]) -> float:
    return statistics.quantiles(found, n=100)[98]


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--nice", action="store_true", help="give the writer a lower priority")
    asked = parser.parse_args()
    records = 1_000_000 if asked.million else asked.records
    root = str(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory(prefix="bench-readers-") as folder:
        home = Path(folder) / "hub"
        points, pages = prepare(home, 20_000)
        with serving(
            "iphub.serve:application", PORT, {"IPHUB_HOME": str(home), "PYTHONPATH": root}
        ) as server:
            connection = Connection(server.port)
            paths = {"record": points, "page": pages}
            before: dict[str, list[float]] = {name: [] for name in paths}
            during: dict[str, list[float]] = {name: [] for name in paths}
            for number in range(READ_BEFORE):
                for name in paths:
                    before[name].append(read(connection, paths[name], number))
            command = [sys.executable, "-c", WRITER, str(home / "serving.sqlite"), str(records)]
            command = ["nice", "-n", "10", *command] if asked.nice else command
            writer = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": root})
            number = 0
            while writer.poll() is None:
                for name in paths:
                    during[name].append(read(connection, paths[name], number))
                number += 1
            if writer.returncode:
                raise SystemExit("the writer failed")
    for name in paths:
        ratio = p99(during[name]) / p99(before[name])
        print(
            f"{name:6} before p50 {statistics.median(before[name]):.2f} p99 {p99(before[name]):.2f}"
            f" ms, while {records:,} are published p50 {statistics.median(during[name]):.2f} p99 "
            f"{p99(during[name]):.2f} ms ({len(during[name]):,} reads): p99 {ratio:.2f} x "
            f"(goal {GOAL})"
        )


if __name__ == "__main__":
    main()
