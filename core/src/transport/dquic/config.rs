//! [`DquicConfig`].

use std::time::Duration;

use super::params::Params;
use super::recovery::received::MAX_ACK_DELAY;
use super::streams::{Credit, Setup};
use crate::error::Misuse;
use crate::id::Side;
use crate::limits;
use crate::transport::{Offered, PROTOCOLS};

/// The largest datagram that is tried, unless configured otherwise.
const DEFAULT_MAX_DATAGRAM: usize = 16_383;
/// Datagram size that nearly every path takes, for when the path is not asked.
const SAFE_DATAGRAM: usize = 1_350;

/// The protocol of plain streams, by its name in a handshake.
static PLAIN_STREAMS: [&[u8]; 1] = [b"dquic-streams"];

/// What the connections of a stack are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carries {
    /// Anabranch: control stream and sessions.
    #[default]
    Sessions,
    /// Streams of bytes from client to server, and nothing else (AB-D25).
    Streams,
}

impl Carries {
    /// The names of the protocols that a server knows.
    pub(super) fn known(self) -> &'static [&'static [u8]] {
        match self {
            Self::Sessions => &PROTOCOLS,
            Self::Streams => &PLAIN_STREAMS,
        }
    }

    /// The names of the protocols that a client offers.
    pub(super) fn offered(self, offered: Offered) -> &'static [&'static [u8]] {
        match self {
            Self::Sessions => offered.protocols(),
            Self::Streams => &PLAIN_STREAMS,
        }
    }
}

/// What a DQUIC stack is made with.
#[derive(Clone, PartialEq, Eq)]
pub struct DquicConfig {
    /// Answer clients. Otherwise the stack only dials.
    pub serves: bool,
    /// The number of this worker, carried in every connection id.
    pub worker: u8,
    /// Secret of stateless resets and RETRY tokens. The same across restarts, so that a peer of
    /// before the restart can be told that its connection is gone.
    pub static_key: [u8; 32],
    /// The largest datagram sent, 1200 to 65507 bytes.
    pub max_datagram: usize,
    /// Find the largest datagram the path takes (RFC 8899). Otherwise datagrams have
    /// `max_datagram` bytes at once, or 1350 if that is at its default.
    pub discover_mtu: bool,
    /// Silence that ends a connection.
    pub idle_timeout: Duration,
    /// What its connections are for.
    pub carries: Carries,
}

impl Default for DquicConfig {
    fn default() -> Self {
        Self {
            serves: false,
            worker: 0,
            static_key: [0; 32],
            max_datagram: DEFAULT_MAX_DATAGRAM,
            discover_mtu: true,
            idle_timeout: Duration::from_secs(30),
            carries: Carries::default(),
        }
    }
}

impl std::fmt::Debug for DquicConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DquicConfig")
            .field("serves", &self.serves)
            .field("worker", &self.worker)
            .field("max_datagram", &self.max_datagram)
            .field("discover_mtu", &self.discover_mtu)
            .field("idle_timeout", &self.idle_timeout)
            .field("carries", &self.carries)
            .finish_non_exhaustive()
    }
}

impl DquicConfig {
    /// Checks the numbers.
    pub(super) fn check(&self) -> Result<(), Misuse> {
        if !(limits::MIN_INITIAL_DATAGRAM..=limits::MAX_SEGMENTED).contains(&self.max_datagram) {
            return Err(Misuse::Config("max_datagram has to be 1200 to 65507"));
        }
        if self.idle_timeout.is_zero() {
            return Err(Misuse::Config("idle_timeout has to be more than zero"));
        }
        if self.serves && self.static_key == [0; 32] {
            return Err(Misuse::Config("a server needs a static_key of random bytes"));
        }
        Ok(())
    }

    /// The largest datagram to send.
    pub(super) fn datagram(&self) -> usize {
        match (self.discover_mtu, self.max_datagram) {
            (false, DEFAULT_MAX_DATAGRAM) => SAFE_DATAGRAM,
            (_, size) => size,
        }
    }

    /// What this end lets the other send.
    pub(super) fn params(&self, side: Side) -> Params {
        let credit = setup(side, self.carries).credit;
        Params {
            idle_timeout: self.idle_timeout,
            reset_token: None,
            max_datagram: limits::MAX_DATAGRAM as u64,
            max_data: credit.max_data,
            max_stream_data: credit.max_stream_data,
            streams_bidi: credit.max_streams_bidi,
            streams_uni: credit.max_streams_uni,
            max_ack_delay: MAX_ACK_DELAY,
            cid_limit: limits::ACTIVE_CONNECTION_IDS,
            protocols: Vec::new(),
        }
    }
}

/// The streams of one end. Of sessions: a client takes media, and gets no streams from its server;
/// a server takes little, since its windows are what a hostile client can make it hold. Plain
/// streams go one way only.
pub(super) fn setup(side: Side, carries: Carries) -> Setup {
    let credit = match (side, carries) {
        (Side::Client, Carries::Sessions) => Credit {
            max_data: limits::CONNECTION_WINDOW,
            max_stream_data: limits::STREAM_WINDOW,
            max_streams_bidi: 0,
            max_streams_uni: limits::MAX_PEER_UNI_STREAMS,
        },
        (Side::Server, Carries::Sessions) => Credit {
            max_data: limits::SERVER_CONNECTION_WINDOW,
            max_stream_data: limits::SERVER_STREAM_WINDOW,
            max_streams_bidi: limits::MAX_PEER_STREAMS,
            max_streams_uni: limits::MAX_PEER_UNI_STREAMS,
        },
        (Side::Client, Carries::Streams) => Credit::default(),
        (Side::Server, Carries::Streams) => Credit {
            max_data: limits::PLAIN_CONNECTION_WINDOW,
            max_stream_data: limits::PLAIN_STREAM_WINDOW,
            max_streams_bidi: 0,
            max_streams_uni: limits::MAX_PLAIN_STREAMS,
        },
    };
    Setup { side, credit, max_stream_window: credit.max_stream_data, max_window: credit.max_data }
}
