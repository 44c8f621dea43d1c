"""The HTTP interface: GET and HEAD of `/`, `/health` and `/metrics`; every error is JSON that says what to do."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actors.api.config import ApiConfig
from actors.api.health import judge
from actors.api.kept import Kept
from actors.api.metrics import Exposition
from actors.api.snapshot import Snapshot
from supervision.clock import Clock

ENDPOINTS = {
    "/health": "how the site, its cells, actors and devices stand; 503 when safety is not being enforced",
    "/metrics": "the same and more in figures, for Prometheus",
}
_log = structlog.get_logger()
_NO_STORE = {"cache-control": "no-store"}


def make_app(snapshot: Callable[[], Snapshot], config: ApiConfig, clock: Clock) -> Starlette:
    """Return the application; its handlers only read what `snapshot` returns."""
    encoder = msgspec.json.Encoder()
    exposition = Exposition(snapshot, config, clock)
    verdict = Kept(lambda: judge(snapshot(), config, clock.monotonic_ns()), clock)

    async def index(_request: Request) -> Response:
        lines = [f"{path}  {what}" for path, what in ENDPOINTS.items()]
        return PlainTextResponse("\n".join([f"BESSAI gateway of {config.site_id}", "", *lines, ""]))

    async def health(_request: Request) -> Response:
        found = verdict.get()
        return _json(encoder.encode(found), found.http_status)

    def metrics(request: Request) -> Response:  # in a thread: the loop turns on for the others
        body, content_type = exposition.render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type, **_NO_STORE})

    routes = [Route("/", index), Route("/health", health), Route("/metrics", metrics)]
    return Starlette(
        routes=routes, exception_handlers={HTTPException: _on_refused, Exception: _on_failure}
    )


def _json(body: bytes, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(body, status, {**_NO_STORE, **(headers or {})}, media_type="application/json")


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    match error.status_code:
        case 404:
            what = f"there is no {request.url.path}"
            fix = f"use one of / {' '.join(ENDPOINTS)}"
        case 405:
            what = f"{request.method} is not allowed on {request.url.path}"
            fix = "use GET or HEAD"
        case _:
            what, fix = error.detail, ""
    body = msgspec.json.encode({"error": what, "fix": fix})
    return _json(body, error.status_code, dict(error.headers or {}))


async def _on_failure(request: Request, error: Exception) -> Response:
    _log.error("request failed", path=request.url.path, reason=repr(error))
    body = {"error": "the gateway could not answer", "fix": "look for 'request failed' in its log"}
    return _json(msgspec.json.encode(body), 500)
