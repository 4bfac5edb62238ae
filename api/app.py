"""The application: routers, handlers of errors, the envelope around all answers.

``create_app`` is the only way to make one; importing this module does nothing.
"""

from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from api import (
    authorizations,
    changes,
    coverage,
    deliveries,
    delta_sharing,
    documentation,
    exports,
    files,
    findings,
    health,
    history,
    jobs,
    me,
    metadata,
    metrics,
    oauth,
    openapi,
    packages,
    problems,
    quality_reports,
    receipts,
    redistribution,
    removals,
    webhooks,
)
from api.direct import DirectApp
from api.envelope import Envelope
from api.service import Service
from ipregister.errors import HubError

UNOBSERVED: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""Who reads what goes into our own receipts and metrics, and to no collector beside them."""


def create_app(service: Service) -> FastAPI:
    """Return the application over open stores.

    The description is at ``/openapi.json``, and for people at ``/docs``: FastAPI's own page
    loads its scripts from other people's servers.
    """
    app = DirectApp(
        title=openapi.TITLE,
        version=openapi.VERSION,
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": service.public_url}],
        telemetry=UNOBSERVED,
    )
    app.state.service = service
    # The routes themselves, most used first: FastAPI's included routers match a path several
    # times over, 60 of the 150 microseconds of a point read.
    third_parties = (redistribution, changes, me, oauth, exports, delta_sharing, webhooks)
    offices = (
        authorizations,
        deliveries,
        findings,
        removals,
        packages,
        files,
        jobs,
        receipts,
        quality_reports,
        coverage,
        history,
    )
    parts = (*third_parties, *offices, metadata, health, metrics, documentation)
    app.router.routes[:0] = [route for part in parts for route in part.router.routes]
    app.add_exception_handler(HubError, problems.answer_error)
    app.add_exception_handler(HTTPException, problems.answer_http)
    app.add_exception_handler(RequestValidationError, problems.answer_invalid)
    paths = [path for route in app.router.routes if (path := getattr(route, "path", None))]
    app.state.metrics = metrics.Metrics(service.counting, paths)
    envelope = partial(Envelope, public_url=service.public_url, metrics=app.state.metrics)
    app.add_middleware(envelope)
    app.go_directly(envelope)
    openapi.install(app)
    return app
