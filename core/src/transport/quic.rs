//! QUIC (RFC 9000), through quiche and `BoringSSL`.
//!
//! quiche reads the clock and draws some random values itself, so with this transport the core
//! is without input and output, but not without a clock: the `now` of the calls is advisory.

mod buffers;
mod clock;
mod config;
mod conn;
mod packet;
mod paths;
mod send;
mod stack;
mod streams;
mod trust;
mod why;

#[cfg(test)]
mod tests;

pub use config::{Congestion, Identity, KeyLog, QuicConfig};

use crate::error::Misuse;
use crate::rng::Seed;
use crate::transport::Stack;

/// The QUIC stack of one endpoint. `seed` gives connection ids and filler; what BoringSSL and
/// quiche draw comes from their own generators.
///
/// # Errors
/// [`Misuse::Config`] with what is wrong with the identity or a number.
pub fn stack(config: QuicConfig, seed: &Seed) -> Result<Box<dyn Stack>, Misuse> {
    Ok(Box::new(stack::QuicStack::new(config, seed)?))
}
