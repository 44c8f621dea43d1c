"""A collector in a process of its own, and what it has taken."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from typing import Any

from actors.publisher.tracing_config import OtlpProtocol, TracingConfig

PATIENCE_S = 20.0


class Collector:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.actors.publisher.otlp_receiver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.spans: queue.Queue[dict[str, Any]] = queue.Queue()
        assert self._process.stdout is not None
        self.ports = json.loads(self._process.stdout.readline())
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self.spans.put(json.loads(line))

    def mood(self, name: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()

    def take(self) -> dict[str, Any]:
        return self.spans.get(timeout=PATIENCE_S)

    def config(self, protocol: OtlpProtocol, **more: Any) -> TracingConfig:
        path = "/v1/traces" if protocol is OtlpProtocol.HTTP else ""
        endpoint = f"http://127.0.0.1:{self.ports[protocol.value]}{path}"
        return TracingConfig(endpoint=endpoint, protocol=protocol, timeout_s=0.4, **more)

    def end(self) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
