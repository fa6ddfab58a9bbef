//! Plain data an [`crate::Endpoint`] is made with. No files, no seed, no clock.

use std::time::Duration;

use crate::limits;
use crate::time::UnixMillis;

/// When a server asks a client to prove its address before it keeps state for it
/// (RFC 9000 section 8.1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Always: one round trip more for everybody.
    Always,
    /// While more than [`limits::HALF_OPEN_BEFORE_RETRY`] handshakes are under way.
    #[default]
    UnderLoad,
    /// Never.
    Never,
}

/// Who decides whether media is paced by its bitrate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// Paced unless the client asks for it as fast as possible.
    #[default]
    ByClient,
    /// Always paced.
    On,
    /// Never paced.
    Off,
}

/// What a server grants to media sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPolicy {
    /// The highest bitrate granted, in bit/s.
    pub max_bitrate: u32,
    /// The bitrate of media whose own is not known, if the client offers none either, in bit/s.
    pub default_bitrate: u32,
    /// The largest chunk granted, in bytes.
    pub max_chunk: u32,
    /// Seconds between heartbeats.
    pub keepalive: u32,
    /// Seconds of silence that end a session.
    pub timeout: u32,
    /// Who decides about pacing.
    pub pacing: Pacing,
    /// Playing time sent ahead at the start of a paced session, so that a player need not wait.
    pub startup_burst: Duration,
}

impl Default for MediaPolicy {
    fn default() -> Self {
        Self {
            max_bitrate: limits::DEFAULT_MAX_BITRATE,
            default_bitrate: limits::DEFAULT_BITRATE,
            max_chunk: limits::DEFAULT_CHUNK,
            keepalive: limits::DEFAULT_KEEPALIVE,
            timeout: limits::DEFAULT_SESSION_TIMEOUT,
            pacing: Pacing::default(),
            startup_burst: Duration::from_secs(2),
        }
    }
}

/// What an [`crate::Endpoint`] is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sent in HELLO, for the peer's log: program and version.
    pub agent: String,
    /// Connections held at once.
    pub max_connections: usize,
    /// Half-open connections, in all.
    pub max_half_open: usize,
    /// Half-open connections from one address.
    pub max_half_open_per_address: usize,
    /// When to ask for proof of address.
    pub retry: Retry,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// A ping after this much silence keeps a connection open that is meant to stay. Only
    /// clients send them. `None`: let it die.
    pub keep_alive: Option<Duration>,
    /// What is granted to media sessions.
    pub media: MediaPolicy,
    /// The wall-clock time at [`crate::time::Instant::ZERO`].
    pub epoch: UnixMillis,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            agent: concat!("anabranch/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_connections: limits::MAX_CONNECTIONS,
            max_half_open: limits::MAX_HALF_OPEN,
            max_half_open_per_address: limits::MAX_HALF_OPEN_PER_ADDRESS,
            retry: Retry::default(),
            handshake_timeout: limits::HANDSHAKE_TIMEOUT,
            keep_alive: Some(Duration::from_secs(10)),
            media: MediaPolicy::default(),
            epoch: UnixMillis::default(),
        }
    }
}
