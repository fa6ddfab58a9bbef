//! The transports of test networks.

use std::time::Duration;

use anabranch_core::Seed;
use anabranch_core::transport::Stack;
use anabranch_core::transport::dquic::packet::{self, Packet, TAG};
use anabranch_core::transport::dquic::{self, DquicConfig};
use anabranch_core::transport::quic::{self, QuicConfig};

use crate::cert::Identity;

/// Which transport carries connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// QUIC.
    #[default]
    Quic,
    /// The DQUIC extension.
    Dquic,
}

impl Kind {
    /// Every transport.
    pub const ALL: [Self; 2] = [Self::Quic, Self::Dquic];

    /// The name, as in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quic => "quic",
            Self::Dquic => "dquic",
        }
    }
}

/// Settings of a transport that tests change.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Which one.
    pub kind: Kind,
    /// Silence that ends a connection.
    pub idle_timeout: Duration,
    /// Look for larger datagrams than those that always pass.
    pub discover_mtu: bool,
    /// The largest datagram to send.
    pub max_datagram: usize,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            kind: Kind::default(),
            idle_timeout: Duration::from_secs(30),
            discover_mtu: false,
            max_datagram: 1_350,
        }
    }
}

impl Knobs {
    fn quic(&self) -> QuicConfig {
        QuicConfig {
            idle_timeout: self.idle_timeout,
            discover_mtu: self.discover_mtu,
            max_datagram: self.max_datagram,
            ..QuicConfig::default()
        }
    }

    fn dquic(&self) -> DquicConfig {
        DquicConfig {
            idle_timeout: self.idle_timeout,
            discover_mtu: self.discover_mtu,
            max_datagram: self.max_datagram,
            ..DquicConfig::default()
        }
    }
}

/// A server's stack. Its secrets are the same after each restart, its identifiers are not.
///
/// # Panics
/// If the knobs cannot work.
#[must_use]
pub fn server(knobs: &Knobs, identity: &Identity, seed: &Seed, restarts: u64) -> Box<dyn Stack> {
    let static_key = seed.stream("static key").array();
    let own = Seed(seed.stream(&format!("server {restarts}")).array());
    match knobs.kind {
        Kind::Quic => {
            let config = QuicConfig {
                identity: Some(quic::Identity {
                    chain_pem: identity.chain_pem.clone(),
                    key_pem: identity.key_pem.clone(),
                }),
                static_key,
                ticket_key: Some(seed.stream("ticket key").array()),
                ..knobs.quic()
            };
            quic::stack(config, &own)
        }
        Kind::Dquic => {
            dquic::stack(DquicConfig { serves: true, static_key, ..knobs.dquic() }, &own)
        }
    }
    .expect("a server's stack")
}

/// A client's stack.
///
/// # Panics
/// If the knobs cannot work.
#[must_use]
pub fn client(knobs: &Knobs, seed: &Seed) -> Box<dyn Stack> {
    match knobs.kind {
        Kind::Quic => quic::stack(knobs.quic(), seed),
        Kind::Dquic => dquic::stack(knobs.dquic(), seed),
    }
    .expect("a client's stack")
}

/// What datagrams look like, for tests of an endpoint's door.
impl Kind {
    /// A first datagram that speaks another version.
    #[must_use]
    pub fn with_version(self, first: &[u8], version: u32) -> Vec<u8> {
        let mut bytes = first.to_vec();
        bytes[1..5].copy_from_slice(&version.to_be_bytes());
        if self == Self::Dquic {
            let len = bytes.len() - TAG;
            packet::seal(&mut bytes, len);
        }
        bytes
    }

    /// Whether a datagram says which version is spoken, and nothing else.
    #[must_use]
    pub fn is_version_answer(self, datagram: &[u8]) -> bool {
        match self {
            Self::Quic => datagram[1..5] == [0; 4] && datagram.ends_with(&1u32.to_be_bytes()),
            Self::Dquic => match Packet::read(datagram) {
                Some(Packet::Version { versions, .. }) => *versions == dquic::VERSION.to_be_bytes(),
                _ => false,
            },
        }
    }

    /// Whether a datagram asks for proof of address.
    #[must_use]
    pub fn is_retry(self, datagram: &[u8]) -> bool {
        match self {
            Self::Quic => datagram[0] & 0xf0 == 0xf0,
            Self::Dquic => matches!(Packet::read(datagram), Some(Packet::Retry { .. })),
        }
    }

    /// A datagram of `len` bytes for a connection that is not there; a short one is cut off.
    #[must_use]
    pub fn stray(self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0x55; len];
        match self {
            Self::Quic => bytes[0] = 0x40,
            Self::Dquic => {
                let head: &[u8] = &[0x14, 17];
                let fits = head.len().min(len);
                bytes[..fits].copy_from_slice(&head[..fits]);
                if let Some(body) = len.checked_sub(TAG) {
                    packet::seal(&mut bytes, body);
                }
            }
        }
        bytes
    }

    /// The first bytes of a datagram, as if there had been no more of them.
    #[must_use]
    pub fn cut(self, datagram: &[u8], len: usize) -> Vec<u8> {
        let mut bytes = datagram[..len].to_vec();
        if let (Self::Dquic, Some(body)) = (self, len.checked_sub(TAG)) {
            packet::seal(&mut bytes, body);
        }
        bytes
    }

    /// Makes random bytes look more like a packet.
    #[must_use]
    pub fn garbage(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let len = bytes.len();
        let version = match self {
            Self::Quic => {
                bytes[0] |= 0xc0;
                1
            }
            Self::Dquic => {
                bytes[0] = 0x10 | bytes[0] & 0x07;
                dquic::VERSION
            }
        };
        bytes.splice(1..5.min(len), version.to_be_bytes());
        if let (Self::Dquic, Some(body)) = (self, bytes.len().checked_sub(TAG)) {
            packet::seal(&mut bytes, body);
        }
        bytes
    }

    /// Whether a datagram says that a connection is not known.
    #[must_use]
    pub fn is_reset(self, datagram: &[u8]) -> bool {
        match self {
            Self::Quic => datagram.len() >= 21 && datagram[0] & 0xc0 == 0x40,
            Self::Dquic => matches!(Packet::read(datagram), Some(Packet::Reset { .. })),
        }
    }
}
