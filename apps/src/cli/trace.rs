//! The command line of `anabranch trace`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use crate::recording::{self, Place, Wanted};
use crate::units;

/// What to do with recordings and captures.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Tell what happened
    Show(Show),
    /// Count connections, sessions, datagrams and bytes
    Stats(Stats),
    /// Put in again what was put in, and compare what comes out
    Replay(Replay),
    /// Find the first difference of two traces
    Diff(Diff),
    /// Compare the acknowledgements in a packet capture of classic DQUIC with ours
    Import(Import),
}

impl Command {
    /// As it is typed.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Show(_) => "trace show",
            Self::Stats(_) => "trace stats",
            Self::Replay(_) => "trace replay",
            Self::Diff(_) => "trace diff",
            Self::Import(_) => "trace import",
        }
    }
}

/// Tell what happened
#[derive(Clone, Debug, clap::Args)]
pub struct Show {
    /// The trace
    pub file: PathBuf,
    /// Every datagram, timer and call, too
    #[arg(long, short)]
    pub all: bool,
    /// Only what is about this connection: c0.0, for example
    #[arg(long, value_name = "ID")]
    pub conn: Option<String>,
    /// From this time on, counted from the beginning
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub from: Option<Duration>,
    /// Up to this time
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub to: Option<Duration>,
}

/// Count connections, sessions, datagrams and bytes
#[derive(Clone, Debug, clap::Args)]
pub struct Stats {
    /// The trace
    pub file: PathBuf,
}

/// Put in again what was put in, and compare what comes out
#[derive(Clone, Debug, clap::Args)]
pub struct Replay {
    /// The trace
    pub file: PathBuf,
}

/// Find the first difference of two traces
#[derive(Clone, Debug, clap::Args)]
pub struct Diff {
    /// A trace
    pub one: PathBuf,
    /// Another trace
    pub two: PathBuf,
    /// Compare only the steps of state machines, whenever they happened
    #[arg(long)]
    pub steps: bool,
}

/// What to record, while a command runs.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Recording")]
pub struct Record {
    /// Record everything that happens in this file
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Record the media that come too, not only their length and hash
    #[arg(long, requires = "trace")]
    pub trace_payloads: bool,
    /// How long the recording may become [default: 1GiB]
    #[arg(long, value_name = "SIZE", requires = "trace", value_parser = units::size)]
    pub trace_limit: Option<u64>,
}

impl Record {
    /// The file, and what goes into it.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let limit = self.trace_limit.unwrap_or(recording::DEFAULT_LIMIT);
        let wanted = Wanted { payloads: self.trace_payloads, limit };
        self.trace.clone().map(|path| Place { path, wanted })
    }
}

/// Compare the acknowledgements in a packet capture of classic DQUIC with ours
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Verdicts: same; same-after-loss: the same if packets without an \
acknowledgement were lost; joined: the same if what is not in the capture arrived; \
restarted: the same if the receiver began anew when its sender did; missing: not \
in the capture; unasked: its packet is not in the capture; cut: too little of the packet was \
captured; silent: no acknowledgement from either side; DIFFERENT. Only DIFFERENT makes the \
command fail, unless --strict is given.")]
pub struct Import {
    /// The capture: pcapng or pcap
    pub file: PathBuf,
    /// Look at UDP datagrams from or to this port only
    #[arg(long, short, value_name = "PORT")]
    pub port: Option<u16>,
    /// Everything but the same acknowledgement is a difference
    #[arg(long)]
    pub strict: bool,
    /// Show acknowledgements as bytes
    #[arg(long)]
    pub hex: bool,
    /// The bytes of data that the receivers took of one packet at most
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = units::size)]
    pub max_bytes: u64,
}
