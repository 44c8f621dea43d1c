"""`python -m bessai.cloud_simulator.relay`: a TCP relay that delays, cuts, freezes or swallows what passes.

It knows no protocol, so it does the same to gRPC, TLS and MQTT.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import sys
import threading

import click
import msgspec

from bessai.cloud_simulator.orders import Ready, obey, say

_CHUNK_BYTES = 1 << 16


class Mode(enum.Enum):
    """What happens to connections from now on."""

    PASS = "pass"  # noqa: S105 - not a password
    """Bytes pass, new connections too."""
    REFUSE = "refuse"
    """Every connection is cut, and a new one is closed at once."""
    HALF_OPEN = "half_open"
    """What is connected now stays so and carries nothing any more; a new connection works."""
    BLACKHOLE = "blackhole"
    """Nothing passes on any connection, old or new, and none is closed."""


class RelayOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change."""

    mode: Mode | None = None
    cut: bool = False
    """Whether every present connection is reset now."""
    delay_s: float | None = None
    """How long each piece of data is held back."""


class RelayTold(msgspec.Struct, frozen=True, kw_only=True):
    """What the relay answers."""

    connections: int


class _Connection:
    """Two sockets with us in between."""

    def __init__(self) -> None:
        self.frozen = False
        self.writers: list[asyncio.StreamWriter] = []

    def reset(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Relay:
    """Passes connections on to `host`:`port`; lives in one event loop."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._mode = Mode.PASS
        self._delay_s = 0.0
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> int:
        """Listen on a free port of the loopback and return it."""
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def obey(self, order: RelayOrder) -> RelayTold:
        """Carry out `order`."""
        if order.delay_s is not None:
            self._delay_s = order.delay_s
        if order.mode is not None:
            self._mode = order.mode
            for connection in self._connections:
                connection.frozen = order.mode in {Mode.HALF_OPEN, Mode.BLACKHOLE}
        if order.cut or order.mode is Mode.REFUSE:
            for connection in list(self._connections):
                connection.reset()
        return RelayTold(connections=len(self._connections))

    async def close(self) -> None:
        """Reset every connection and listen no more."""
        self._server.close()
        for connection in list(self._connections):
            connection.reset()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._mode is Mode.REFUSE:
            writer.transport.abort()
            return
        connection = _Connection()
        connection.frozen = self._mode is Mode.BLACKHOLE
        connection.writers.append(writer)
        self._connections.add(connection)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            connection.writers.append(far_writer)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(connection, reader, far_writer))
                both.create_task(self._pump(connection, far_reader, writer))
        except* OSError:
            pass  # one end is gone, so the other goes too
        finally:
            connection.reset()
            self._connections.discard(connection)

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if connection.frozen:
                continue  # swallowed
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError("one end has closed")


@click.command()
@click.option("--host", default="127.0.0.1")
@click.option("--port", type=int, required=True)
def main(host: str, port: int) -> None:
    """Relay to HOST:PORT until standard input ends."""

    async def serve() -> None:
        relay = Relay(host, port)
        loop = asyncio.get_running_loop()
        say(Ready(port=await relay.listen()))
        ended = asyncio.Event()

        def read_orders() -> None:
            def carry_out(order: RelayOrder) -> RelayTold:
                done = asyncio.run_coroutine_threadsafe(_now(relay, order), loop)
                return done.result()

            obey(msgspec.json.Decoder(RelayOrder), carry_out)
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=read_orders, daemon=True).start()
        await ended.wait()
        await relay.close()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
    sys.stdout.flush()


async def _now(relay: Relay, order: RelayOrder) -> RelayTold:
    return relay.obey(order)


if __name__ == "__main__":
    main()
