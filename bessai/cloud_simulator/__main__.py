"""`python -m bessai.cloud_simulator`: serve Pub/Sub on the loopback until standard input ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import click
import grpc
import msgspec

from bessai.cloud_simulator.broker import Broker
from bessai.cloud_simulator.faults import FaultPlan
from bessai.cloud_simulator.orders import Order, Ready, Told, obey, say
from bessai.cloud_simulator.service import Service
from bessai.cloud_simulator.tokens import TokenServer
from supervision.clock import SystemClock

TOKEN: Final = "token-of-the-simulated-cloud"  # noqa: S105 - it opens nothing but this server
_OPTIONS: Final = (("grpc.max_receive_message_length", 12 << 20), ("grpc.so_reuseport", 0))


@click.command()
@click.option("--port", default=0, help="TCP port on 127.0.0.1; 0 takes a free one.")
@click.option("--certificate", type=Path, help="PEM file: serve TLS and ask for a token.")
@click.option("--key", type=Path, help="PEM file with the certificate's key.")
def main(port: int, certificate: Path | None, key: Path | None) -> None:
    """Serve topics and subscriptions from memory."""
    broker, plan = Broker(SystemClock()), FaultPlan()
    service = Service(broker, plan, token=TOKEN if certificate else "")
    server = grpc.server(ThreadPoolExecutor(32), handlers=service.handlers(), options=_OPTIONS)
    address = f"127.0.0.1:{port}"
    if certificate and key:
        pair = (key.read_bytes(), certificate.read_bytes())
        bound = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    else:
        bound = server.add_insecure_port(address)
    tokens = TokenServer(TOKEN)
    server.start()
    say(Ready(port=bound, token_url=tokens.url))

    def carry_out(order: Order) -> Told:
        if order.clear:
            plan.clear()
        if order.fault is not None:
            plan.add(order.fault)
        if order.reject is not None:
            broker.rejected_text = order.reject.encode()
        if order.token is not None:
            tokens.state = order.token
        return Told(published=broker.published)

    obey(msgspec.json.Decoder(Order), carry_out)
    server.stop(grace=None)


if __name__ == "__main__":
    main()
