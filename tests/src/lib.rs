//! What the tests are made of: an emulated link, virtual time, certificates, a pair of endpoints,
//! and the oracles that judge them.
//!
//! Nothing here ships. Failures panic with a message that says what was expected, since that is
//! what a test is for.

pub mod apps;
pub mod bad_day;
pub mod bench;
pub mod cert;
pub mod content;
pub mod deterministic;
pub mod disk;
pub mod ferry;
pub mod fuzz;
pub mod link;
pub mod network;
pub mod oracle;
pub mod pair;
pub mod programs;
pub mod recording;
pub mod rogue;
pub mod rolling;
pub mod seeds;
pub mod sim;
pub mod source;
pub mod stack;
pub mod std_driver;
pub mod tun;
pub mod virtual_clock;
pub mod virtual_random;

#[doc(hidden)]
pub use libc;
