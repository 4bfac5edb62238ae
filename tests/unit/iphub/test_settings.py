"""Settings an operator mistyped: told by the name of the variable, before anything begins."""

import os
from pathlib import Path

import pytest

from connectors.hub import Hub
from connectors.ledger import Ledger
from connectors.settings import Settings, read_env_file
from iphub.context import settings
from iphub.dagster_ui import dagster
from iphub.demo.command import demo
from iphub.serve import serve
from ipregister.errors import ConfigurationError

WRONG = {
    "IPHUB_WORKERS": "many",
    "IPHUB_COLLECT_SECONDS": "1",
    "IPHUB_ENVIRONMENT": "prod",
    "IPHUB_MEMORY_LIMIT": "512",
    "IPHUB_PUBLIC_URL": "hub.example",
    "IPHUB_ACCEL_PREFIX": "prepared",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_variable_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, WRONG[name])
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        settings(Path("hub"))


@pytest.mark.parametrize(
    "url", ["https://", "https://hub.example:x", "http://[::1", "https://me:secret@hub.example"]
)
def test_an_address_nobody_could_call_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPHUB_PUBLIC_URL", url)
    with pytest.raises(ConfigurationError, match=r"^IPHUB_PUBLIC_URL: write it as https://hub"):
        settings(Path("hub"))


@pytest.mark.parametrize(
    "url", ["https://hub.example", "http://127.0.0.1:8000/", "http://[::1]:8000", "https://a.b/hub"]
)
def test_an_address_that_can_be_called_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPHUB_PUBLIC_URL", url)
    assert settings(Path("hub")).public_url == url


def test_a_timeout_that_is_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout=5"):
        Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite?timeout=long", pepper=b"p" * 32)


@pytest.mark.parametrize("limit", ["0MB", "1.2.3MB", ".MB", "0%", "200%", "1KB"])
def test_memory_duckdb_cannot_work_with_is_refused(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPHUB_MEMORY_LIMIT", limit)
    with pytest.raises(ConfigurationError, match=r"^IPHUB_MEMORY_LIMIT: write it as 512MB"):
        settings(Path("hub"))


@pytest.mark.parametrize("limit", ["512MB", "1.5GiB", "0.5GB", "2 GB", "80%", "100%", "512mb"])
def test_memory_is_said_as_duckdb_understands_it(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPHUB_MEMORY_LIMIT", limit)
    assert settings(Path("hub")).memory_limit == limit


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As lines of an environment file that nobody filled in."""
    for name in (*WRONG, "IPHUB_SFTP", "IPHUB_KNOWN_HOSTS", "IPHUB_LEDGER_URL"):
        monkeypatch.setenv(name, "")
    found = settings(Path("hub"))
    assert (found.sftp, found.known_hosts, found.ledger_url) == (None, None, None)


def test_a_misspelt_variable_is_refused_and_one_of_others_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IPHUB_TEST_POSTGRES_URL", "ours")
    monkeypatch.setenv("IPHUB_SERVICE_HOST", "Kubernetes names a service's variables after it")
    read_env_file()
    monkeypatch.setenv("IPHUB_TRUSTED_PROXYS", "127.0.0.1")
    with pytest.raises(ConfigurationError, match="IPHUB_TRUSTED_PROXIES may be meant"):
        read_env_file()
    monkeypatch.delenv("IPHUB_TRUSTED_PROXYS")
    monkeypatch.setenv("Iphub_Home", "of another hub")
    with pytest.raises(ConfigurationError, match="IPHUB_HOME may be meant"):
        read_env_file()


BAD_FILES = {
    "IPHUB_PROXY=127.0.0.1\n": "IPHUB_PROXY is no setting",
    "iphub_home=hub\n": "iphub_home is no setting: IPHUB_HOME may be meant",
    "IPHUB_WORKERS=2\nIPHUB_WORKERS=3\n": "has IPHUB_WORKERS twice",
    'IPHUB_ENVIRONMENT="acceptance\n': "cannot be read at IPHUB_ENVIRONMENT",
    "IPHUB_ENVIRONMENT acceptance\n": "cannot be read at IPHUB_ENVIRONMENT",
    "IPHUB_ENVIRONMENT\n": "cannot be read at IPHUB_ENVIRONMENT",
    "\udcff\udcfe": "is no text in UTF-8",
}


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of the folder commands are started in; what it sets is set no longer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return tmp_path / ".env"


@pytest.mark.parametrize("text", BAD_FILES)
def test_a_line_that_would_set_nothing_is_told(text: str, env_file: Path) -> None:
    env_file.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(ConfigurationError, match=BAD_FILES[text]):
        read_env_file()


def test_the_file_says_what_the_environment_does_not(env_file: Path) -> None:
    """Options read variables too, such as ``--home``; Dagster and the workers inherit them."""
    env_file.write_text(
        "\ufeffOTHER=1\n# IPHUB_WORKERS=9\nexport IPHUB_HOME = 'of the file'\r\n"
        "IPHUB_WORKERS=3\nIPHUB_SFTP=\nIPHUB_ROWS_PER_MINUTE=7\n",
        "utf-8",
    )
    os.environ |= {"IPHUB_WORKERS": "5", "IPHUB_ROWS_PER_MINUTE": ""}
    read_env_file()
    ours = {name: value for name, value in os.environ.items() if name.startswith("IPHUB_")}
    ours = {name: value for name, value in ours.items() if not name.startswith("IPHUB_TEST_")}
    assert ours == {
        "IPHUB_HOME": "of the file",
        "IPHUB_WORKERS": "5",
        "IPHUB_SFTP": "",
        "IPHUB_ROWS_PER_MINUTE": "7",
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%eth0", "localhost"])
def test_every_address_that_can_be_listened_on_can_be_named(
    host: str, tmp_path: Path, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers are told their address as ``IPHUB_PUBLIC_URL``."""
    told = list[str | None]()
    monkeypatch.setattr("iphub.serve.run", lambda *_: told.append(Settings().public_url))
    monkeypatch.setattr("iphub.serve.take_your_time", lambda: None)
    Hub.create(settings(tmp_path / "hub")).close()
    serve(home=tmp_path / "hub", host=host, port=8000)
    assert told == [f"http://[{host}]:8000" if ":" in host else f"http://{host}:8000"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("IPHUB_SFTP", "127.0.0.1", "an SFTP address looks like"),
        ("IPHUB_SFTP_KEY", "no such file", "cannot use the private key"),
        ("IPHUB_KNOWN_HOSTS", "no such file", "cannot read the pinned host keys"),
        ("IPHUB_KNOWN_HOSTS", "", "No host keys are pinned"),
        ("IPHUB_NOTIFY_INSIDE", "inside", "name addresses or networks"),
    ],
)
def test_dagster_is_not_started_with_settings_its_sensors_would_refuse(
    name: str, value: str, told: str, env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iphub.dagster_ui.start_dagster", lambda *_: pytest.fail("started"))
    known_hosts = env_file.with_name("known_hosts")
    known_hosts.touch()
    os.environ |= {"IPHUB_SFTP": "sftp://hub@127.0.0.1", "IPHUB_KNOWN_HOSTS": str(known_hosts)}
    os.environ[name] = value
    Hub.create(settings(env_file.with_name("hub"))).close()
    with pytest.raises(ConfigurationError, match=told):
        dagster(home=env_file.with_name("hub"), port=1)


def test_the_demo_stays_away_from_a_hubs_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPHUB_LEDGER_URL", "postgresql+psycopg://iphub@127.0.0.1:1/production")
    with pytest.raises(ConfigurationError, match="unset it first"):
        demo(home=tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
