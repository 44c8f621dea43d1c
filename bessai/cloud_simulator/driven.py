"""The simulated cloud as processes of their own, for tests and benchmarks."""

from __future__ import annotations

import selectors
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from bessai.cloud_simulator.faults import Fault
from bessai.cloud_simulator.orders import Order, Ready, Told
from bessai.cloud_simulator.relay import Mode, RelayOrder, RelayTold
from bessai.cloud_simulator.tokens import TokenState

_START_S: Final = 20.0
_ANSWER_S: Final = 10.0
_STOP_S: Final = 5.0


class _Process:
    """A program that says where it listens and then takes orders."""

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._command = [sys.executable, "-m", module, *arguments]

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.ready = msgspec.json.decode(self._line(_START_S), type=Ready)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End it."""
        assert self._process.stdin and self._process.stdout  # noqa: S101, PT018 - both are pipes
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def port(self) -> int:
        """The TCP port of the loopback where it listens."""
        return self.ready.port

    @property
    def address(self) -> str:
        """Host and port where it listens."""
        return f"127.0.0.1:{self.port}"

    def _tell(self, order: msgspec.Struct, answer: type[Any]) -> Any:  # noqa: ANN401 - of type `answer`
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(msgspec.json.encode(order) + b"\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._line(_ANSWER_S), type=answer)

    def _line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(timeout_s):
                self._process.kill()
                raise AssertionError(f"{self._command} said nothing within {timeout_s} s")
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"{self._command} has ended")
        return line


class SimulatedCloud(_Process):
    """A Pub/Sub service; with a certificate it serves TLS and asks for a token."""

    def __init__(self, *, certificate: Path | None = None, key: Path | None = None) -> None:
        tls = [f"--certificate={certificate}", f"--key={key}"] if certificate else []
        super().__init__("bessai.cloud_simulator", tls)

    def order(self, fault: Fault) -> None:
        """Let the next calls suffer `fault`."""
        self._tell(Order(fault=fault), Told)

    def clear(self) -> None:
        """End all faults that were ordered."""
        self._tell(Order(clear=True, reject=""), Told)

    def reject(self, text: str) -> None:
        """Refuse messages that contain `text`."""
        self._tell(Order(reject=text), Told)

    def tokens(self, state: TokenState) -> None:
        """Grant or refuse tokens from now on."""
        self._tell(Order(token=state), Told)

    def published(self) -> int:
        """Return how many messages were stored so far, repetitions included."""
        told: Told = self._tell(Order(), Told)
        return told.published


class ChaosRelay(_Process):
    """A relay in front of something that listens on `port` of the loopback."""

    def __init__(self, port: int) -> None:
        super().__init__("bessai.cloud_simulator.relay", [f"--port={port}"])

    def mode(self, mode: Mode) -> None:
        """Treat connections so from now on."""
        self._tell(RelayOrder(mode=mode), RelayTold)

    def cut(self) -> int:
        """Reset every present connection; return how many there were."""
        told: RelayTold = self._tell(RelayOrder(cut=True), RelayTold)
        return told.connections

    def delay(self, seconds: float) -> None:
        """Hold back each piece of data for so long."""
        self._tell(RelayOrder(delay_s=seconds), RelayTold)
