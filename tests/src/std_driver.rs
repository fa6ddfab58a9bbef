//! A complete driver on a plain `std::net::UdpSocket`: what an embedder copies.
//! `docs/embedding.md` explains it line by line.

// begin: driver
use std::io::{ErrorKind, Result};
use std::net::UdpSocket;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use anabranch_core::{App, Endpoint, Instant, Output, Path, limits};

/// The longest sleep: how late a command from another thread can be.
const NAP: Duration = Duration::from_millis(20);

/// Runs an application on an endpoint until it is done.
pub fn run<A: App>(
    endpoint: &mut Endpoint,
    app: &mut A,
    socket: &UdpSocket,
    commands: &Receiver<A::Command>,
) -> Result<()> {
    let origin = std::time::Instant::now();
    let now = || Instant::ZERO + origin.elapsed();
    let local = socket.local_addr()?;
    let mut input = vec![0; limits::MAX_DATAGRAM];
    let mut output = vec![0; limits::MAX_SEGMENTED];
    loop {
        while let Ok(command) = commands.try_recv() {
            app.on_command(endpoint, now(), command);
        }
        let deadline = loop {
            match endpoint.poll_output(&mut output) {
                Output::Transmit(transmit) => {
                    let segment = transmit.segment.unwrap_or(transmit.len);
                    for datagram in output[..transmit.len].chunks(segment) {
                        // A datagram that cannot be sent is a lost one.
                        let _ = socket.send_to(datagram, transmit.path.remote);
                    }
                }
                Output::Event(conn, event) => app.on_event(endpoint, now(), conn, event),
                Output::Wait(deadline) => break deadline,
            }
        };
        if app.is_done(endpoint) && endpoint.is_idle() {
            return Ok(());
        }
        let wait = deadline.map_or(NAP, |deadline| deadline.at.since(now()).min(NAP));
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match socket.recv_from(&mut input) {
            Ok((len, remote)) => {
                let path = Path { local, remote };
                endpoint.handle_datagram(now(), path, None, &mut input[..len]);
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(e) => return Err(e),
        }
        endpoint.handle_timeout(now());
    }
}
// end: driver
