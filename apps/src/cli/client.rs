//! The command line of `anabranch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use super::dquic::Dquic;
use super::files::{Get, Rm, Send, Transfers, Verb};
use super::{Help, Verbosity, trace};
use crate::generate::Kind;
use crate::plaintext::Leave;
use crate::trust::Mode;
use crate::units;

/// Play media and transfer files over QUIC
#[derive(Clone, Debug, Parser)]
#[command(name = "anabranch", version, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  anabranch ls --host media.example
  anabranch play clip.wav -o clip.wav
  anabranch play clip.y4m | ffplay -
  anabranch send report.pdf photos/
  anabranch get shared/report.pdf
Exit codes and --json events: docs/operations.md")]
pub struct Args {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub command: Command,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub verbosity: Verbosity,
    /// Events as JSON lines on standard output (on standard error if that carries data)
    #[arg(long, global = true, env = "ANABRANCH_JSON", num_args = 0..=1, require_equals = true)]
    #[arg(default_value_t = false, default_missing_value = "true")]
    pub json: bool,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Play media to a file or to standard output
    Play(Play),
    /// Send files and folders
    Send(Send),
    /// Get files and folders
    Get(Get),
    /// List what a server has: media and files
    Ls(Ls),
    /// Remove files and folders from a server
    Rm(Rm),
    /// Transfers that are not complete: list them, pause, resume, cancel
    Transfers(Transfers),
    /// Measure the time to a server and back, through its application
    Ping(Ping),
    /// Make a test file
    Gen(Gen),
    /// Send and receive files over DQUIC, which is plaintext: for loopback and laboratories
    Dquic(Dquic),
    /// Look into recordings and captures
    #[command(subcommand)]
    Trace(trace::Command),
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    Help(Help),
}

/// Which protocols to offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// anabranch/1, and the classic protocol with servers that speak nothing else
    #[default]
    Auto,
    /// Only anabranch/1
    Anabranch,
    /// Only the classic protocol
    Classic,
}

/// Which server, and how to trust it.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// The server's name or address [default: 127.0.0.1]
    #[arg(long, short = 'H', env = "ANABRANCH_HOST")]
    pub host: Option<String>,
    /// Its UDP port
    #[arg(long, short, env = "ANABRANCH_PORT", default_value_t = 9000)]
    pub port: u16,
    /// The file of known servers [default: ~/.config/anabranch/known_hosts]
    #[arg(long, value_name = "FILE", env = "ANABRANCH_KNOWN_HOSTS")]
    pub known_hosts: Option<PathBuf>,
    /// What to do about servers that are not known
    #[arg(
        long,
        value_enum,
        default_value_t,
        env = "ANABRANCH_TRUST",
        hide_possible_values = false
    )]
    pub trust: Mode,
    /// Trust certificates of these authorities (PEM) instead of known keys
    #[arg(long, value_name = "FILE", env = "ANABRANCH_CA", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Check nothing: anybody on the way can listen in and change what you get
    #[arg(long)]
    pub insecure: bool,
    /// Use DQUIC, which is plaintext: for loopback, laboratories and simulation
    #[arg(long, conflicts_with_all = ["ca", "insecure"])]
    pub dquic: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub plaintext: Leave,
    /// Which protocols to offer
    #[arg(long, value_enum, default_value_t)]
    pub protocol: Protocol,
    /// The same as --protocol classic
    #[arg(long, conflicts_with = "protocol")]
    pub classic: bool,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    pub connect_timeout: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub record: trace::Record,
}

impl Server {
    /// The server's name or address, without the brackets that an IPv6 address may have.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("127.0.0.1").trim_matches(['[', ']'])
    }
}

/// What a pause does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PausePolicy {
    /// The media waits: nothing is skipped
    #[default]
    Hold,
    /// The media goes on: resuming rejoins it where it would be
    Live,
}

/// Play media to a file or to standard output
#[derive(Clone, Debug, clap::Args)]
pub struct Play {
    /// What to play; without a name, what the server has first or by default
    pub name: Option<String>,
    /// The file to write, or - for standard output
    ///
    /// Without it, media go to standard output unless that is a terminal. The file is written in
    /// place, so that a player can follow it while it grows.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, short, conflicts_with = "continue_")]
    pub force: bool,
    /// Go on where the output file ends
    #[arg(long = "continue", short, requires = "output")]
    #[arg(conflicts_with_all = ["start_seq", "start_byte"])]
    pub continue_: bool,
    /// Start at this chunk (from 1)
    #[arg(long, value_name = "N", conflicts_with = "start_byte")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub start_seq: Option<u32>,
    /// Start at this byte
    #[arg(long, value_name = "N", value_parser = units::size)]
    pub start_byte: Option<u64>,
    /// A bitrate to accept, in bit/s: 500k, 2.5M; may be given several times
    #[arg(long, value_name = "RATE", value_parser = units::bitrate)]
    pub bitrate: Vec<u32>,
    /// The codec to ask for
    #[arg(long, default_value = "any", hide = true)]
    pub codec: String,
    /// The largest chunk to accept
    #[arg(long, value_name = "SIZE", value_parser = units::size)]
    pub max_chunk: Option<u64>,
    /// What a pause does
    #[arg(long, value_enum, default_value_t)]
    pub pause_policy: PausePolicy,
    /// As fast as the network allows, if the server does that
    #[arg(long)]
    pub no_pacing: bool,
    /// Pause when this chunk has come
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u32).range(1..))]
    pub pause_at: Option<u32>,
    /// Resume so long after --pause-at
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "pause_at")]
    #[arg(value_parser = units::duration)]
    pub resume_after: Duration,
    /// Stop after so much time
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub duration: Option<Duration>,
    /// Print the BLAKE3 hash of what was received
    #[arg(long)]
    pub hash: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// List what a server has: media and files
#[derive(Clone, Debug, clap::Args)]
pub struct Ls {
    /// What is in this folder of files; otherwise the media, and the top folder of files
    #[arg(value_name = "PATH")]
    pub path: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// Measure the time to a server and back
#[derive(Clone, Debug, clap::Args)]
pub struct Ping {
    /// How many times (0: until Ctrl-C)
    #[arg(long, short, default_value_t = 4)]
    pub count: u64,
    /// Time between two
    #[arg(long, short, value_name = "TIME", default_value = "1s", value_parser = units::duration)]
    pub interval: Duration,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub server: Server,
}

/// Make a test file
#[derive(Clone, Debug, clap::Args)]
pub struct Gen {
    /// The file to make, or - for standard output
    pub out: PathBuf,
    /// Its size
    #[arg(long, short, default_value = "512KiB", value_parser = units::size)]
    pub size: u64,
    /// Its playing time instead (WAV and Y4M only)
    #[arg(long, value_name = "TIME", value_parser = units::duration, conflicts_with = "size")]
    pub duration: Option<Duration>,
    /// What to make
    #[arg(long, short, value_enum, default_value_t)]
    pub kind: Kind,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Write over a file that is there
    #[arg(long, short)]
    pub force: bool,
}

impl Args {
    /// Which server the command is about.
    #[must_use]
    pub fn server(&self) -> Option<&Server> {
        match &self.command {
            Command::Play(play) => Some(&play.server),
            Command::Ls(ls) => Some(&ls.server),
            Command::Ping(ping) => Some(&ping.server),
            Command::Send(send) => Some(&send.server),
            Command::Get(get) => Some(&get.server),
            Command::Rm(rm) => Some(&rm.server),
            Command::Transfers(transfers) => match &transfers.verb {
                None => None,
                Some(Verb::List(list)) => Some(&list.server),
                Some(Verb::Pause(one) | Verb::Resume(one) | Verb::Cancel(one)) => Some(&one.server),
            },
            Command::Gen(_) | Command::Trace(_) | Command::Dquic(_) | Command::Help(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "anabranch",
            "anabranch play --continue",
            "anabranch play --start-seq 0",
            "anabranch play --start-seq 1 --start-byte 1",
            "anabranch play --resume-after 2s",
            "anabranch play --insecure --ca x",
            "anabranch play --classic --protocol auto",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        let args = Args::try_parse_from(["anabranch", "play", "x", "--json", "-v"]).unwrap();
        assert!(args.json && args.verbosity.verbose == 1);
    }
}
