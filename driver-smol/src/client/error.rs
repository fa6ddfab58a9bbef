//! What can go wrong for a client.

use std::fmt;
use std::io;

use anabranch_core::{Misuse, Why, media};

/// Why a connection did not come to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The endpoint refused to try.
    Misuse(Misuse),
    /// It was tried, and this came of it.
    Lost(Why),
    /// The driver is gone.
    Gone,
}

/// Why a media stream was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The endpoint refused to ask.
    Misuse(Misuse),
    /// The server refused.
    Refused(media::Nack),
    /// The session ended before the server had answered.
    Ended(media::Ended),
    /// The connection was lost before the server had answered.
    Lost(Why),
    /// The driver is gone.
    Gone,
}

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The endpoint refused it.
    Misuse(Misuse),
    /// The connection was lost before the answer.
    Lost(Why),
    /// The driver is gone.
    Gone,
}

/// Why a file transfer was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferError {
    /// The endpoint refused it, the connection was lost, or the driver is gone.
    Request(RequestError),
    /// The system gives no thread for its worker, and says why.
    Thread(String),
}

/// Why a connection was not moved to other sockets.
#[derive(Debug)]
pub enum RebindError {
    /// The new sockets have no way to the server.
    Unreachable(io::Error),
    /// The endpoint refused, or the driver is gone.
    Request(RequestError),
}

const GONE: &str = "the driver is gone";

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Lost(why) => why.fmt(f),
            Self::Gone => f.write_str(GONE),
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Refused(nack) => write!(f, "the server refused: {nack:?}"),
            Self::Ended(ended) => write!(f, "ended before it began: {:?}", ended.reason),
            Self::Lost(why) => why.fmt(f),
            Self::Gone => f.write_str(GONE),
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misuse(misuse) => misuse.fmt(f),
            Self::Lost(why) => why.fmt(f),
            Self::Gone => f.write_str(GONE),
        }
    }
}

impl fmt::Display for RebindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(e) => write!(f, "no way to the server from there: {e}"),
            Self::Request(e) => e.fmt(f),
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(e) => e.fmt(f),
            Self::Thread(e) => write!(f, "no thread for its worker: {e}"),
        }
    }
}

impl std::error::Error for ConnectError {}
impl std::error::Error for OpenError {}
impl std::error::Error for RequestError {}
impl std::error::Error for TransferError {}
impl std::error::Error for RebindError {}
