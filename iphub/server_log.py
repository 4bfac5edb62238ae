"""What the HTTP server itself says, in the form of our log: one JSON object per line.

Workers load this before they can be stopped in an orderly way, so it takes no time. What the API
logs is configured in ``serve``.
"""

from logging import Formatter
from typing import Any

import structlog

SERVER_LOG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "iphub.server_log.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "loggers": {"uvicorn": {"handlers": ["stderr"], "propagate": False}},
}


def formatter() -> Formatter:
    """Return what writes a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
