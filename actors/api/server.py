"""An HTTP server on a thread and loop of its own, that slow, idle or many clients cannot exhaust.

uvicorn itself never closes a connection that sends no request or does not read its answer; here one that completes
no response in time is cut.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from actors.api.config import ApiConfig

GRACE_S: Final = 0.6
"""How long requests in progress may take to end at a stop; then they are cut."""
_CUT_S: Final = 0.3
_BACKLOG: Final = 128


class ApiBindError(Exception):
    """The address cannot be listened on; the message names it and the fix."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on `host` and `port` (0: a free one).

    Raises:
        ApiBindError: the address is in use, not of this machine or not permitted.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ApiBindError(_explain(host, port, error)) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise ApiBindError(_explain(host, port, error)) from error
    return listener


def _explain(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            fix = "stop the program that uses it, or set another port (HEALTH_PORT)"
        case errno.EACCES:
            fix = "set a port of 1024 or above (HEALTH_PORT)"
        case _:
            fix = "set the host to an address of this machine, 127.0.0.1 or 0.0.0.0"
    return f"the api cannot listen on {host} port {port}: {error.strerror or error}; {fix}"


class _ImpatientProtocol(H11Protocol):
    """A connection that is cut when it completes no response within `limit_s`."""

    limit_s = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        super().connection_made(transport)
        self._patience = self.loop.call_later(self.limit_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._patience.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._patience.cancel()
        self._patience = self.loop.call_later(self.limit_s, self.transport.abort)
        super().on_response_complete()


class HttpServer:
    """Serves `app` on `listener`, which it closes; tells `on_end` if it ends without being asked."""

    def __init__(
        self,
        app: Starlette,
        listener: socket.socket,
        config: ApiConfig,
        on_end: Callable[[str], None],
    ) -> None:
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._on_end = on_end
        self._loop = asyncio.new_event_loop()
        self._server = uvicorn.Server(_settings(app, config))
        self._thread = threading.Thread(target=self._run, name="api http", daemon=True)

    def start(self) -> None:
        """Begin to serve; what connects before that waits in the backlog."""
        self._thread.start()

    def ping(self, answer: Callable[[], None]) -> None:
        """Have `answer` called by the server's loop, which shows that it still turns."""
        self._call(answer)

    def release(self) -> None:
        """Free the port at once and begin to stop; does not block, from any thread."""
        self._server.should_exit = True
        self._call(self._stop_listening)

    def stop(self) -> bool:
        """Stop serving within about a second; return whether the thread has ended."""
        self.release()
        self._thread.join(GRACE_S)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(_CUT_S)
        return not self._thread.is_alive()

    def _call(self, work: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nothing left to do or to show
            self._loop.call_soon_threadsafe(work)

    def _stop_listening(self) -> None:
        for server in getattr(self._server, "servers", ()):  # absent until it has started
            server.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        reason = "it stopped serving"
        try:
            self._loop.run_until_complete(self._server.serve(sockets=[self._listener]))
        except BaseException as error:  # noqa: BLE001 - the end of a thread: told to the actor, which fails with it
            reason = repr(error)
        finally:
            self._loop.close()
            self._listener.close()
        if not self._server.should_exit:
            self._on_end(reason)


def _settings(app: Starlette, config: ApiConfig) -> uvicorn.Config:
    class Protocol(_ImpatientProtocol):
        limit_s = config.response_limit_s

    settings: dict[str, Any] = {
        "http": Protocol,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": _BACKLOG,
        "limit_concurrency": config.max_connections,
        "timeout_keep_alive": 5,
        "timeout_graceful_shutdown": 1,
    }
    return uvicorn.Config(app, **settings)
