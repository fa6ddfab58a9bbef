"""Processes: running one with its CPU time, servers with theirs, and a quiet machine."""

import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
#: How long the machine has to be quiet before a run, and how long to wait for that, in seconds.
QUIET_FOR, QUIET_WAIT = 1.0, 30.0
#: How long a server may take to start, and to stop, in seconds.
START, STOP = 20.0, 5.0
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """Something that the benchmark cannot do, said for people."""


def die_with_parent():
    """In a new child: ends when this program does, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def tail(path, lines=8):
    """The end of a log."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.replace("\r", "\n").strip().splitlines()[-lines:])


@dataclass
class Usage:
    """What a command has taken, in seconds."""

    wall: float
    cpu: float


def end_group(pid):
    """Ends a process that leads a group, with the group. Leaves it to the caller to wait."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(command, log, limit, environment, folder):
    """Runs a command in a folder to its end; its CPU time includes that of its children."""
    with open(log, "wb") as out:
        begin = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 env=environment, cwd=folder, preexec_fn=die_with_parent,
                                 start_new_session=True)
    # wait4 knows no limit, and polling would add its own time: an alarm ends the command.
    timed_out = []

    def ring(_signal, _frame):
        timed_out.append(True)
        end_group(child.pid)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if child.returncode is None:
            end_group(child.pid)
            child.wait()
    if timed_out:
        raise Failed(f"not finished after {limit:.0f} s\n{tail(log)}")
    if child.returncode != 0:
        raise Failed(f"exit code {child.returncode}\n{tail(log)}")
    return Usage(wall, usage.ru_utime + usage.ru_stime)


def stat(pid):
    """Of a process: its parent, and the CPU time of it and of the children it has waited for.
    None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may contain anything.
    fields = text.rpartition(")")[2].split()
    return int(fields[1]), sum(map(int, fields[11:15])) / TICKS


def family(pid):
    """A process and all that descend from it: their CPU time in seconds, and how many."""
    parents, times = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            found = stat(int(name))
            if found:
                parents[int(name)], times[int(name)] = found
    members = {pid}
    while True:
        more = {child for child, parent in parents.items() if parent in members} - members
        if not more:
            break
        members |= more
    return sum(times.get(member, 0.0) for member in members), len(members & times.keys())


class Server:
    """A program that runs until `stop`."""

    def __init__(self, name, command, log, environment, folder):
        self.name, self.log = name, log
        with open(log, "wb") as out:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment,
                cwd=folder, preexec_fn=die_with_parent, start_new_session=True)
        self.idle_family = 1

    def wait_until(self, ready):
        """Waits for it to be ready."""
        end = time.monotonic() + START
        while not ready():
            if self.child.poll() is not None:
                raise Failed(f"{self.name} did not start\n{tail(self.log)}")
            if time.monotonic() > end:
                raise Failed(f"{self.name} is not ready after {START:.0f} s\n{tail(self.log)}")
            time.sleep(0.02)
        self.idle_family = family(self.child.pid)[1]

    def cpu(self):
        """Its CPU time so far, in seconds, once those that served one client have gone."""
        end = time.monotonic() + 3.0
        cpu, members = family(self.child.pid)
        while members > self.idle_family and time.monotonic() < end:
            time.sleep(0.01)
            cpu, members = family(self.child.pid)
        return cpu

    def stop(self):
        """Ends it and its children."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(STOP)
            except subprocess.TimeoutExpired:
                pass
        end_group(self.child.pid)
        self.child.wait()


def idle_times():
    """Of each core: ticks idle, ticks in all."""
    cores = []
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and not line.startswith("cpu "):
            ticks = list(map(int, line.split()[1:9]))
            cores.append((ticks[3] + ticks[4], sum(ticks)))
    return cores


def wait_for_quiet():
    """Waits until every core has been at least 90 % idle for a second. False: it was not."""
    end = time.monotonic() + QUIET_WAIT
    before = idle_times()
    while time.monotonic() < end:
        time.sleep(QUIET_FOR)
        after = idle_times()
        pairs = zip(before, after)
        if all(10 * (new[0] - old[0]) >= 9 * (new[1] - old[1]) for old, new in pairs):
            return True
        before = after
    return False
