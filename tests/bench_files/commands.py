"""The contestants: which programs there are, and with which command lines they are run.

This is the one place to change when a command line changes. In every argument these are filled in:

    {host} {port}        where the contestant's server listens
    {key}                what the server is called below
    {dir}                the folder that the server serves from, or receives into
    {source}             the file or folder to send (for the client's side)
    {name}               its name; {files} how many files are in it
    {dest}               where it has to arrive (for programs that can be told)
    {work}               a private folder for keys, certificates and settings
    {list}               a file for `curl -K` with one URL for each file of a folder
    {cc}                 congestion control as the contestant calls it
    {ssh} {scp_options}  how to reach the private sshd
    {anabranch} {anabranchd} {quinn}   programs of this project, and the one beside it
"""

from dataclasses import dataclass

#: What congestion controls are called: by Linux, by quinn-file, by anabranch.
CONGESTION = {
    "cubic": {"tcp": "cubic", "quinn": "cubic", "anabranch": "cubic"},
    "bbr": {"tcp": "bbr", "quinn": "bbr", "anabranch": "bbr2"},
}


@dataclass(frozen=True)
class Server:
    """A program that runs while its contestants do."""

    #: What it is run with. nginx and sshd get settings files, which setup.py writes.
    command: tuple
    #: Options for a given congestion control, over the emulated link.
    congestion: tuple = ()
    #: "shared": serves the sources. "inbox": receives.
    folder: str = "shared"
    #: Writes its port to {work}/{key}.port when it is ready; others are given a free one.
    port_file: bool = False
    #: Options that `command` needs, which the program may not have: (program, words, option).
    requires: tuple = ()


@dataclass(frozen=True)
class Contestant:
    """One row of the tables."""

    label: str
    server: str
    #: The client's command line for one file, and for a folder; None if it cannot do that.
    file: tuple | None
    folder: tuple | None = None
    #: Where the received data are: at {dest}, or somewhere in the server's inbox by its name.
    arrives: str = "dest"
    #: Which sections it takes part in.
    sections: tuple = ("big", "many", "tree", "link")
    #: Options for a given congestion control, over the emulated link. A program that does not
    #: have them is run without if it receives, or if it uses CUBIC anyway.
    congestion: tuple = ()
    #: Whether programs compare hashes of what was sent and of what arrived.
    verifies: str = "no"
    #: Whether what was received is synced to the disk before it is called complete.
    syncs: str = "no"
    #: Options that the command line needs: (program, words before --help, option).
    requires: tuple = ()
    #: How it calls congestion controls: a key of those in CONGESTION.
    names_congestion: str = "tcp"


# A client of this project: where, whom to trust.
ANAB = ("--host", "{host}", "--port", "{port}", "--known-hosts", "{work}/known_hosts")
# Its server. Each has a folder and a store of its own.
DAEMON = ("{anabranchd}", "--listen", "{host}", "--port", "0", "--files", "{dir}",
          "--files-store", "{work}/{key}.redb", "--files-quota", "unlimited",
          "--files-reserve", "0", "--cert", "{work}/anab-cert.pem", "--key", "{work}/anab-key.pem",
          "--port-file", "{work}/{key}.port")

SERVERS = {
    "nginx": Server(("nginx", "-p", "{work}", "-c", "{work}/nginx.conf", "-e", "stderr")),
    "sshd": Server(("/usr/sbin/sshd", "-D", "-e", "-f", "{work}/sshd_config"), folder="inbox"),
    "quinn": Server(
        ("{quinn}", "serve", "{dir}", "--listen", "{host}", "--cert", "{work}/{key}.der",
         "--port-file", "{work}/{key}.port"),
        congestion=("--congestion", "{cc}"), port_file=True),
    "quinn-in": Server(
        ("{quinn}", "serve", "{dir}", "--listen", "{host}", "--cert", "{work}/{key}.der",
         "--port-file", "{work}/{key}.port"),
        congestion=("--congestion", "{cc}"), folder="inbox", port_file=True),
    "anabranch": Server(
        DAEMON, congestion=("--congestion", "{cc}"), port_file=True,
        requires=("{anabranchd}", (), "--files")),
    "anabranch-in": Server(
        DAEMON, congestion=("--congestion", "{cc}"), folder="inbox", port_file=True,
        requires=("{anabranchd}", (), "--files")),
}

# TLS with the cipher that the QUIC contestants use too.
CURL = ("curl", "-q", "-sS", "--fail", "--http1.1", "--tlsv1.3", "--tls13-ciphers",
        "TLS_AES_128_GCM_SHA256", "--cacert", "{work}/cert.pem")
SCP = ("scp", "-q", "{scp_options}")
GCM = ("-o", "Ciphers=aes128-gcm@openssh.com")
CLIENT_CC = ("--congestion", "{cc}")

CONTESTANTS = [
    Contestant(
        "curl (nginx, TLS 1.3)", "nginx",
        file=(*CURL, "-o", "{dest}", "https://{host}:{port}/{name}"),
        folder=(*CURL, "--create-dirs", "-K", "{list}")),
    Contestant(
        # The same durability as anabranch has by default.
        "curl, then sync", "nginx", sections=("big",),
        file=("sh", "-c", '"$@" && sync -- "$0"', "{dest}", *CURL, "-o", "{dest}",
              "https://{host}:{port}/{name}"),
        syncs="yes"),
    Contestant(
        "scp", "sshd",
        file=(*SCP, "{source}", "{host}:{dest}"),
        folder=(*SCP, "-r", "{source}", "{host}:{dest}")),
    Contestant(
        "scp, AES-128-GCM", "sshd", sections=("big",),
        file=(*SCP, *GCM, "{source}", "{host}:{dest}")),
    Contestant(
        "rsync -a over ssh", "sshd", file=None, sections=("many", "tree"),
        folder=("rsync", "-a", "-e", "{ssh}", "{source}/", "{host}:{dest}/"),
        verifies="checksum"),
    Contestant(
        "tar over ssh", "sshd", file=None, sections=("many", "tree"),
        folder=("sh", "-c", "tar -C {source} -cf - . | {ssh} {host} "
                "'mkdir {dest} && tar -C {dest} -xf -'")),
    Contestant(
        "quinn get", "quinn", sections=("big", "link"), names_congestion="quinn",
        file=("{quinn}", "get", "{name}", "{dest}", "{host}:{port}", "--cert", "{work}/quinn.der"),
        congestion=CLIENT_CC, verifies="BLAKE3"),
    Contestant(
        "quinn get, 4 streams", "quinn", sections=("big",), names_congestion="quinn",
        file=("{quinn}", "get", "{name}", "{dest}", "{host}:{port}", "--cert", "{work}/quinn.der",
              "--streams", "4"),
        verifies="BLAKE3"),
    Contestant(
        "quinn put", "quinn-in", sections=("big",), arrives="inbox", names_congestion="quinn",
        file=("{quinn}", "put", "{source}", "{name}", "{host}:{port}", "--cert",
              "{work}/quinn-in.der"),
        verifies="BLAKE3"),
    Contestant(
        "anabranch get", "anabranch", names_congestion="anabranch",
        file=("{anabranch}", "get", *ANAB, "{name}", "-o", "{dest}"),
        folder=("{anabranch}", "get", *ANAB, "{name}", "-o", "{dest}"),
        congestion=CLIENT_CC, verifies="BLAKE3", syncs="yes",
        requires=("{anabranch}", ("get",), "--output")),
    Contestant(
        "anabranch get --no-sync", "anabranch", sections=("big", "many", "tree"),
        names_congestion="anabranch",
        file=("{anabranch}", "get", "--no-sync", *ANAB, "{name}", "-o", "{dest}"),
        folder=("{anabranch}", "get", "--no-sync", *ANAB, "{name}", "-o", "{dest}"),
        verifies="BLAKE3", requires=("{anabranch}", ("get",), "--no-sync")),
    Contestant(
        "anabranch send", "anabranch-in", arrives="inbox", names_congestion="anabranch",
        file=("{anabranch}", "send", *ANAB, "{source}"),
        folder=("{anabranch}", "send", *ANAB, "{source}"),
        congestion=CLIENT_CC, verifies="BLAKE3", syncs="yes",
        requires=("{anabranch}", ("send",), "--known-hosts")),
]

#: Rows that the others are compared with.
CURL_ROW = "curl (nginx, TLS 1.3)"
SCP_ROW = "scp"

#: Commands that have to be there, and the Debian packages that bring them.
PACKAGES = {
    "curl": "curl", "nginx": "nginx-light", "/usr/sbin/sshd": "openssh-server",
    "scp": "openssh-client", "ssh-keygen": "openssh-client", "rsync": "rsync", "ip": "iproute2",
    "openssl": "openssl", "tar": "tar",
}
