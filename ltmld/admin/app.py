"""The control plane as an ASGI application; the daemon gives it to uvicorn."""

from __future__ import annotations

import os
from collections.abc import Iterable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ltmld import __version__
from ltmld.admin import answers
from ltmld.admin.door import LOCAL_HOSTS, Door
from ltmld.admin.routes import make_router
from ltmld.config import AdminSettings
from ltmld.core.ports import Control
from ltmld.errors import LtmldError


def make_app(
    control: Control,
    *,
    token: str,
    allowed_hosts: Iterable[str] = LOCAL_HOSTS,
    settings: AdminSettings | None = None,
) -> FastAPI:
    """Return the application: *control* behind *token*, for callers that name one of *allowed_hosts*.

    Loopback addresses are always allowed; a port in ``Host`` or ``Origin`` must be the one we listen on.
    """
    app = FastAPI(
        title="ltmld",
        version=__version__,
        # No page of its own: the usual ones load scripts from a CDN, and this machine may have no network.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    app.add_middleware(Door, token=token, hosts=tuple(allowed_hosts))
    app.add_exception_handler(LtmldError, answers.on_ltmld_error)
    app.add_exception_handler(RequestValidationError, answers.on_invalid_body)
    app.add_exception_handler(HTTPException, answers.on_http_error)
    app.add_exception_handler(Exception, answers.on_surprise)
    limits = settings or AdminSettings()
    app.include_router(make_router(control, pid=os.getpid(), import_bytes_max=limits.import_bytes_max))
    return app
