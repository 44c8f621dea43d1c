"""Open files: every port and every client's connection is one, and a process may have only so many."""

from __future__ import annotations

import resource

PER_PORT = 4
"""The port itself, and a few clients."""
OTHERS = 64


class TooFewDescriptorsError(Exception):
    """More sockets are needed than this process may have."""

    def __init__(self, ports: int, needed: int, allowed: int) -> None:
        """Name what is needed, what is allowed, and the fix."""
        super().__init__(
            f"{ports} ports need up to {needed} open files, and this process may have {allowed}: "
            f"raise the limit (ulimit -n {needed}), or simulate fewer devices"
        )


def allow_sockets(ports: int) -> int:
    """Raise this process's own limit as far as `ports` need it, and return the limit.

    Raises:
        TooFewDescriptorsError: if the system allows less.
    """
    needed = ports * PER_PORT + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return soft
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooFewDescriptorsError(ports, needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return needed
