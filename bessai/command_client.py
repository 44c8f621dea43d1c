"""Asks a running gateway for something through its command socket."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec

from actors.api.command_socket import MAX_LINE_BYTES, SOCKET_NAME, reach
from actors.api.commands import Order, Reply

PATIENCE_S = 6.0
"""Longer than the gateway itself waits for SafetyActor."""


class NoGatewayError(Exception):
    """The gateway cannot be asked; the message says why and what to do."""


def order(state_dir: Path, asked: Order) -> Reply:
    """Return what the gateway that uses `state_dir` says to `asked`.

    Raises:
        NoGatewayError: it does not listen, may not be reached, or did not answer.
    """
    path = state_dir / SOCKET_NAME
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock, reach(state_dir) as short:
            sock.settimeout(PATIENCE_S)
            sock.connect(f"{short}/{SOCKET_NAME}")
            sock.sendall(msgspec.json.encode(asked) + b"\n")
            line = sock.makefile("rb").readline(MAX_LINE_BYTES)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoGatewayError(
            f"no gateway listens on {path}: start it, or name its state directory with --state-dir"
        ) from error
    except PermissionError as error:
        raise NoGatewayError(
            f"{path} may not be reached by this user: be the gateway's user, root, or in api.command_group"
        ) from error
    except OSError as error:
        raise NoGatewayError(
            f"{path}: {error}; whether the order counts is not known: look at bessai audit show"
        ) from error
    return _decoded(path, line)


def _decoded(path: Path, line: bytes) -> Reply:
    try:
        return msgspec.json.decode(line, type=Reply)
    except msgspec.MsgspecError as error:
        raise NoGatewayError(
            f"{path} hung up without an answer: it may be too busy, or the gateway stops; ask again"
        ) from error
