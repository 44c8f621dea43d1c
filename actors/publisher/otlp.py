"""Makes the OTLP exporter that a configuration names. The libraries are imported only where something is traced."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, assert_never
from urllib.parse import urlsplit

from actors.publisher.tracing_config import OtlpProtocol, TracingConfig

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_SCOPE: Final = "https://www.googleapis.com/auth/trace.append"


def make_exporter(config: TracingConfig) -> SpanExporter:
    """Return the exporter to `config.endpoint`; nothing is connected yet.

    Raises:
        google.auth.exceptions.GoogleAuthError: Google's credentials are wanted and there are none.
    """
    # The exporters log every failed attempt with its stack; `SpanExport` tells the first one of a row.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    match config.protocol:
        case OtlpProtocol.HTTP:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - costs 15 MB
                OTLPSpanExporter,
            )

            return OTLPSpanExporter(
                endpoint=_traces_url(config.endpoint),
                timeout=config.timeout_s,
                headers=dict(config.headers),
                session=_google_session() if config.google_credentials else None,
            )
        case OtlpProtocol.GRPC:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - costs 31 MB
                OTLPSpanExporter as GrpcSpanExporter,
            )

            return GrpcSpanExporter(
                endpoint=config.endpoint,
                insecure=config.endpoint.startswith("http://"),
                timeout=config.timeout_s,
                headers={name.lower(): value for name, value in config.headers.items()},
            )
        case _:
            assert_never(config.protocol)


def _traces_url(endpoint: str) -> str:
    """Return where traces go, as OTEL_EXPORTER_OTLP_ENDPOINT is understood elsewhere too."""
    parts = urlsplit(endpoint)
    return endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"


def _google_session() -> Any:  # noqa: ANN401 - google-auth ships no types
    import google.auth  # noqa: PLC0415 - only where it is wanted
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415 - as above

    credentials, _ = google.auth.default(scopes=[_SCOPE])
    session: Any = AuthorizedSession
    return session(credentials)
