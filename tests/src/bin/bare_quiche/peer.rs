//! quiche connections on one UDP socket.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anabranch_core::limits;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};

/// The length of every connection id. quiche's own first ids are as long.
const CID: usize = 16;
/// Receive calls in one turn.
const RECEIVES: usize = 16;
/// What is asked of the kernel for each direction.
const SOCKET_BUFFER: usize = 8 << 20;

/// A connection id.
pub(crate) type Cid = [u8; CID];

/// What both sides have to agree on.
pub(crate) struct Options {
    /// The server's port.
    pub(crate) port: u16,
    /// The largest datagram to send.
    pub(crate) datagram: usize,
    /// Start small, and look for the largest datagram that passes.
    pub(crate) discover: bool,
}

/// One connection.
pub(crate) struct Conn {
    pub(crate) quic: quiche::Connection,
    /// Server: bytes still to be written.
    pub(crate) left: usize,
    timer: Option<Instant>,
}

/// A socket and its connections.
pub(crate) struct Peer {
    config: quiche::Config,
    accepts: bool,
    poll: Poll,
    events: Events,
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    conns: HashMap<Cid, Conn>,
    timers: BTreeSet<(Instant, Cid)>,
    /// The socket was not read to its end: the poll will not tell of what is left.
    readable: bool,
}

impl Peer {
    pub(crate) fn server(options: &Options) -> Result<Self, Box<dyn Error>> {
        let identity = anabranch_tests::cert::self_signed();
        let mut context = boring::ssl::SslContextBuilder::new(boring::ssl::SslMethod::tls())?;
        context.set_certificate(&*boring::x509::X509::from_pem(&identity.chain_pem)?)?;
        context.set_private_key(&*boring::pkey::PKey::private_key_from_pem(&identity.key_pem)?)?;
        let version = quiche::PROTOCOL_VERSION;
        let config = quiche::Config::with_boring_ssl_ctx_builder(version, context)?;
        Self::new(config, options, options.port, true)
    }

    pub(crate) fn client(options: &Options) -> Result<Self, Box<dyn Error>> {
        Self::new(quiche::Config::new(quiche::PROTOCOL_VERSION)?, options, 0, false)
    }

    fn new(
        mut config: quiche::Config,
        options: &Options,
        port: u16,
        accepts: bool,
    ) -> Result<Self, Box<dyn Error>> {
        configure(&mut config, options)?;
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?;
        socket.set_nonblocking(true)?;
        let state = UdpSocketState::new((&socket).into())?;
        enlarge(&socket)?;
        let local = socket.local_addr()?;
        let mut socket = UdpSocket::from_std(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
        Ok(Self {
            config,
            accepts,
            poll,
            events: Events::with_capacity(8),
            socket,
            state,
            local,
            incoming: vec![0; limits::MAX_DATAGRAM],
            outgoing: vec![0; limits::MAX_SEGMENTED],
            conns: HashMap::new(),
            timers: BTreeSet::new(),
            readable: false,
        })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn conn(&mut self, id: Cid) -> Option<&mut Conn> {
        self.conns.get_mut(&id)
    }

    /// Starts a connection to a port of this machine.
    pub(crate) fn connect(&mut self, port: u16) -> Result<Cid, Box<dyn Error>> {
        let mut id = [0; CID];
        boring::rand::rand_bytes(&mut id)?;
        let scid = quiche::ConnectionId::from_ref(&id);
        let remote = (Ipv4Addr::LOCALHOST, port).into();
        let quic = quiche::connect(None, &scid, self.local, remote, &mut self.config)?;
        self.conns.insert(id, Conn { quic, left: 0, timer: None });
        self.flush(id)?;
        Ok(id)
    }

    /// Waits for datagrams or a timer, and gives them to the connections they are for. Answers
    /// which ones those were: all of them want [`Peer::flush`].
    pub(crate) fn turn(&mut self) -> io::Result<Vec<Cid>> {
        let timer = self.timers.first();
        let wait = timer.map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let wait = if self.readable { Some(Duration::ZERO) } else { wait };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.readable |= !self.events.is_empty();
        let mut touched = Vec::new();
        for _ in 0..RECEIVES {
            self.readable = self.readable && self.receive(&mut touched)?;
        }
        let now = Instant::now();
        while let Some((_, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.pop_first();
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.timer = None;
                conn.quic.on_timeout();
                touched.push(id);
            }
        }
        Ok(touched)
    }

    /// One receive call. `false`: nothing was there.
    fn receive(&mut self, touched: &mut Vec<Cid>) -> io::Result<bool> {
        let mut meta = [RecvMeta::default()];
        let mut buffers = [io::IoSliceMut::new(&mut self.incoming)];
        match self.state.recv((&self.socket).into(), &mut buffers, &mut meta) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let info = quiche::RecvInfo { from: meta[0].addr, to: self.local };
        for datagram in self.incoming[..meta[0].len].chunks_mut(meta[0].stride.max(1)) {
            let Some(id) = destination(datagram) else { continue };
            if self.accepts && !self.conns.contains_key(&id) && datagram[0] & 0x80 != 0 {
                // The id that the client chose for us will do: nobody else is served here.
                let scid = quiche::ConnectionId::from_ref(&id);
                let quic = quiche::accept(&scid, None, self.local, info.from, &mut self.config)
                    .map_err(io::Error::other)?;
                self.conns.insert(id, Conn { quic, left: 0, timer: None });
            }
            if let Some(conn) = self.conns.get_mut(&id) {
                // A datagram that is of no use is dropped.
                let _ = conn.quic.recv(datagram, info);
                if touched.last() != Some(&id) {
                    touched.push(id);
                }
            }
        }
        Ok(true)
    }

    /// Sends what the connection has to send, in runs of full datagrams, and sets its timer.
    pub(crate) fn flush(&mut self, id: Cid) -> Result<(), Box<dyn Error>> {
        let Some(mut conn) = self.conns.remove(&id) else { return Ok(()) };
        while let Some((len, segment, to)) = self.fill(&mut conn)? {
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: &self.outgoing[..len],
                segment_size: (segment < len).then_some(segment),
                src_ip: None,
            };
            // A send buffer of this size is full only if the peer's receive buffer is, too: then
            // the run is lost, as it would be on the way.
            if let Err(error) = self.state.try_send((&self.socket).into(), &transmit)
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return Err(error.into());
            }
        }
        let at = conn.quic.timeout_instant();
        if at != conn.timer {
            if let Some(old) = conn.timer {
                self.timers.remove(&(old, id));
            }
            self.timers.extend(at.map(|at| (at, id)));
            conn.timer = at;
        }
        if !(self.accepts && conn.quic.is_closed()) {
            self.conns.insert(id, conn);
        }
        Ok(())
    }

    /// Writes a run of datagrams: their length, that of each, and where they go.
    fn fill(&mut self, conn: &mut Conn) -> quiche::Result<Option<(usize, usize, SocketAddr)>> {
        let (mut segment, to) = match conn.quic.send(&mut self.outgoing) {
            Ok((len, info)) => (len, info.to),
            Err(quiche::Error::Done) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut len = segment;
        if segment == conn.quic.max_send_udp_payload_size() {
            let most = self.state.max_gso_segments().min(self.outgoing.len() / segment);
            while len < most * segment {
                match conn.quic.send(&mut self.outgoing[len..len + segment]) {
                    Ok((more, _)) => {
                        len += more;
                        if more < segment {
                            break;
                        }
                    }
                    Err(quiche::Error::Done) => break,
                    Err(error) => return Err(error),
                }
            }
        } else {
            segment = len;
        }
        Ok(Some((len, segment, to)))
    }

    /// Tells the peer that it is over.
    pub(crate) fn close(&mut self, id: Cid) -> Result<(), Box<dyn Error>> {
        if let Some(conn) = self.conn(id) {
            conn.quic.close(true, 0, b"")?;
        }
        self.flush(id)
    }
}

/// The connection id that a datagram is for.
fn destination(datagram: &[u8]) -> Option<Cid> {
    let at = if datagram.first()? & 0x80 == 0 { 1 } else { 6 };
    datagram.get(at..at + CID)?.try_into().ok()
}

/// As the product has it: the windows of a client that receives, CUBIC, no pacing.
fn configure(config: &mut quiche::Config, options: &Options) -> quiche::Result<()> {
    config.set_application_protos(&[b"bare"])?;
    config.verify_peer(false);
    config.set_max_recv_udp_payload_size(limits::MAX_DATAGRAM);
    config.set_max_send_udp_payload_size(options.datagram);
    config.discover_pmtu(options.discover);
    config.set_initial_max_data(limits::CONNECTION_WINDOW);
    config.set_max_connection_window(limits::CONNECTION_WINDOW);
    config.set_initial_max_stream_data_bidi_local(limits::STREAM_WINDOW);
    config.set_initial_max_stream_data_bidi_remote(limits::STREAM_WINDOW);
    config.set_max_stream_window(limits::STREAM_WINDOW);
    config.set_initial_max_streams_bidi(1);
    config.set_max_idle_timeout(120_000);
    config.set_cc_algorithm(quiche::CongestionControlAlgorithm::CUBIC);
    config.enable_pacing(false);
    Ok(())
}

/// Large buffers: past the system's limit where the user may, else up to it.
fn enlarge(socket: &std::net::UdpSocket) -> io::Result<()> {
    use rustix::net::sockopt as force;
    let sock = socket2::SockRef::from(socket);
    if force::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER).is_err() {
        sock.set_recv_buffer_size(SOCKET_BUFFER)?;
    }
    if force::set_socket_send_buffer_size_force(socket, SOCKET_BUFFER).is_err() {
        sock.set_send_buffer_size(SOCKET_BUFFER)?;
    }
    Ok(())
}
