//! A relay for UDP that loses datagrams.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

const LONGEST: usize = 65_536;

/// Relays between whoever came last and the server on this port, and loses every so many
/// datagrams each way. The port to talk to.
///
/// # Errors
/// The system gives no sockets.
pub(crate) fn start(server: u16, every: u64) -> io::Result<u16> {
    let near = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let far = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    far.connect((Ipv4Addr::LOCALHOST, server))?;
    let port = near.local_addr()?.port();
    let client = Arc::new(Mutex::new(None::<SocketAddr>));
    let (near_too, far_too, known) = (near.try_clone()?, far.try_clone()?, client.clone());
    std::thread::spawn(move || {
        relay(
            every,
            |buffer| {
                let (len, from) = near.recv_from(buffer)?;
                *client.lock().unwrap_or_else(PoisonError::into_inner) = Some(from);
                Ok(len)
            },
            |bytes| far_too.send(bytes),
        );
    });
    std::thread::spawn(move || {
        relay(
            every,
            |buffer| far.recv(buffer),
            |bytes| {
                let to = *known.lock().unwrap_or_else(PoisonError::into_inner);
                to.map_or(Ok(0), |to| near_too.send_to(bytes, to))
            },
        );
    });
    Ok(port)
}

fn relay(
    every: u64,
    mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
    mut send: impl FnMut(&[u8]) -> io::Result<usize>,
) {
    let mut buffer = vec![0; LONGEST];
    let mut count = 0;
    loop {
        // A server that has ended refuses what comes late; that is told here, and no harm.
        let Ok(len) = receive(&mut buffer) else { continue };
        count += 1;
        if count % every != 0 {
            let _refused = send(&buffer[..len]);
        }
    }
}
