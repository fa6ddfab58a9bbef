//! One connection: its control stream and its sessions.

mod adopt;
mod carrier;
mod command;
mod connection;
pub mod control;
mod handle;
mod media;
pub mod state;
pub mod streams;
mod timing;

pub(crate) use carrier::Shared;
pub use command::{Answer, Command};
pub(crate) use connection::Connection;
pub use handle::Conn;
pub(crate) use handle::split_ticket;
pub use media::Media;
