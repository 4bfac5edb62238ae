"""What the flow tests share: OpenSSH's own server, and a hub's stores in a fresh directory."""

import io
import os
import runpy
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.collection.collector import Collector
from connectors.collection.pacing import Clock, Patience
from connectors.collection.visits import Visits
from connectors.landing import Landing
from connectors.ledger import Ledger
from connectors.readers.archives import prove_complete
from ipregister.profiles import DeliveryHabits, Profile, load_profile


# pytest imports each file by its path, so a helper beside this file is loaded by its own.
def import_helper(name: str) -> Any:
    """Return the names of a helper beside this file."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(name))))


start_sshd: Any = runpy.run_path(str(Path(__file__).with_name("sshd.py")))["start"]

IN_TESTS = Patience(answer_seconds=5, pass_seconds=30, pauses=(1, 5, 15))


@pytest.fixture(scope="session")
def openssh(sshd_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """OpenSSH's ``sshd`` on a loopback port; serves the file system to the current user."""
    server = start_sshd(tmp_path_factory.mktemp("sshd"), sshd_path)
    yield server
    server.stop()


@pytest.fixture
def openssh_logging(sshd_path: str, tmp_path: Path) -> Iterator[Any]:
    """One that logs every request it gets."""
    (tmp_path / "sshd").mkdir()
    server = start_sshd(tmp_path / "sshd", sshd_path, log_requests=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def delta_sharing_python() -> str:
    """Interpreter with the delta-sharing connector; ``.ci/third_party_clients`` makes it."""
    python = os.environ.get("IPHUB_TEST_DELTA_SHARING_PYTHON")
    if not python:
        pytest.skip("IPHUB_TEST_DELTA_SHARING_PYTHON names no environment with delta-sharing")
    return python


@pytest.fixture(scope="session")
def relays() -> Any:
    """What makes relays with faults: ``Relay``, ``Faults``."""
    return import_helper("relay.py")


@dataclass
class Intake:
    """Ledger, landing and collector of one hub; time passes when somebody waits."""

    ledger: Ledger
    landing: Landing
    collector: Collector
    now: datetime
    slept: list[float]

    def visits(
        self, connect: Any, patience: Patience = IN_TESTS, clock: Clock = time.monotonic
    ) -> Visits:
        """Return visits to offices that are reached by ``connect(office, budget)``."""
        return Visits(
            self.collector,
            self.ledger.contacts,
            connect,
            patience=patience,
            sleep=self.slept.append,
            clock=clock,
        )

    def later(self, **span: float) -> datetime:
        """Let time pass and return the new instant."""
        self.now += timedelta(**span)
        return self.now


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    """A collector with a quiet time of two seconds, as its offices' profiles say."""
    ledger, rights = Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite"), load_profile("KH").rights
    landing, slept = Landing(tmp_path / "landing"), list[float]()

    def profile(office: str) -> Profile:
        quiet = {"full_extraction": 2, "update": 2, "test": 2}
        habits = DeliveryHabits.model_validate({"quietSeconds": quiet})
        return Profile(
            office=office, name=office, languages=("en",), delivery=habits, rights=rights
        )

    collector = Collector(ledger, landing, profile, prove_complete, patience=IN_TESTS)
    yield Intake(ledger, landing, collector, datetime(2026, 11, 22, 3, tzinfo=UTC), slept)
    ledger.close()


def archive(*names: str, filling: bytes = b"") -> bytes:
    """Return a ZIP with one small XML document per name, and ``filling`` beside them."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as zipped:
        for name in names:
            # ZipInfo's own date, not the present one: the same names give the same bytes.
            zipped.writestr(zipfile.ZipInfo(name), f"<Transaction><Id>{name}</Id></Transaction>")
        if filling:
            zipped.writestr(zipfile.ZipInfo("picture.jpg"), filling)
    return sink.getvalue()


@pytest.fixture
def zipped() -> Any:
    """The function that makes a small ZIP."""
    return archive


SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "real"
collect_ignore = [] if SAMPLES.is_dir() else ["test_real_samples.py"]  # a skip fails in CI

office_desk: Any = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("desk.py"))))


@pytest.fixture(scope="session")
def ipas() -> Any:
    """What writes small IPAS documents: ``mark``, ``marks``, ``zipped``."""
    return office_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Any]:
    """A new hub with a desk where files are handed in; see ``desk.py``."""
    opened = office_desk.open_desk(tmp_path / "hub")
    yield opened
    opened.hub.close()


@pytest.fixture(scope="module")
def shared_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One hub for all tests of a file."""
    opened = office_desk.open_desk(tmp_path_factory.mktemp("shared") / "hub")
    yield opened
    opened.hub.close()


@pytest.fixture
def third_parties(tmp_path: Path) -> Iterator[Any]:
    """A hub in this process and its third parties' clients; see ``third_party.py``."""
    helper = import_helper("third_party.py")
    opened = helper.open_hub(tmp_path)
    opened.mark = helper.mark
    yield opened
    opened.close()


oauth_world: Any = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).with_name("oauth_world.py")))
)


@pytest.fixture(scope="session")
def oauth() -> Any:
    """What makes hubs for OAuth tests: ``open_world``, ``Prover``."""
    return oauth_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Any]:
    """A hub with one third party, and its own clock; see ``oauth_world.py``."""
    with oauth_world.open_world(tmp_path) as opened:
        yield opened


twin_worlds: Any = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("twins.py"))))


@pytest.fixture(scope="session")
def twins() -> Any:
    """What makes two hubs that differ in what a client may not see; see ``twins.py``."""
    return twin_worlds


# ``Callers``: clients of every role, calling the API of a desk's hub.
Callers: Any = runpy.run_path(str(Path(__file__).with_name("callers.py")))["Callers"]


@pytest.fixture(scope="session")
def at_the_api() -> Any:
    """What makes clients of every role at a desk's hub; see ``callers.py``."""
    return Callers


@pytest.fixture
def callers(desk: Any) -> Iterator[Any]:
    """Clients of every role at a new hub."""
    made = Callers(desk)
    with made.http:  # one event loop for all requests, not one for each
        yield made


@pytest.fixture(scope="module")
def shared_callers(shared_desk: Any) -> Iterator[Any]:
    """Clients of every role at the hub of all tests of a file."""
    made = Callers(shared_desk)
    with made.http:
        yield made


attacked_hub: Any = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("attacked.py"))))


@pytest.fixture(scope="module")
def attacked(shared_callers: Any, ipas: Any) -> Iterator[Any]:
    """A hub where everything a route can be about exists; see ``attacked.py``."""
    made = attacked_hub.Attacked(shared_callers, ipas)
    with made.http:
        yield made


@pytest.fixture(scope="session")
def attack_tools() -> Any:
    """What serves an application on loopback; see ``attacked.py``."""
    return attacked_hub
