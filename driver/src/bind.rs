//! Binding sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// How sockets are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Bytes of receive buffer to ask for. The kernel may grant less.
    pub receive_buffer: usize,
    /// Bytes of send buffer to ask for. The kernel may grant less.
    pub send_buffer: usize,
    /// Whether an IPv6 socket carries only IPv6. Otherwise `[::]` carries IPv4 as well.
    pub only_v6: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { receive_buffer: 8 << 20, send_buffer: 8 << 20, only_v6: true }
    }
}

/// Bound, non-blocking UDP sockets, on their way to a driver.
#[derive(Debug)]
pub struct Sockets {
    pub(crate) list: Vec<UdpSocket>,
    granted: (usize, usize),
}

impl Sockets {
    /// Binds one socket for each address. Port 0 lets the system choose.
    ///
    /// # Errors
    /// As the system gives them, with the address in the text: above all
    /// [`io::ErrorKind::AddrInUse`] and [`io::ErrorKind::AddrNotAvailable`];
    /// [`io::ErrorKind::InvalidInput`] for an empty list.
    pub fn bind(addresses: &[SocketAddr], options: SocketOptions) -> io::Result<Self> {
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to bind to"));
        }
        let bind = |addr: &SocketAddr| {
            let named = |e: io::Error| io::Error::new(e.kind(), format!("UDP {addr}: {e}"));
            bind_one(*addr, options).map_err(named)
        };
        let list = addresses.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
        let mut granted = (usize::MAX, usize::MAX);
        for socket in &list {
            let (receive, send) = enlarge(socket, options);
            granted = (granted.0.min(receive), granted.1.min(send));
        }
        if granted.0 < options.receive_buffer || granted.1 < options.send_buffer {
            log::info!(
                "UDP buffers: {} of {} bytes to receive, {} of {} to send; on Linux, raise \
                 net.core.rmem_max and net.core.wmem_max for more",
                granted.0,
                options.receive_buffer,
                granted.1,
                options.send_buffer
            );
        }
        Ok(Self { list, granted })
    }

    /// The addresses they are bound to, in the order given.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn local_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.list.iter().map(UdpSocket::local_addr).collect()
    }

    /// Bytes of receive and of send buffer that were granted: the smallest of all sockets.
    #[must_use]
    pub const fn granted(&self) -> (usize, usize) {
        self.granted
    }

    /// Where they are bound, to keep when the sockets have gone to a driver.
    ///
    /// # Errors
    /// As the system gives them.
    pub fn bound(&self) -> io::Result<Bound> {
        let one = |socket: &UdpSocket| Ok((socket.local_addr()?, dual(socket)));
        Ok(Bound { list: self.list.iter().map(one).collect::<io::Result<_>>()? })
    }
}

/// Where sockets are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Each address, and whether it is of an IPv6 socket that carries IPv4 as well.
    list: Vec<(SocketAddr, bool)>,
}

impl Bound {
    /// The address under which `remote` will see one of these sockets, if no translation is on
    /// the way: what [`anabranch_core::transport::Target::local`] has to be. For a socket bound
    /// to a wildcard, the system's routing table says it. Nothing is sent.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if no socket is of the remote's family, and what the system
    /// says where there is no route.
    pub fn local_for(&self, remote: SocketAddr) -> io::Result<SocketAddr> {
        let suits = |(bound, dual): &&(SocketAddr, bool)| {
            bound.is_ipv4() == remote.is_ipv4() || (remote.is_ipv4() && *dual)
        };
        let Some((bound, _)) = self.list.iter().find(suits) else {
            let text = format!("no socket of the family of {remote}");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        };
        if !bound.ip().is_unspecified() {
            return Ok(crate::address::normal(*bound));
        }
        let any: IpAddr = match remote {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let probe = UdpSocket::bind((any, 0))?;
        probe.connect(remote)?;
        let mut local = probe.local_addr()?;
        local.set_port(bound.port());
        Ok(crate::address::normal(local))
    }
}

fn dual(socket: &UdpSocket) -> bool {
    SockRef::from(socket).only_v6().is_ok_and(|only| !only)
}

fn bind_one(addr: SocketAddr, options: SocketOptions) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(options.only_v6)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Asks for large buffers and returns what was granted. Past the system's limit only a
/// privileged process may go.
pub(crate) fn enlarge(socket: &UdpSocket, options: SocketOptions) -> (usize, usize) {
    let sock = SockRef::from(socket);
    #[cfg(target_os = "linux")]
    let (forced_receive, forced_send) = {
        use rustix::net::sockopt as force;
        (
            force::set_socket_recv_buffer_size_force(socket, options.receive_buffer).is_ok(),
            force::set_socket_send_buffer_size_force(socket, options.send_buffer).is_ok(),
        )
    };
    #[cfg(not(target_os = "linux"))]
    let (forced_receive, forced_send) = (false, false);
    // A refusal is no error: what was granted is read back and reported.
    if !forced_receive {
        let _ = sock.set_recv_buffer_size(options.receive_buffer);
    }
    if !forced_send {
        let _ = sock.set_send_buffer_size(options.send_buffer);
    }
    // Linux doubles the number for its bookkeeping and reports the double.
    let share = if cfg!(target_os = "linux") { 2 } else { 1 };
    let granted = |size: io::Result<usize>| size.unwrap_or(0) / share;
    (granted(sock.recv_buffer_size()), granted(sock.send_buffer_size()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let first = Sockets::bind(&[loopback()], SocketOptions::default()).unwrap();
        let taken = first.local_addrs().unwrap()[0];
        let error = Sockets::bind(&[taken], SocketOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }

    #[test]
    fn what_is_granted_is_reported() {
        let small = SocketOptions {
            receive_buffer: 16 << 10,
            send_buffer: 32 << 10,
            ..SocketOptions::default()
        };
        let sockets = Sockets::bind(&[loopback()], small).unwrap();
        assert_eq!(sockets.granted(), (16 << 10, 32 << 10));
    }

    #[test]
    fn a_wildcard_socket_knows_its_address_towards_a_remote() {
        let any = "0.0.0.0:0".parse().unwrap();
        let sockets = Sockets::bind(&[any], SocketOptions::default()).unwrap();
        let port = sockets.local_addrs().unwrap()[0].port();
        let local = sockets.bound().unwrap().local_for("127.0.0.1:9".parse().unwrap()).unwrap();
        assert_eq!(local, SocketAddr::new("127.0.0.1".parse().unwrap(), port));
        let other = sockets.bound().unwrap().local_for("[::1]:9".parse().unwrap()).unwrap_err();
        assert_eq!(other.kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn no_address_is_an_error() {
        let error = Sockets::bind(&[], SocketOptions::default()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
