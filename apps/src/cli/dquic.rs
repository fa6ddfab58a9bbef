//! The command line of `anabranch dquic`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use crate::{plaintext, units};

/// Send and receive files over DQUIC, which is plaintext: for loopback and laboratories
#[derive(Clone, Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Dquic {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub verb: Verb,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Send files, each as a stream of its own
    Send(Send),
    /// Receive streams, each into a file of its own
    Recv(Recv),
}

/// The form of a frame's header. Receivers recognise it, senders have to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// 16 bytes: what most peers have
    #[default]
    Classic,
    /// 20 bytes, with offsets of 64 bits
    Wide,
}

/// Send files, each as a stream of its own
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: anabranch dquic send 127.0.0.1:9400 a.bin b.bin")]
pub struct Send {
    /// Where to, as HOST:PORT
    #[arg(value_name = "HOST:PORT")]
    pub to: String,
    /// The files; the first one is stream 1. Names are not sent
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Over a connection of the DQUIC extension, to a receiver that knows it (ours do): many
    /// packets are under way at once, lost ones cost little, files have an end, and may be empty
    #[arg(long, short = 'x', conflicts_with_all = ["first_stream", "layout"])]
    pub extended: bool,
    /// The number of the first file's stream
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_stream: u32,
    /// The form of the frames: that of the receiver
    #[arg(long, value_enum, default_value_t)]
    pub layout: Layout,
    /// The address to send from [default: the system chooses a port]
    #[arg(long, value_name = "ADDR:PORT")]
    pub bind: Option<SocketAddr>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub plaintext: plaintext::Leave,
}

/// Receive streams, each into a file of its own, from classic and extended senders
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: anabranch dquic recv --listen 127.0.0.1:9400 --out in --once")]
pub struct Recv {
    /// The address to listen on; with port 0 the system chooses one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9400")]
    pub listen: SocketAddr,
    /// The folder for the files, stream-<id>.bin each
    #[arg(long, short, value_name = "DIR")]
    pub out: PathBuf,
    /// How long a classic stream is silent before it counts as ended: its sender does not say so
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = units::duration)]
    pub quiet_after: Duration,
    /// Stop when everything that has come is ended
    #[arg(long, conflicts_with = "count")]
    pub once: bool,
    /// Stop when so many streams have ended
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Write over files that are there
    #[arg(long, short)]
    pub force: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub plaintext: plaintext::Leave,
}
