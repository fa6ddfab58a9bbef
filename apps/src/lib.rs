//! What the programs `anabranchd` and `anabranch` are made of. No protocol logic lives here:
//! settings, files, trust, terminals and exit codes do.
#![forbid(unsafe_code)]

pub mod capture;
pub mod catalogue;
pub mod cert;
pub mod cli;
pub mod client;
pub mod dial;
pub mod dquic;
pub mod exit;
pub mod generate;
pub mod key_log;
pub mod known_hosts;
pub mod list;
mod next;
pub mod orders;
pub mod ping;
pub mod plaintext;
pub mod play;
pub mod probe;
pub mod questions;
pub mod reader;
pub mod recording;
pub mod report;
pub mod serve;
pub mod server_log;
pub mod settings;
pub mod signals;
pub mod tickets;
pub mod trace;
pub mod transfer;
pub mod trust;
pub mod units;
