//! DQUIC: packets in plaintext, for laboratories, teaching and simulation.

pub mod error;
pub mod frame;
pub mod out;
#[allow(dead_code, unused_imports)]
pub(crate) mod recovery;
#[allow(dead_code)]
pub(crate) mod streams;
