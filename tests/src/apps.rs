//! The applications on both ends of a test network: a server that supplies clips, and a client
//! that pulls and checks them. Both hand everything they see to the oracles.

mod client;
mod files;
mod server;

pub use client::ClientApp;
pub use files::{Disk, FilesApp, Habits, Partial, Repeats, Source};
pub use server::{ServerApp, Supply};
