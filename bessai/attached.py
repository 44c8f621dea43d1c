"""`python -m bessai.attached PARENT MODULE [OPTION...]`: runs MODULE, and asks it to stop if process PARENT ends.

A program that is killed cannot stop those it started; with this the kernel tells them by SIGTERM, so that the gateway
still leaves every battery in its safe state.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1


def stop_with_parent(parent_pid: int) -> None:
    """Have the kernel send SIGTERM to this process when its parent ends.

    Raises:
        ProcessLookupError: the parent `parent_pid` is gone already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        raise ProcessLookupError(f"parent {parent_pid} is gone")


if __name__ == "__main__":
    _, parent, module, *options = sys.argv
    stop_with_parent(int(parent))
    sys.argv = [module, *options]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
