//! The Anabranch protocol as state machines without input or output.
//!
//! One [`Endpoint`] carries any number of connections. It has one door in (datagrams, timer
//! events, commands) and one door out ([`Endpoint::poll_output`]: datagrams to send, events for
//! the application, and how long there is nothing to do). It owns no socket, no file, no
//! thread and no clock, so any runtime can drive it, and a test can drive it under virtual time.
#![forbid(unsafe_code)]

pub mod app;
pub mod code;
pub mod config;
pub mod conn;
pub mod endpoint;
pub mod error;
pub mod event;
pub mod hub;
pub mod id;
pub mod io;
pub mod limits;
pub mod machine;
pub mod planted;
pub mod rng;
pub mod session;
pub mod time;
pub mod trace;
pub mod transport;
pub mod wire;

pub use app::App;
pub use code::Code;
pub use config::Config;
pub use conn::{Conn, Media};
pub use endpoint::Endpoint;
pub use error::{Lost, Misuse, Violation, Why};
pub use event::{Dialect, Event};
pub use id::{ConnId, MediaId, RequestId, SessionId, Side};
pub use io::{Ecn, Output, Path, Transmit};
pub use rng::Seed;
pub use session::media;
pub use time::{Deadline, Instant, UnixMillis};
