//! The command line of `anabranch trace`.

use std::path::PathBuf;

use clap::Subcommand;

use crate::units;

/// What to do with recordings and captures.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Compare the acknowledgements in a packet capture of classic DQUIC with ours
    Import(Import),
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
