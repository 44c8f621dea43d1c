"""A collector of its own process: OTLP over HTTP and gRPC, and it can be told to misbehave.

Prints its two ports, then each span it takes as one JSON line. A line on its standard input changes its mood: `ok`,
`hang` (answers nobody), `refuse` (answers 503 or UNAVAILABLE) or `deny` (answers 400 or INVALID_ARGUMENT). It gives out
OAuth tokens at /token, and tells which authorisation a batch came with.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as rpc

_STATUS = {"refuse": 503, "deny": 400}
_CODES = {"refuse": grpc.StatusCode.UNAVAILABLE, "deny": grpc.StatusCode.INVALID_ARGUMENT}


class Mood:
    """How requests are treated now."""

    def __init__(self) -> None:
        self.name = "ok"
        self.changed = threading.Event()

    def change(self, name: str) -> None:
        """Treat requests so from now on; those that hang are let go."""
        self.name = name
        self.changed.set()
        self.changed = threading.Event()

    def suffer(self) -> str:
        """Hang if that is the mood; return the mood."""
        if self.name == "hang":
            self.changed.wait(60.0)
        return self.name


MOOD = Mood()


def say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def tell(request: Any, authorization: str) -> None:
    for resource in request.resource_spans:
        about = {a.key: a.value.string_value for a in resource.resource.attributes}
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            line = {
                "name": span.name,
                "trace": span.trace_id.hex(),
                "span": span.span_id.hex(),
                "parent": span.parent_span_id.hex(),
                "links": [link.trace_id.hex() for link in span.links],
                "start_ns": span.start_time_unix_nano,
                "end_ns": span.end_time_unix_nano,
                "fault": span.status.message,
                "device": next(
                    (a.value.string_value for a in span.attributes if a.key == "device.id"), ""
                ),
                "site": about.get("site.id", ""),
                "authorization": authorization,
            }
            say(line)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/token":
            self._answer(
                200, b'{"access_token": "a-token", "expires_in": 3600}', "application/json"
            )
            return
        mood = MOOD.suffer()
        if mood == "ok":
            request = service.ExportTraceServiceRequest.FromString(body)
            tell(request, self.headers.get("Authorization", ""))
        self._answer(_STATUS.get(mood, 200), b"", "application/x-protobuf")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as in the base class
        pass


class Servicer(rpc.TraceServiceServicer):
    def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        mood = MOOD.suffer()
        if mood in _CODES:
            context.abort(_CODES[mood], "as told")
        tell(request, dict(context.invocation_metadata()).get("authorization", ""))
        return service.ExportTraceServiceResponse()


def main() -> None:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    server = grpc.server(ThreadPoolExecutor(4))
    add: Any = rpc.add_TraceServiceServicer_to_server
    add(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say({"http": http.server_port, "grpc": port})
    for line in sys.stdin:
        MOOD.change(line.strip())


if __name__ == "__main__":
    main()
