//! What the drivers share: everything but the waiting.
//!
//! A driver runs an [`App`] on an [`Endpoint`]. Its loop makes one *turn* after another, and a
//! turn has six steps:
//!
//! 1. collect datagrams from the sockets, a bounded number of receive calls;
//! 2. take commands from the bounded inbox;
//! 3. tell the endpoint if its deadline has come;
//! 4. drain [`Endpoint::poll_output`]: events go to the application, datagrams to the sockets,
//!    a bounded number of each before the input is looked at again;
//! 5. keep what a socket did not take, and poll for no more until it is gone;
//! 6. sleep until a socket is readable (or writable, if one is blocked), a command comes, or the
//!    deadline does.
//!
//! [`Turn`] does the first five, on any non-blocking socket ([`Datagrams`]). The sixth is what
//! makes a driver: `anabranch-driver-mio` and `anabranch-driver-smol` are little more than
//! that. Nothing here knows the protocol.
//!
//! [`App`]: anabranch_core::App
//! [`Endpoint`]: anabranch_core::Endpoint
//! [`Endpoint::poll_output`]: anabranch_core::Endpoint::poll_output
//!
//! [`dquic`] is apart from this: a blocking socket for classic DQUIC.
#![forbid(unsafe_code)]

mod address;
mod bind;
mod clock;
mod counters;
pub mod dquic;
mod inbox;
mod outbox;
mod port;
mod receive;
mod turn;

pub use bind::{Bound, SocketOptions, Sockets};
pub use clock::{Clock, seed};
pub use counters::Counters;
pub use inbox::{Gone, Message, TrySendError};
pub use port::{Datagrams, Port};
pub use turn::{Next, Turn};
