//! QUIC for test networks.

use std::time::Duration;

use anabranch_core::Seed;
use anabranch_core::transport::Stack;
use anabranch_core::transport::quic::{self, QuicConfig};

use crate::cert::Identity;

/// What carries connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// QUIC, through quiche.
    Quic,
}

impl Transport {
    /// The name, as in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
        }
    }

    /// Whether it notices a datagram that was changed on its way.
    #[must_use]
    pub const fn has_integrity(self) -> bool {
        match self {
            Self::Quic => true,
        }
    }
}

/// Settings of a transport that tests change.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Which one.
    pub transport: Transport,
    /// Silence that ends a connection.
    pub idle_timeout: Duration,
    /// Look for larger datagrams than those that always pass.
    pub discover_mtu: bool,
    /// The largest datagram to send.
    pub max_datagram: usize,
}

impl Default for Knobs {
    fn default() -> Self {
        let transport = Transport::Quic;
        Self { transport, idle_timeout: Duration::from_secs(30), discover_mtu: false, max_datagram: 1_350 }
    }
}

impl Knobs {
    fn config(&self) -> QuicConfig {
        QuicConfig {
            idle_timeout: self.idle_timeout,
            discover_mtu: self.discover_mtu,
            max_datagram: self.max_datagram,
            ..QuicConfig::default()
        }
    }
}

/// A server's stack. Its secrets are the same after each restart, its identifiers are not.
///
/// # Panics
/// If the knobs cannot work.
#[must_use]
pub fn server(knobs: &Knobs, identity: &Identity, seed: &Seed, restarts: u64) -> Box<dyn Stack> {
    let config = QuicConfig {
        identity: Some(quic::Identity {
            chain_pem: identity.chain_pem.clone(),
            key_pem: identity.key_pem.clone(),
        }),
        static_key: seed.stream("static key").array(),
        ticket_key: Some(seed.stream("ticket key").array()),
        ..knobs.config()
    };
    let own = Seed(seed.stream(&format!("server {restarts}")).array());
    quic::stack(config, &own).expect("a server's stack")
}

/// A client's stack.
///
/// # Panics
/// If the knobs cannot work.
#[must_use]
pub fn client(knobs: &Knobs, seed: &Seed) -> Box<dyn Stack> {
    quic::stack(knobs.config(), seed).expect("a client's stack")
}
