//! What goes through a driver's inbox, and what can go wrong on the way in.

use std::fmt;

use crate::bind::Sockets;

/// What comes through the inbox.
pub enum Message<C> {
    /// For the application.
    Command(C),
    /// More sockets, for the driver.
    Adopt(Sockets),
}

/// The driver is gone. The command comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Gone<C>(pub C);

/// Why a command was not taken. It comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<C> {
    /// The inbox is full.
    Full(C),
    /// The driver is gone.
    Gone(C),
}

impl<C> fmt::Debug for Gone<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gone(..)")
    }
}

impl<C> fmt::Display for Gone<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the driver is gone")
    }
}

impl<C> std::error::Error for Gone<C> {}

impl<C> fmt::Debug for TrySendError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Gone(_) => "Gone(..)",
        })
    }
}

impl<C> fmt::Display for TrySendError<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the driver's inbox is full",
            Self::Gone(_) => "the driver is gone",
        })
    }
}

impl<C> std::error::Error for TrySendError<C> {}
