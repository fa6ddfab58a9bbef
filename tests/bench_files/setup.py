"""What the benchmark needs: packages, builds, keys, certificates, and settings of servers."""

import getpass
import grp
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from .commands import PACKAGES
from .process import Failed

ROOT = Path(__file__).resolve().parents[2]
#: What names of folders and namespaces begin with; the process id follows.
PREFIX = "bench-files-"
POLICY = Path("/usr/sbin/policy-rc.d")

NGINX = """
daemon off;
pid nginx.pid;
{user}
worker_processes auto;
error_log stderr;
events {{ }}
http {{
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    keepalive_requests 1000000;
    client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp;
    uwsgi_temp_path temp; scgi_temp_path temp;
    server {{
        listen {host}:{port} ssl;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        ssl_protocols TLSv1.3;
        root {dir};
    }}
}}
"""

SSHD = """
ListenAddress {host}
Port {port}
HostKey {work}/host_key
AuthorizedKeysFile {work}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
Subsystem sftp internal-sftp
"""


def say(text):
    """Progress, for people."""
    print(f"bench-files: {text}", file=sys.stderr, flush=True)


def quietly(command, **more):
    """Runs a command whose output matters only if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False, **more)
    if done.returncode != 0:
        words = " ".join(map(str, command))
        raise Failed(f"{words}: exit code {done.returncode}\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def left_over(folder):
    """What runs that were killed have left in a folder: its name begins with their number."""
    found = []
    for path in folder.glob(f"{PREFIX}*") if folder.is_dir() else ():
        pid = path.name.removeprefix(PREFIX).split("-")[0]
        if not Path("/proc", pid).exists():
            found.append(path)
    return found


def own_folder(stack, parent, size=0):
    """A folder that is removed at the end, with room for so many bytes. Those of runs that were
    killed are removed now."""
    parent.mkdir(parents=True, exist_ok=True)
    for path in left_over(parent):
        shutil.rmtree(path, ignore_errors=True)
    if shutil.disk_usage(parent).free < size:
        raise Failed(f"{parent} has no room for {size >> 20} MiB")
    name = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=parent)
    if set(name) & set(" \t\n'\"\\$"):
        raise Failed(f"{parent}: ssh and sh would take this name apart; choose another --dir")
    stack.callback(shutil.rmtree, name, ignore_errors=True)
    return Path(name)


def install():
    """Installs what is missing on Debian and Ubuntu, when it may."""
    missing = sorted({package for command, package in PACKAGES.items()
                      if not shutil.which(command)})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"missing, and not installed (no root or no apt-get): {' '.join(missing)}")
        return
    say(f"installing with apt-get: {' '.join(missing)}")
    # Nothing that is installed for this may start a service of its own.
    made = not POLICY.exists()
    if made:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        quietly(["apt-get", "-q", "update"], env=quiet)
        quietly(["apt-get", "-q", "-y", "install", "--no-install-recommends", *missing],
                env=quiet)
    except Failed as error:
        say(f"could not install: {error}")
    finally:
        if made:
            POLICY.unlink(missing_ok=True)


def build(target):
    """Builds the programs for release. Returns their paths."""
    say("building for release")
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    ours = ["cargo", "build", "-q", "--release", "--locked", "-p", "anabranch-apps", "--bins",
            "-p", "anabranch-tests", "--bin", "tun_link"]
    peer = ["cargo", "build", "-q", "--release", "--locked", "--manifest-path",
            str(ROOT / "tests/peers/quinn-file/Cargo.toml")]
    quietly(ours, cwd=ROOT, env=environment)
    quietly(peer, cwd=ROOT, env={**environment, "CARGO_TARGET_DIR": str(target / "peers")})


def programs(target):
    """The programs that are built: what they are called in command lines, and their paths."""
    release = target / "release"
    return {
        "anabranch": release / "anabranch", "anabranchd": release / "anabranchd",
        "tun_link": release / "tun_link", "quinn": target / "peers/release/quinn-file",
    }


def source_tree():
    """A folder with real sources: those of the largest dependency, or else the project's own."""
    try:
        text = quietly(["cargo", "metadata", "--format-version", "1", "--locked", "--offline"],
                       cwd=ROOT)
    except (Failed, OSError):
        return ROOT
    for package in json.loads(text)["packages"]:
        if package["name"] == "boring-sys":
            return Path(package["manifest_path"]).parent
    return ROOT


def keys(work, addresses):
    """Certificates for nginx, keys for sshd and its clients."""
    names = ",".join(f"IP:{address}" for address in addresses)
    quietly(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=bench-files", "-addext",
             f"subjectAltName={names}", "-keyout", work / "key.pem", "-out", work / "cert.pem"])
    for name in ("host_key", "user_key"):
        quietly(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench-files", "-f",
                 work / name])
    kind, key = (work / "host_key.pub").read_text().split()[:2]
    (work / "ssh_known_hosts").write_text(f"bench-files {kind} {key}\n")


def settings(key, work, host, port, folder):
    """Writes the settings file of a server that has one."""
    values = {"host": host, "port": port, "work": work, "dir": folder, "user": ""}
    if key == "nginx":
        if os.geteuid() == 0:
            group = grp.getgrgid(os.getegid()).gr_name
            values["user"] = f"user {getpass.getuser()} {group};"
        (work / "nginx.conf").write_text(NGINX.format_map(values))
    elif key == "sshd":
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        (work / "sshd_config").write_text(SSHD.format_map(values))


def ssh_options(work):
    """What every client of the private sshd is told, apart from the port."""
    pairs = {
        "IdentityFile": work / "user_key", "IdentitiesOnly": "yes", "BatchMode": "yes",
        "UserKnownHostsFile": work / "ssh_known_hosts", "StrictHostKeyChecking": "yes",
        "HostKeyAlias": "bench-files", "ControlPath": "none",
    }
    options = ["-F", "/dev/null"]
    for name, value in pairs.items():
        options += ["-o", f"{name}={value}"]
    return options


def free_port(host):
    """A TCP port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        return listener.getsockname()[1]


def facts(folder):
    """The machine in one line, and what was measured with."""
    def field(file, key):
        for line in Path(file).read_text().splitlines():
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
        return "unknown"

    memory = -(-int(field("/proc/meminfo", "MemTotal").split()[0]) // (1 << 20))
    kernel = Path("/proc/sys/kernel/osrelease").read_text().strip()
    cores = len(os.sched_getaffinity(0))
    mounts = [line.split()[:3] for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [mount for mount in mounts if folder.is_relative_to(mount[1])]
    system = max(inside, key=lambda mount: len(mount[1]))[2] if inside else "unknown"
    return (f"{cores} cores ({field('/proc/cpuinfo', 'model name')}), {memory} GiB of memory, "
            f"Linux {kernel}, {system}")


def versions():
    """Versions of the other programs, in one line."""
    def first(command):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return (done.stdout + done.stderr).strip().splitlines()[0]

    found = [first(["curl", "--version"]), first(["nginx", "-v"]), first(["ssh", "-V"]),
             first(["rsync", "--version"])]
    words = []
    for text in filter(None, found):
        text = text.removeprefix("nginx version: ").replace("version ", "")
        words.append(" ".join(text.split()[:2]) if not text.startswith(("nginx/", "OpenSSH"))
                     else text.split(",")[0].split()[0])
    lock = (ROOT / "tests/peers/quinn-file/Cargo.lock").read_text().split("[[package]]")
    for package in lock:
        if 'name = "quinn"\n' in package:
            words.append("quinn " + package.split('version = "')[1].split('"')[0])
    return ", ".join(words)
