//! Classic DQUIC: the plaintext protocol that existing peers speak (`docs/protocol.md`, rules
//! AB-K*), in both roles and both forms of its frames.
//!
//! [`Endpoint`] is the machine: datagrams and timeouts go in, and [`Endpoint::poll_output`] gives
//! out datagrams, events, and the time until which there is nothing to do. A sender waits for the
//! answer to each packet before it sends the next one, so a transfer takes a round trip for each.
//!
//! What is acknowledged has been given to the application: an [`Event::Received`] comes before
//! the datagram that acknowledges it.

mod connection;
mod endpoint;
mod event;
mod idle;
mod inbound;
mod layout;
mod packet;
mod receiver;
mod stats;
mod transfer;

pub use connection::Connection;
pub use endpoint::Endpoint;
pub use event::{Config, Counters, Event, Output, Refused};
pub use idle::IdleMap;
pub use inbound::state as receive_state;
pub use inbound::{End, Inbound, Piece, Received};
pub use layout::Layout;
pub use packet::{ACK, DATA, Frame, Frames, HEADER_LEN, Header, Malformed, Packet, SHORT};
pub use receiver::Receiver;
pub use stats::{Report, StreamStats};
pub use transfer::state as send_state;
pub use transfer::{MAX_FRAME, MIN_FRAME, Why};

#[cfg(test)]
mod tests;
