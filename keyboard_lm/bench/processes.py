"""Run a command again and again and print how long each process lived and how much memory it took.

This is a script with no imports of its own package: a process that is started takes over the peak memory of the one
that starts it (on Linux), so the one that starts the measured command must be small.

Usage: python -S -E processes.py RUNS COMMAND...; prints a JSON list of [seconds, peak bytes, exit status].
"""

import json
import os
import sys
import time


def measure(command: "list[str]") -> "tuple[float, int, int]":
    """Run one command with its output discarded; return seconds, peak resident bytes, and the exit status."""
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, peak, os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    print(json.dumps([measure(sys.argv[2:]) for _ in range(int(sys.argv[1]))]))
