"""Where a service account's key is exchanged for a token: Google's OAuth endpoint, with failures on order."""

from __future__ import annotations

import enum
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TokenState(enum.Enum):
    """What the endpoint answers."""

    GRANTED = "granted"
    REFUSED = "refused"
    """As for a key that was revoked or has expired."""


class TokenServer:
    """Gives out one token, valid for `lifetime_s`, on a free port of the loopback."""

    def __init__(self, token: str, *, lifetime_s: int = 3600) -> None:
        self.state = TokenState.GRANTED
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                self.rfile.read(length)
                if owner.state is TokenState.GRANTED:
                    answer = {
                        "access_token": token,
                        "expires_in": lifetime_s,
                        "token_type": "Bearer",
                    }
                    self._answer(200, answer)
                else:
                    self._answer(
                        400, {"error": "invalid_grant", "error_description": "key revoked"}
                    )

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Say nothing."""

            def _answer(self, status: int, answer: dict[str, Any]) -> None:
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where tokens are asked for."""
        return f"http://127.0.0.1:{self._server.server_port}/token"
