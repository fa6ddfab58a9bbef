//! One connection: its control stream and its sessions.

mod adopt;
mod carrier;
mod connection;
pub mod control;
mod files;
mod handle;
pub mod state;
pub mod streams;
mod timing;

pub(crate) use carrier::Shared;
pub(crate) use connection::Connection;
pub use files::Files;
pub(crate) use handle::split_ticket;
pub use handle::{Conn, Media};
