//! DQUIC: packets in plaintext, for laboratories, teaching and simulation.
//!
//! **Nothing is encrypted and nobody is authenticated.** Whoever sees a packet can read it, change
//! it and send one like it. The tag of a packet shows damage, not forgery.
//!
//! [`classic`] is the protocol that existing peers speak; the rest is the extension that carries
//! connections ([`stack`]).

pub mod classic;
mod config;
mod conn;
pub mod error;
pub mod frame;
mod ids;
mod mtu;
pub mod out;
pub mod packet;
mod params;
mod paths;
pub mod plain;
pub(crate) mod recovery;
mod stack;
pub mod state;
pub(crate) mod streams;
#[cfg(test)]
mod tests;
mod why;

pub use config::{Carries, DquicConfig};
pub use packet::VERSION;

use crate::error::Misuse;
use crate::rng::Seed;
use crate::transport::Stack;

/// The stack of one endpoint for DQUIC connections: **in plaintext**, see [the module](self). All
/// that is random in them comes from `seed`, so a run with the same inputs has the same bytes.
///
/// # Errors
/// [`Misuse::Config`] with what is wrong with a number.
pub fn stack(config: DquicConfig, seed: &Seed) -> Result<Box<dyn Stack>, Misuse> {
    Ok(Box::new(stack::DquicStack::new(config, seed)?))
}
