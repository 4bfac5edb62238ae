"""An empty ledger on SQLite and on PostgreSQL, and other processes that use it at the same time.

PostgreSQL is the server of ``IPHUB_TEST_POSTGRES_URL``, or one of our own on a local socket where
Debian's package is installed.
"""

import json
import multiprocessing
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine, text

from connectors.ledger import Client, Ledger
from connectors.ledger.tokens import MAX_LIFETIME

PEPPER = b"pepper of the tests, 32 bytes ok"
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

# Opens the ledger, says so, waits until all are ready, does its work, sends the result.
CHILD = """
import json
from datetime import UTC, datetime, timedelta
from connectors.ledger import DeliveredFile, Ledger
from ipregister.deliveries import Kind, State
from ipregister.model import Right
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
{before}
pipe.send("ready")
pipe.recv()
{work}
pipe.send(json.dumps(result))
"""

# Real processes, each a fork of one that holds nothing but what they import, once for all tests.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["connectors.ledger"])

Together = Callable[..., list[Any]]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    given = os.environ.get("IPHUB_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    tools = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not tools:
        pytest.skip("no PostgreSQL: IPHUB_TEST_POSTGRES_URL names none and none is installed")
    # Not tmp_path: another user must reach it, and a socket's path has at most 107 characters.
    home = Path(tempfile.mkdtemp(prefix="iphub-pg-"))
    user = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(home, "postgres")

    def run(tool: str, *arguments: str) -> None:
        command = [*user, str(tools[-1].with_name(tool)), "-D", f"{home}/data", *arguments]
        with (home / "out").open("ab") as out:
            subprocess.run(command, cwd="/", check=True, stdout=out, stderr=out)

    try:
        run("initdb", "-U", "iphub", "-E", "UTF8", "--locale=C.UTF-8", "--auth=trust", "--no-sync")
        options = f"-F -c listen_addresses= -c unix_socket_directories={home}"
        run("pg_ctl", "-w", "-l", f"{home}/log", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://iphub@/postgres?host={home}"
        finally:
            run("pg_ctl", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def new_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SQLite file of a ledger in which nothing has happened yet."""
    path = tmp_path_factory.mktemp("new") / "ledger.sqlite"
    Ledger.open(f"sqlite:///{path}").close()
    return path


@contextmanager
def database(server: Engine, template: str = "template1") -> Iterator[URL]:
    """Lend a database of PostgreSQL, a copy of another one."""
    name = f"test_{secrets.token_hex(8)}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        yield server.url.set(database=name)
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def administration(postgres_server: str) -> Iterator[Engine]:
    engine = create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def new_database(administration: Engine) -> Iterator[str]:
    """The name of a database with a ledger in which nothing has happened yet."""
    with database(administration) as url:
        Ledger.open(url.render_as_string(hide_password=False)).close()
        yield str(url.database)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database of its own; of a new ledger's, where the test opens it by fixture.

    Making a ledger's tables takes longer than most tests, so they are made once and copied.
    """
    opened, path = "ledger" in request.fixturenames, tmp_path / "ledger.sqlite"
    if request.param == "sqlite":
        if opened:
            shutil.copyfile(request.getfixturevalue("new_file"), path)
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("new_database") if opened else "template1"
    with database(request.getfixturevalue("administration"), template) as lent:
        yield lent.render_as_string(hide_password=False)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger.open(url, pepper=PEPPER)
    yield opened
    opened.close()


@pytest.fixture
def client(ledger: Ledger) -> Client:
    """A client of the third party Ann, with a token."""
    made, _ = ledger.clients.add(name="Ann's reader", third_party="Ann", at=AT, by="operator")
    token = sha256(b"an access token").digest()
    ledger.tokens.issue(made.clientId, token, AT + MAX_LIFETIME, AT)
    return made


@pytest.fixture
def together(url: str) -> Together:
    """Run the same lines in several processes, all starting at once; return their results."""

    def run(processes: int, work: str, before: str = "ledger = Ledger.open(url)") -> list[Any]:
        source = CHILD.format(before=before, work=work)
        children = []
        for number in range(processes):
            ours, theirs = FORKS.Pipe()
            names = {"url": url, "number": number, "pipe": theirs}
            children.append((FORKS.Process(target=exec, args=(source, names)), ours))
            children[-1][0].start()
            theirs.close()  # a child that dies ends its pipe, and our waiting
        try:
            for _, pipe in children:
                assert pipe.recv() == "ready"
            for _, pipe in children:
                pipe.send("go")
            results = []
            for _, pipe in children:
                assert pipe.poll(120)
                results.append(json.loads(pipe.recv()))
            return results
        finally:
            for process, pipe in children:
                process.kill()
                process.join()
                process.close()
                pipe.close()

    return run


@pytest.fixture
def tamper(url: str) -> Callable[[str], None]:
    """Change the database behind the ledger's back, with its guards switched off."""

    def run(statement: str) -> None:
        engine = create_engine(url)
        with engine.begin() as connection:
            for table in ("audit", "delivery_events", "authorization_versions"):
                if engine.dialect.name == "postgresql":
                    connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
                else:
                    for verb in ("update", "delete"):
                        connection.execute(text(f"DROP TRIGGER IF EXISTS {table}_no_{verb}"))
            connection.execute(text(statement))
        engine.dispose()

    return run
