//! `anabranch dquic`: files over DQUIC, classic and extended.

mod files;
mod progress;
mod recv;
mod send;
mod sources;
mod stats;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anabranch_core::Seed;
use anabranch_core::transport::dquic::DquicConfig;
use anabranch_core::transport::dquic::classic::{Config, Endpoint};
use anabranch_core::transport::dquic::plain::Plain as Streams;
use anabranch_driver::dquic::Runner;

use crate::cli::dquic::{Dquic, Verb};
use crate::dial::Interrupts;
use crate::exit::{Exit, Failure, plain};
use crate::report::Report;

/// How often Ctrl-C and the progress are looked at while nothing comes.
const TICK: Duration = Duration::from_millis(100);

/// Sends or receives.
///
/// # Errors
/// Whatever is in the way.
pub fn run(args: &Dquic, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    match &args.verb {
        Verb::Send(args) => send::run(args, report, interrupts),
        Verb::Recv(args) => recv::run(args, report, interrupts),
    }
}

/// What a socket is for, besides the classic protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    /// Nothing.
    None,
    /// Connections to somewhere.
    Client,
    /// Connections from anywhere.
    Server,
}

/// A socket at an address, and the endpoints on it.
fn bind(address: SocketAddr, config: Config, side: Plain) -> Result<Runner, Failure> {
    let unavailable = |error: &io::Error| {
        Failure::new(Exit::Unavailable, format!("cannot use {address}: {}", plain(error)))
    };
    let socket = UdpSocket::bind(address).map_err(|error| unavailable(&error))?;
    let seed: Seed = anabranch_driver::seed().map_err(|error| unavailable(&error))?;
    let extension = DquicConfig {
        serves: side == Plain::Server,
        static_key: seed.stream("static key").array(),
        ..DquicConfig::default()
    };
    let extension = (side != Plain::None).then(|| Streams::new(&extension, &seed)).transpose();
    let extension = extension.map_err(|misuse| Failure::new(Exit::Internal, misuse.to_string()))?;
    let runner = Runner::new(socket, Endpoint::new(config, &seed), extension);
    runner.map_err(|error| unavailable(&error))
}

/// What the socket says.
fn network(error: &io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("the network does not work: {}", plain(error)))
}

fn next_tick() -> Option<Instant> {
    Some(Instant::now() + TICK)
}
