"""What a cell asks of the operating system: a process, a name, a parent to die with, and care of its memory."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

import setproctitle

_PR_SET_PDEATHSIG = 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def spawn(
    module: str, title: str, link: socket.socket, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start `module` in a fresh interpreter that inherits `link` and nothing else, and return its process.

    `title` is what the process list shows until the process names itself.
    """
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", module, str(link.fileno()), title],
        pass_fds=(link.fileno(),),
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment},
    )


def name_process(title: str) -> None:
    """Make the process list show `title`."""
    setproctitle.setproctitle(title)


def go_first() -> None:
    """Have this thread, and those that it starts from now on, run before all that has no real-time priority.

    Raises:
        PermissionError: that takes CAP_SYS_NICE or a limit of real-time priority (RLIMIT_RTPRIO) of 1 and more.
    """
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def stay_on_one_processor(turn: int) -> None:
    """Keep this thread, and those that it starts from now on, on one of the processors that it may use.

    Which one depends on `turn`, so that whoever comes after one that got no time there is somewhere else.

    Raises:
        PermissionError: a filter of system calls forbids it.
    """
    processors = sorted(os.sched_getaffinity(0))
    processors.reverse()  # the first is often the one that serves interrupts
    os.sched_setaffinity(0, {processors[(turn - 1) % len(processors)]})


def may_go_first() -> bool:
    """Return whether `go_first` is permitted to this process; a thread that ends with it tries."""
    permitted = False

    def try_it() -> None:
        nonlocal permitted
        with suppress(PermissionError):
            go_first()
            permitted = True

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return permitted


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends.

    Raises:
        ProcessLookupError: the parent `parent_pid` is gone already.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        msg = f"parent {parent_pid} is gone"
        raise ProcessLookupError(msg)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of `pid`, 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:  # noqa: PTH123 - read a few times a second
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def give_memory_back() -> None:
    """Return to the kernel what the C library keeps of freed memory; nothing where it has no such call.

    By itself it returns only what lies above all that is in use, so what a burst of messages took would stay taken.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def thread_cpu_ns(native_id: int) -> int:
    """Return the processor time that a thread of this process has used, in nanoseconds; 0 if it is gone."""
    try:
        with open(f"/proc/self/task/{native_id}/schedstat", "rb") as stat:  # noqa: PTH123 - as above
            return int(stat.read().split()[0])
    except (OSError, IndexError):
        return 0


def reap_strangers(known: set[int]) -> None:
    """Collect ended children that are not in `known`: as PID 1 we inherit the orphans of the container."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in known:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def describe_exit(returncode: int) -> str:
    """Return what an exit status means in words."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"ended by signal {-returncode}"
