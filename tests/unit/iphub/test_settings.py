"""Settings an operator mistyped: told by the name of the variable, before anything begins."""

from pathlib import Path

import pytest

from iphub.context import settings
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


@pytest.mark.parametrize("limit", ["512MB", "1.5GiB", "2 GB", "80%", "512mb"])
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
