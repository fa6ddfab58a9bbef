//! A client in this process, for benchmarks with many connections: an application on one socket.

use std::net::{Ipv4Addr, SocketAddr};

use anabranch_core::transport::quic::{self, QuicConfig};
use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::{App, Config, Endpoint};
use anabranch_driver_mio::{Clock, Driver, SocketOptions, Sockets, seed};

use super::Outcome;

/// Runs an application on a new socket. Answers its address as well.
///
/// # Errors
/// The socket cannot be had.
pub fn start<A: App>(app: A) -> Outcome<(Driver<A>, SocketAddr)> {
    let seed = seed()?;
    let stack = quic::stack(QuicConfig::default(), &seed)?;
    let clock = Clock::start();
    let config = Config { epoch: clock.epoch(), ..Config::default() };
    let sockets = Sockets::bind(&[(Ipv4Addr::LOCALHOST, 0).into()], SocketOptions::default())?;
    let local = sockets.local_addrs()?.first().copied().ok_or("no socket")?;
    let (driver, _) = Driver::new(clock, Endpoint::new(config, stack), sockets, app)?;
    Ok((driver, local))
}

/// A server on this machine, whose key is not checked.
#[must_use]
pub fn target(local: SocketAddr, port: u16) -> Target {
    Target {
        remote: (Ipv4Addr::LOCALHOST, port).into(),
        local,
        server_name: "localhost".to_owned(),
        trust: Trust::Any,
        offered: Offered::V1,
        ticket: None,
    }
}
