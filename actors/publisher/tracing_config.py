"""Where spans go."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec


class OtlpProtocol(enum.Enum):
    """How a collector is spoken to."""

    HTTP = "http"
    """OTLP over HTTP, protobuf; an endpoint without a path gets /v1/traces."""
    GRPC = "grpc"
    """OTLP over gRPC; http:// means without TLS, https:// with."""


class TracingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An OpenTelemetry collector; without an endpoint nothing is traced."""

    endpoint: Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s/]+\S*)?$")] = ""
    """Such as `http://127.0.0.1:4318`; empty: no traces."""
    protocol: OtlpProtocol = OtlpProtocol.HTTP
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=30)] = 2.0
    """Time for one batch, retries included."""
    queue: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 2048
    """Spans that wait at most; beyond it the oldest are dropped and counted."""
    headers: dict[str, str] = {}
    """Sent with every batch, such as an API key."""
    polls: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    """The share of polls that are traced; commands and trips always are, once there is an endpoint."""
    google_credentials: bool = False
    """Authorise with the application default credentials: for telemetry.googleapis.com over HTTP."""
