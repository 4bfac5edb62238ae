"""What all layers share: the guard between them, and the two real servers some tests need.

The guard keeps the fast layers fast: a test in ``unit`` or ``contract`` that asks for a server or
for Dagster fails before it starts, and no socket opens there. With ``CI=true`` a skipped test is a
failed one, so that a missing server cannot pass for a green run.

Fixtures of one layer belong into that layer's own ``conftest.py``, not here.
"""

import os
import re
import secrets
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).parent
FAST_LAYERS = frozenset({"unit", "contract"})
LAYERS = FAST_LAYERS | {"flow", "system"}

# A fixture says with a word of its name that it starts something or needs something started.
SLOW_FIXTURE = re.compile(r"(^|_)(server|sftp|sshd|postgres|dagster|browser)(_|$)")
WRONG = pytest.StashKey[str]()
"""What is wrong with a test's place; as a failure of that test, any process can report it."""

Report = pytest.TestReport | pytest.CollectReport
IN_CI = os.environ.get("CI") == "true"

# The same examples in every run of CI: a red build is red again tomorrow.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
if IN_CI:
    hypothesis.settings.load_profile("ci")


# Started in the background of a script, a process ignores SIGINT, and Dagster gives SIGTERM the
# same handler: each server a test starts would inherit both, and could not be stopped.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int | None:
    """Take every core this process may use; where that cannot be asked, xdist counts."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def layer_of(path: Path) -> str | None:
    """Return the layer a test file lies in, or None for a file outside ``tests``."""
    if not path.is_relative_to(TESTS):
        return None
    return path.relative_to(TESTS).parts[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Find the tests in the wrong layer; close the network to the fast ones."""
    for item in items:
        layer = layer_of(item.path)
        if layer is not None and layer not in LAYERS:
            item.stash[WRONG] = f"{item.nodeid}: not in one of {', '.join(sorted(LAYERS))}"
        if layer in FAST_LAYERS:
            item.add_marker("disable_socket")
            for name in filter(SLOW_FIXTURE.search, getattr(item, "fixturenames", ())):
                item.stash[WRONG] = f"{item.nodeid}: {layer} tests may not use {name!r}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a test in the wrong layer before it starts anything."""
    if wrong := item.stash.get(WRONG, None):
        pytest.fail(wrong, pytrace=False)


def no_skip_in_ci(report: Report) -> Report:
    """Turn a skip into a failure where everything a test needs must be installed."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not accept: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Report, Report]:
    """Look at every test's report."""
    return no_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Report, Report]:
    """Look at every file's report: a whole file can skip itself."""
    return no_skip_in_ci((yield))


@pytest.fixture(scope="session")
def sshd_path() -> str:
    """Path of OpenSSH's ``sshd``; a test starts it with its own keys, port and configuration."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("OpenSSH's sshd is not installed (Debian: openssh-server)")
    return found


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of an empty database of its own, dropped after the test.

    The server is the one of ``IPHUB_TEST_POSTGRES_URL``; ``.ci/run`` starts it.
    """
    server = os.environ.get("IPHUB_TEST_POSTGRES_URL")
    if not server:
        pytest.skip("IPHUB_TEST_POSTGRES_URL names no PostgreSQL server to test on")
    import psycopg  # an extra, so only here

    base, _, _ = server.rpartition("/")
    name = f"test_{secrets.token_hex(8)}"
    plain = server.replace("+psycopg", "", 1)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{base}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
