//! The applications on both ends of a test network: a server that supplies clips, and a client
//! that pulls and checks them. Both hand everything they see to the oracles.

mod client;
mod server;

pub use client::ClientApp;
pub use server::{ServerApp, Supply};
