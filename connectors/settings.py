"""Settings of a hub, typed, from ``IPHUB_*`` variables or an env file.

Read by the entry points (command line, Dagster's code location) and passed on from there;
nothing else looks at the environment.
"""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where a hub lives and what it may use."""

    model_config = SettingsConfigDict(
        env_prefix="IPHUB_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
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
        pattern="^https?://[^/]",
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
        pattern="(?i)^[0-9.]+ ?([KMGT]i?B|%)$",
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
