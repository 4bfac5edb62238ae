"""What ``bulk`` is compared with: nginx, and what makes JSON of the same records by itself.

PostgreSQL and ROAPI give a third party's members only, to one reader, by the clock. ROAPI
(``roapi`` from the package index, in an environment of its own below ``.bench/``) is given the
prepared Parquet file of the same mask.
"""

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from benchmarks.environments import environment
from benchmarks.served import HOST, rows

ROOT = Path(__file__).parents[1]
HUB_PORT, NGINX_PORT = 18_811, 18_812
ROAPI, ROAPI_PORT = "roapi==0.12.7", 18_813
TRIES = 3


@contextmanager
def nginx(folder: Path, static: Path, files: Path) -> Iterator[None]:
    """Run nginx as we give it away, with a folder of plain files beside the hub."""
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if "ssl_" not in line)
    text = text.replace("443 ssl", f"{HOST}:{NGINX_PORT}").replace(
        "127.0.0.1:8000", f"{HOST}:{HUB_PORT}"
    )
    text = text.replace("/srv/iphub/exports/files/", f"{files}/").replace(
        "    location / {", f"    location /static/ {{ alias {static}/; }}\n    location / {{"
    )
    (folder / "hub.conf").write_text(text)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;"
        f"events {{}} http {{ access_log off; include {folder}/hub.conf; }}"
    )
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed")
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"])
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait()


def postgres_rate(url: str, count: int) -> float:
    """Return records a second that PostgreSQL turns into JSON."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bulk_bench")
        connection.execute(
            "CREATE UNLOGGED TABLE bulk_bench (n int PRIMARY KEY, office text, number text, "
            "filed date, status text, words jsonb, goods jsonb, persons jsonb, events jsonb)"
        )
        with connection.cursor().copy("COPY bulk_bench FROM STDIN") as copy:
            for n, row in enumerate(rows(count)):
                record = json.loads(b"".join(row.fragments.values()) + b"}")
                nested = ("markVerbalElements", "goodsServices", "applicants", "statusEvents")
                copy.write_row(
                    (
                        *(n, record["officeCode"], record["applicationNumber"]),
                        *(record["applicationDate"], record["status"]),
                        *(json.dumps(record[name]) for name in nested),
                    )
                )
        connection.execute("VACUUM ANALYZE bulk_bench")
        query = (
            "COPY (SELECT json_agg(t) FROM (SELECT n, office, number, filed, status, words, goods, "
            "events FROM bulk_bench) t GROUP BY n / 1000) TO STDOUT"
        )
        best = 0.0
        for _ in range(TRIES):
            started = time.perf_counter()
            with connection.cursor().copy(query) as copy:
                for _data in copy:
                    pass
            best = max(best, count / (time.perf_counter() - started))
        connection.execute("DROP TABLE bulk_bench")
        return best


def roapi_rate(prepared: Path, count: int) -> float:
    """Return records a second that ROAPI turns into JSON, out of a Parquet file of ``count``."""
    best = 0.0
    with _roapi(prepared) as address:
        for _ in range(TRIES):
            started = time.perf_counter()
            with urllib.request.urlopen(address) as answer:
                last = b""
                while chunk := answer.read(1 << 20):
                    last = chunk
            best = max(best, count / (time.perf_counter() - started))
            if not last.endswith(b"]"):
                raise SystemExit("ROAPI did not answer with everything")
    return best


@contextmanager
def _roapi(prepared: Path) -> Iterator[str]:
    program = environment("roapi", ROAPI).with_name("roapi")
    table = f"records={prepared},format=parquet"
    process = subprocess.Popen(
        [program, "--addr-http", f"{HOST}:{ROAPI_PORT}", "--table", table],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://{HOST}:{ROAPI_PORT}/api/tables/records"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(f"{address}?limit=1").close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()
