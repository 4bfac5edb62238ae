"""Settings of a hub, typed, from ``IPHUB_*`` variables or an env file.

Read by the entry points (command line, Dagster's code location) and passed on from there;
nothing else looks at the environment.
"""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from ipregister.errors import ConfigurationError

PREFIX = "IPHUB_"

ENV_FILE = ".env"

NEARLY = 0.9
"""How alike a variable and a setting are where one is taken for the other misspelt. Others may
begin like ours: what Kubernetes says of a service named ``iphub``, what our own tests need."""


class Settings(BaseSettings):
    """Where a hub lives and what it may use."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Field(
        default=Path("hub"),
        description="Directory of the embedded default; nothing is written outside it.",
    )
    ledger_url: str | None = Field(
        default=None,
        description="Ledger database, `postgresql+psycopg://…`; SQLite in the home otherwise.",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://([A-Za-z0-9._-]+|\[[0-9A-Za-z:.%]+\])(:[0-9]{1,5})?(/[!-~]*)?$",
        examples=["https://hub.example"],
        description="Address under which third parties reach the API; issuer of tokens.",
    )
    environment: Literal["production", "acceptance"] = Field(
        default="production",
        description="What this hub is for; tokens, clients and ledgers of one are refused by the "
        "other.",
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="Addresses or networks whose `X-Forwarded-For` is believed, separated by "
        "commas; nobody's otherwise.",
    )
    requests_per_minute: int = Field(
        default=12_000, ge=1, description="Requests a client may make, unless it has its own quota."
    )
    rows_per_minute: int = Field(
        default=3_000_000,
        ge=1,
        description="Records and changes a client may read, unless it has its own quota.",
    )
    accel_prefix: str | None = Field(
        default=None,
        pattern="^/.*/$",
        examples=["/_prepared/"],
        description="Internal location of nginx under which it has the prepared files; it then "
        "sends them instead of the API.",
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="Processes that read one large delivery.",
    )
    memory_limit: str = Field(
        default="512MB",
        pattern=r"(?i)^(([0-9]*[1-9][0-9]*(\.[0-9]+)?|0\.[0-9]*[1-9][0-9]*) ?[MGT]i?B"
        r"|([1-9][0-9]?|100) ?%)$",
        examples=["512MB"],
        description="Memory of one DuckDB query before it spills to disk.",
    )
    max_package_bytes: int = Field(
        default=20 << 30,
        ge=1,
        description="Most bytes of one pushed package or file; what it costs is disk.",
    )
    sftp: str | None = Field(
        default=None, description="Address of the offices' SFTP server, `sftp://user@host:port`."
    )
    sftp_key: Path | None = Field(default=None, description="Private key for the SFTP server.")
    known_hosts: Path | None = Field(
        default=None, description="Host keys of the SFTP server, as OpenSSH writes them."
    )
    notify_inside: str | None = Field(
        default=None,
        description="Networks of ours that notifications may go to, also without TLS, separated "
        "by commas; only the public internet otherwise.",
    )
    collect_seconds: int = Field(
        default=3600,
        ge=10,
        description="Time for one visit to an office; a large file goes on at the next.",
    )


def read_env_file() -> None:
    """Put the settings of ``.env`` among the variables of the environment.

    So they are those of every option that has a variable, and of every process started here.

    Raises:
        ConfigurationError: the file, or a line with a setting, cannot be read, or a setting has
            a name nobody knows: what somebody meant to set would be left as it is without a word.
    """
    file = Path(ENV_FILE)
    if file.is_file():
        try:
            text = file.read_text("utf-8-sig")
        except UnicodeDecodeError as exc:
            raise ConfigurationError(
                f"{file.resolve()} is no text in UTF-8: write it again."
            ) from exc
        read = DotEnvSettingsSource(
            Settings, file, env_file_encoding="utf-8-sig", env_ignore_empty=False
        ).env_vars
        names = re.findall(rf"(?im)^[ \t]*(?:export[ \t]+)?({PREFIX}\w*)", text)
        _refuse_unknown(names, 0.0)
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f"{file.resolve()} has {name} twice: leave one of them.")
            if (value := read.get(name.lower())) is None:
                raise ConfigurationError(
                    f"{file.resolve()} cannot be read at {name}: write {name}=VALUE in one line, "
                    "with both quotes or none."
                )
            if not os.environ.get(name.upper()):
                os.environ[name.upper()] = value
    _refuse_unknown(os.environ, NEARLY)


def _refuse_unknown(names: Iterable[str], alike: float) -> None:
    """Refuse a name that is no setting, where it is as much like one as ``alike``.

    One in small letters is none: options do not see it, and it could win over theirs in workers.
    """
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    for name in names:
        if not name.upper().startswith(PREFIX) or name in known:
            continue
        if meant := get_close_matches(name.upper(), known, 1, alike):
            raise ConfigurationError(
                f"{name} is no setting: {meant[0]} may be meant. docs/runbook.md lists all of them."
            )
