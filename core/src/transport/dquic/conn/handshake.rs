//! HELLO, RETRY, VERSION, WELCOME (rules AB-D4 to AB-D8 and AB-D11 to AB-D13).

use std::time::Duration;

use super::Connection;
use crate::error::{Lost, Why};
use crate::id::Side;
use crate::io::Path;
use crate::time::Instant;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::packet::{self, Header, VERSION};
use crate::transport::dquic::params::Params;
use crate::transport::dquic::state::{Input, State};
use crate::transport::dquic::streams::Credit;
use crate::transport::dquic::why::Close;
use crate::transport::{Facts, Signal};

/// The first interval between two HELLOs. It doubles.
const HELLO_AGAIN: Duration = Duration::from_millis(250);
/// The longest interval between two HELLOs.
const MAX_HELLO_AGAIN: Duration = Duration::from_secs(1);

/// What is kept while the two ends get to know each other.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    /// What the client offers, best first; then what was picked.
    protocols: Vec<Vec<u8>>,
    /// What a RETRY gave.
    token: Vec<u8>,
    /// When the client says HELLO again.
    hello_at: Option<Instant>,
    /// How often it has.
    hellos: u32,
    /// A HELLO waits for its WELCOME.
    welcome_owed: bool,
    /// When the question was sent whose answer completes the handshake: HELLO, or WELCOME. If it
    /// was sent more than once, nobody knows which one is answered (Karn's algorithm).
    asked_at: Option<Instant>,
    /// How often it was sent.
    asked: u32,
    /// Connection ids that the peer keeps.
    cid_limit: u64,
}

impl Handshake {
    pub(super) fn client(now: Instant, offered: &[&[u8]]) -> Self {
        let protocols = offered.iter().map(|name| name.to_vec()).collect();
        Self { protocols, hello_at: Some(now), ..Self::default() }
    }

    /// When a HELLO is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.hello_at
    }
}

impl Handshake {
    fn ask(&mut self, now: Instant) {
        self.asked_at = Some(now);
        self.asked += 1;
    }
}

impl Connection {
    /// The HELLO that is due, if there is one.
    pub(super) fn hello(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.handshake.hello_at.is_none_or(|at| at > now) {
            return None;
        }
        let wait = HELLO_AGAIN.saturating_mul(1 << self.handshake.hellos.min(8));
        self.handshake.hello_at = Some(now + wait.min(MAX_HELLO_AGAIN));
        self.handshake.hellos += 1;
        self.handshake.ask(now);
        let mut params = self.config.params(Side::Client);
        params.protocols.clone_from(&self.handshake.protocols);
        let mut bytes = Vec::new();
        params.write(&mut bytes);
        let mut out = Vec::new();
        packet::hello(&mut out, &self.header(), &self.handshake.token, &bytes);
        Some(out)
    }

    /// The WELCOME that is owed, if there is one.
    pub(super) fn welcome(&mut self, now: Instant) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.handshake.welcome_owed) {
            return None;
        }
        self.handshake.ask(now);
        let mut params = self.config.params(Side::Server);
        params.reset_token = Some(self.own.first_token());
        params.protocols.clone_from(&self.handshake.protocols);
        let mut bytes = Vec::new();
        params.write(&mut bytes);
        let mut out = Vec::new();
        packet::welcome(&mut out, &self.header(), &bytes);
        Some(out)
    }

    fn header(&self) -> Header {
        Header { version: VERSION, dcid: self.peer.current().cid, scid: self.own.first() }
    }

    /// A client says HELLO, perhaps again.
    pub(super) fn on_hello(
        &mut self,
        now: Instant,
        (path, len): (Path, usize),
        header: &Header,
        params: &[u8],
    ) {
        let first = self.state == State::Idle;
        if header.scid != self.peer.current().cid || !self.step(Input::Hello) {
            return;
        }
        if !self.paths.is_validated() {
            self.paths.set_handshake(path, len);
            self.told = path;
        }
        self.handshake.welcome_owed = true;
        if !first {
            return;
        }
        let Some(params) = Params::read(params) else {
            self.violated(now, TransportError::TransportParameter);
            return;
        };
        let known = |name: &&Vec<u8>| self.config.carries.known().contains(&name.as_slice());
        match params.protocols.iter().find(known) {
            Some(name) => self.handshake.protocols = vec![name.clone()],
            None => {
                self.end_with(now, Input::Violation, Close::no_protocol());
                return;
            }
        }
        self.agree(&params);
    }

    /// What the peer has told holds from now on.
    fn agree(&mut self, params: &Params) {
        self.handshake.cid_limit = params.cid_limit;
        self.timing.agree(params.idle_timeout);
        self.recovery.set_peer_ack_delay(params.max_ack_delay);
        let most = usize::try_from(params.max_datagram).unwrap_or(usize::MAX);
        self.mtu.restart(most.min(self.config.datagram()));
        self.recovery.set_mtu(self.mtu.current());
        self.streams.set_peer(Credit {
            max_data: params.max_data,
            max_stream_data: params.max_stream_data,
            max_streams_bidi: params.streams_bidi,
            max_streams_uni: params.streams_uni,
        });
    }

    /// Streams may be used.
    fn establish(&mut self, now: Instant) {
        self.handshake.hello_at = None;
        if let (Some(at), 1) = (self.handshake.asked_at, self.handshake.asked) {
            self.recovery.on_handshake(now, now.since(at));
        }
        self.own.supply(self.handshake.cid_limit);
        self.signals.push_back(Signal::Up(Facts {
            alpn: self.handshake.protocols.first().cloned().unwrap_or_default(),
            peer_key: None,
            resumed: false,
            remote: self.paths.current().remote,
        }));
    }

    /// A client has sent to an id that it can only have from a WELCOME: it is where it says.
    pub(super) fn on_confirmed(&mut self, now: Instant, number: u64) {
        if self.step(Input::Confirmed) {
            if number > 0 {
                // Others went before it and are lost: it was not sent as soon as WELCOME came.
                self.handshake.asked_at = None;
            }
            self.paths.set_validated();
            self.establish(now);
        }
    }

    /// The server wants the address to be proved first. Only once (RFC 9000 section 17.2.5.2).
    pub(super) fn on_retry(&mut self, now: Instant, header: &Header, token: &[u8]) {
        if self.is_for_us(header) && self.handshake.token.is_empty() && self.step(Input::Retry) {
            self.handshake.token = token.to_vec();
            self.handshake.hello_at = Some(now);
            self.handshake.asked = 0;
            self.peer.set_first(header.scid, None);
        }
    }

    /// The server speaks other versions.
    pub(super) fn on_version(&mut self, header: &Header, versions: &[u8]) {
        let (listed, _) = versions.as_chunks::<4>();
        let ours = listed.iter().any(|version| u32::from_be_bytes(*version) == VERSION);
        // An answer to something that we did not ask (RFC 9000 section 6.2).
        if ours || !self.is_for_us(header) || header.scid != self.peer.current().cid {
            return;
        }
        self.end(Input::NoVersion, Why::Lost(Lost::NoVersion));
    }

    /// The server takes us.
    pub(super) fn on_welcome(&mut self, now: Instant, header: &Header, params: &[u8]) {
        if !self.is_for_us(header) || self.state != State::Connecting {
            return;
        }
        let params = Params::read(params);
        let token = params.as_ref().and_then(|params| params.reset_token);
        self.peer.set_first(header.scid, token);
        let Some(params) = params else {
            self.violated(now, TransportError::TransportParameter);
            return;
        };
        let offered = &self.handshake.protocols;
        match params.protocols.as_slice() {
            [picked] if offered.contains(picked) => {
                self.handshake.protocols = vec![picked.clone()];
            }
            _ => {
                self.end_with(now, Input::Violation, Close::no_protocol());
                return;
            }
        }
        self.step(Input::Welcome);
        self.believe();
        self.agree(&params);
        self.establish(now);
        // The server waits for a packet to the id that it has given.
        self.ping = true;
    }

    fn is_for_us(&self, header: &Header) -> bool {
        self.side == Side::Client && header.dcid == self.own.first()
    }
}
