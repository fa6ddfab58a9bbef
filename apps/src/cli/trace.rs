//! The command line of `anabranch trace`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::recording::{self, Place, Wanted};
use crate::units;

/// What to do with recordings and captures.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Compare the acknowledgements in a packet capture of classic DQUIC with ours
    Import(Import),
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
acknowledgement were lost; joined: the same if what is not in the capture arrived; missing: not \
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
