"""Two network namespaces with an emulated link between them."""

import os
import shutil
import subprocess
from pathlib import Path

from . import setup
from .process import Failed, die_with_parent, tail
from .setup import PREFIX, quietly

#: Server and client.
ADDRESSES = ("10.83.0.1", "10.83.0.2")
INTERFACE = "link0"


def why_not():
    """Why there can be no emulated link here; None if there can."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not shutil.which("ip"):
        return "needs ip (iproute2)"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    return None


def remove_left_over():
    """Removes namespaces of runs that were killed."""
    for path in setup.left_over(Path("/run/netns")):
        subprocess.run(["ip", "netns", "del", path.name], check=False)


class Link:
    """The link; usable as long as the `with` block lasts."""

    def __init__(self, program, work, mbit, rtt_ms, loss_percent):
        self.names = [f"{PREFIX}{os.getpid()}-{side}" for side in "ab"]
        self.log = work / "tun_link.log"
        self.command = [program, "--mbit", str(mbit), "--rtt-ms", str(rtt_ms),
                        "--loss-percent", str(loss_percent)]
        for side, name in zip("ab", self.names):
            self.command += [f"--{side}", f"{name}:{INTERFACE}"]
        self.child = None

    def inside(self, side):
        """What comes in front of a command that runs at one end (0: server, 1: client)."""
        return ["ip", "netns", "exec", self.names[side]]

    def __enter__(self):
        try:
            for side, name in enumerate(self.names):
                quietly(["ip", "netns", "add", name])
                here, there = ADDRESSES[side], ADDRESSES[1 - side]
                for words in (["link", "set", "lo", "up"],
                              ["tuntap", "add", "dev", INTERFACE, "mode", "tun"],
                              ["addr", "add", here, "peer", there, "dev", INTERFACE],
                              ["link", "set", INTERFACE, "up"]):
                    quietly(["ip", "-n", name, *words])
            with open(self.log, "wb") as out:
                self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=out,
                                              stderr=out, preexec_fn=die_with_parent)
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_until_ready(self):
        for _ in range(200):
            if "ready" in tail(self.log):
                return
            try:
                self.child.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise Failed(f"the emulated link did not start\n{tail(self.log)}")

    def use(self, congestion):
        """Which congestion control new TCP connections have, at both ends."""
        for side, name in enumerate(self.names):
            quietly(["ip", "-n", name, "route", "replace", ADDRESSES[1 - side], "dev", INTERFACE,
                     "src", ADDRESSES[side], "congctl", congestion])

    def __exit__(self, *_):
        if self.child:
            # It ends with its standard input, and says what it has done.
            self.child.stdin.close()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
            self.child = None
        for name in self.names:
            if Path("/run/netns", name).exists():
                subprocess.run(["ip", "netns", "del", name], check=False)

    def counts(self):
        """What the link has done, after its end."""
        return [line for line in tail(self.log).splitlines() if line.startswith("from ")]
