"""One section of the benchmark: contestants that take turns, round by round."""

import os
import re
import shlex
import statistics
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from . import data, setup
from .commands import CONGESTION, CONTESTANTS, SERVERS
from .process import Failed, Server, run, wait_for_quiet

#: A contestant that has failed so often in a section does not go on.
FAILURES = 2
#: Characters of an error that are shown.
SHOWN = 2000


@dataclass
class Ground:
    """Where a section takes place."""

    host: str = "127.0.0.1"
    #: What comes in front of the commands of servers and clients.
    server_prefix: list = field(default_factory=list)
    client_prefix: list = field(default_factory=list)
    #: A key of CONGESTION, over the emulated link.
    congestion: str | None = None


@dataclass
class Run:
    """One transfer: seconds."""

    wall: float
    client: float
    server: float


@dataclass
class Row:
    """What one contestant has done in a section."""

    label: str
    verifies: str
    syncs: str
    item: data.Item
    congestion: str | None = None
    runs: list = field(default_factory=list)
    warm_up: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def median(self, what):
        """Of the runs that count: "wall", "client" or "server", or "both" sides' CPU."""
        if what == "both":
            return statistics.median(run.client + run.server for run in self.runs)
        return statistics.median(getattr(run, what) for run in self.runs)


@dataclass
class Section:
    """A table of results."""

    key: str
    title: str
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    #: Of the link, in bit/s.
    rate: int = 0


def fill(words, values):
    """The arguments of a command line. A word that stands for a list becomes several."""
    result = []
    for word in words:
        listed = values.get(word[1:-1]) if word.startswith("{") else None
        if isinstance(listed, list):
            result += listed
        else:
            result.append(word.format_map(values))
    return result


def is_listening(pid, port):
    """Whether somebody in a process's network namespace listens on a TCP port."""
    try:
        lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return False
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
               for line in lines)


class Bench:
    """Folders, programs and options that all sections share."""

    def __init__(self, folder, work, programs, options):
        self.shared, self.inbox, self.dest = (folder / name for name in ("shared", "inbox", "dest"))
        for path in (self.shared, self.inbox, self.dest):
            path.mkdir(parents=True, exist_ok=True)
        self.work, self.options = work, options
        self.programs = {name: str(path) for name, path in programs.items()}
        self.helps = {}
        self.loud = False
        # The user's own settings must not change what is measured.
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("ANABRANCH_", "XDG_", "SSH_"))}
        self.environment |= {"HOME": str(work), "XDG_CONFIG_HOME": str(work / "config"),
                             "XDG_STATE_HOME": str(work / "state"), "LC_ALL": "C.UTF-8"}

    def lacks(self, requires):
        """What a command line needs and its program does not have; None if all is there."""
        if not requires:
            return None
        program, words, option = requires
        command = [*fill((program,), self.programs), *words, "--help"]
        key = tuple(command)
        if key not in self.helps:
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False,
                                      stdin=subprocess.DEVNULL, env=self.environment)
                self.helps[key] = done.stdout if done.returncode == 0 else ""
            except OSError:
                self.helps[key] = ""
        if re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", self.helps[key]):
            return None
        return f"{Path(command[0]).name} {' '.join((*words, ''))}has no {option}"

    def reason_to_skip(self, contestant, template, ground):
        """Why a contestant cannot take part; None if it can."""
        if not template:
            return "cannot do this"
        server = SERVERS[contestant.server]
        for program in (template[0], server.command[0]):
            path = fill((program,), self.programs)[0] if program.startswith("{") else program
            if not setup.shutil.which(path):
                return f"there is no {path}"
        missing = self.lacks(contestant.requires) or self.lacks(server.requires)
        if missing:
            return missing
        sends = contestant.arrives == "inbox"
        if sends and contestant.congestion and ground.congestion not in (None, "cubic"):
            return self.lacks((template[0], template[1:2], contestant.congestion[0]))
        return None

    def congestion_words(self, contestant, template, ground):
        """Options for the congestion control of the ground, if the client has them."""
        if not ground.congestion or not contestant.congestion:
            return ()
        lacks = self.lacks((template[0], template[1:2], contestant.congestion[0]))
        return () if lacks else contestant.congestion

    def values(self, ground, contestant_names):
        """What command lines are filled in with, whatever is sent."""
        called = CONGESTION.get(ground.congestion, {})
        return {**self.programs, "host": ground.host, "work": str(self.work),
                "cc": called.get(contestant_names, "")}

    def start(self, key, ground, names):
        """Starts a server, and waits until it is ready. Returns it with its port."""
        server = SERVERS[key]
        folder = self.inbox if server.folder == "inbox" else self.shared
        if server.folder == "inbox":
            # One for each server: two must not share a journal.
            folder = folder / key
            folder.mkdir(exist_ok=True)
        port = 0 if server.port_file else setup.free_port("127.0.0.1")
        setup.settings(key, self.work, ground.host, port, folder)
        port_file = self.work / f"{key}.port"
        port_file.unlink(missing_ok=True)
        values = {**self.values(ground, names), "key": key, "port": str(port),
                  "dir": str(folder)}
        words = server.command + (server.congestion if ground.congestion else ())
        started = Server(key, [*ground.server_prefix, *fill(words, values)],
                         self.work / f"{key}.log", self.environment, self.work)
        try:
            if server.port_file:
                started.wait_until(lambda: port_file.exists() and port_file.read_text().strip())
                port = int(re.findall(r"\d+", port_file.read_text())[-1])
            else:
                started.wait_until(lambda: is_listening(started.child.pid, port))
        except BaseException:
            started.stop()
            raise
        return started, port

    def url_list(self, item, host, port, dest):
        """A file that names every file of a folder for curl."""
        path = self.work / "urls"
        if item.path.is_dir():
            lines = []
            for name in data.files_below(item.path):
                lines.append(f'url = "https://{host}:{port}/{quote(f"{item.name}/{name}")}"')
                lines.append(f'output = "{dest / name}"')
            path.write_text("\n".join(lines) + "\n")
        return path

    def transfer(self, contestant, template, server, port, ground, item):
        """One transfer, and what it took. What arrives is compared, and removed."""
        inbox = self.inbox / contestant.server
        dest = self.dest / item.name
        data.remove(dest)
        values = self.values(ground, contestant.names_congestion)
        ssh = [*setup.ssh_options(self.work), "-p", str(port)]
        values |= {
            "port": str(port), "source": str(item.path), "name": item.name,
            "files": str(item.files), "dest": str(dest),
            "list": str(self.url_list(item, ground.host, port, dest)),
            "ssh": shlex.join(["ssh", *ssh]),
            "scp_options": [*setup.ssh_options(self.work), "-P", str(port)],
        }
        words = template + self.congestion_words(contestant, template, ground)
        command = [*ground.client_prefix, *fill(words, values)]
        os.sync()
        if self.options.cold:
            data.drop_from_cache(item.path)
        if not self.options.no_wait and not wait_for_quiet():
            self.loud = True
        data.fill_memory(self.work)
        if not self.options.cold:
            data.read_through(item.path)
        before = server.cpu()
        try:
            used = run(command, self.work / "client.log", self.options.limit, self.environment,
                       self.work)
            after = server.cpu()
            arrived = dest if contestant.arrives == "dest" else data.find(item.name, inbox)
            if not arrived or not arrived.exists():
                raise Failed(f"{item.name} has not arrived")
            if data.any_hash(arrived) != item.hash:
                raise Failed("what arrived is not what was sent")
        finally:
            self.clean(dest, inbox, item.name)
        return Run(used.wall, used.cpu, after - before)

    @staticmethod
    def clean(dest, inbox, name):
        """Removes what has arrived."""
        data.remove(dest)
        while found := inbox.is_dir() and data.find(name, inbox):
            data.remove(found)

    def contest(self, section, ground, item, rounds, warm_up=True):
        """Lets everybody who can send an item take turns, and adds rows to a section."""
        key, chosen = section.key, []
        for contestant in CONTESTANTS:
            if key not in contestant.sections or not re.search(self.options.only, contestant.label):
                continue
            template = contestant.folder if item.path.is_dir() else contestant.file
            reason = self.reason_to_skip(contestant, template, ground)
            if reason:
                where = f" with {ground.congestion}" if ground.congestion else ""
                section.notes.append(f"{contestant.label}{where}: left out, {reason}.")
                continue
            row = Row(contestant.label, contestant.verifies, contestant.syncs, item,
                      ground.congestion)
            section.rows.append(row)
            chosen.append((contestant, template, row))
        servers = {}
        try:
            self.take_turns(chosen, servers, ground, item, rounds, warm_up)
        finally:
            for server, _ in servers.values():
                server.stop()
            section.notes += [f"{row.label}: FAILED: {text}"
                              for _, _, row in chosen for text in row.errors]

    def take_turns(self, chosen, servers, ground, item, rounds, warm_up):
        """All rounds. Every server runs from its first contestant's turn on."""
        for number in range(rounds):
            has_warm_up = warm_up and rounds > 1
            is_warm_up = has_warm_up and number == 0
            for contestant, template, row in chosen:
                if len(row.errors) >= FAILURES:
                    continue
                try:
                    if contestant.server not in servers:
                        servers[contestant.server] = self.start(
                            contestant.server, ground, contestant.names_congestion)
                    server, port = servers[contestant.server]
                    done = self.transfer(contestant, template, server, port, ground, item)
                except Failed as error:
                    row.errors.append(str(error)[:SHOWN])
                    setup.say(f"{row.label}: {error}")
                    continue
                (row.warm_up if is_warm_up else row.runs).append(done)
                rate = item.size * 8 / done.wall / 1e6
                what = "warm-up" if is_warm_up else f"round {number + (not has_warm_up)}"
                setup.say(f"{what}: {row.label}: {done.wall:.3f} s, {rate:.0f} Mbit/s")
