"""``python -m benchmarks``: every benchmark in turn, as ``make bench`` runs them."""

import subprocess
import sys

BENCHMARKS = (
    ("benchmarks.ingest",),
    ("benchmarks.ingest", "--memory"),
    ("benchmarks.scale", "--records", "100000", "1000000"),
    ("benchmarks.api",),
    ("benchmarks.flat",),
    ("benchmarks.bulk",),
    ("benchmarks.readers",),
    ("benchmarks.limits",),
    ("benchmarks.oauth",),
    ("benchmarks.sftp",),
    ("benchmarks.push",),
)


def main() -> int:
    """Run all benchmarks; return how many failed."""
    failed = 0
    for module, *arguments in BENCHMARKS:
        print(f"== python -m {' '.join((module, *arguments))}", flush=True)
        failed += subprocess.run([sys.executable, "-m", module, *arguments]).returncode != 0
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
