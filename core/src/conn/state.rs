//! The life of a connection.

use crate::machine::{Machine, Step};

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// The handshake is under way.
    Handshaking,
    /// Sessions come and go.
    Open,
    /// Nothing new is started; what runs goes on.
    Draining,
    /// It is over for the application; the transport says goodbye.
    Closing,
    /// Nothing is left of it.
    Closed,
}

/// What can happen to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// The transport's handshake is complete.
    Up,
    /// The application wants to stop.
    Drain,
    /// While draining, the last session has ended and all its bytes have arrived.
    Quiet,
    /// The time for draining is over.
    DrainDeadline,
    /// The time for the handshake is over.
    HandshakeDeadline,
    /// The application closes it.
    Close,
    /// The peer broke a rule.
    Violation,
    /// The transport is down.
    Down,
    /// The transport has nothing left to send or to wait for.
    Finished,
}

impl State {
    /// The state's name, for errors and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handshaking => "Handshaking",
            Self::Open => "Open",
            Self::Draining => "Draining",
            Self::Closing => "Closing",
            Self::Closed => "Closed",
        }
    }

    /// The application knows the connection and has not been told of its end.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Handshaking | Self::Open | Self::Draining => true,
            Self::Closing | Self::Closed => false,
        }
    }
}

impl Machine for State {
    type Input = Input;

    const STATES: &'static [Self] =
        &[Self::Handshaking, Self::Open, Self::Draining, Self::Closing, Self::Closed];

    const INPUTS: &'static [Input] = &[
        Input::Up,
        Input::Drain,
        Input::Quiet,
        Input::DrainDeadline,
        Input::HandshakeDeadline,
        Input::Close,
        Input::Violation,
        Input::Down,
        Input::Finished,
    ];

    const FINAL: &'static [Self] = &[Self::Closed];

    fn next(self, input: Input) -> Step<Self> {
        use Input as I;
        match (self, input) {
            (Self::Handshaking, I::Up) => Step::Go(Self::Open),
            (
                Self::Handshaking,
                I::Drain | I::HandshakeDeadline | I::Close | I::Violation | I::Down,
            ) => Step::Go(Self::Closing),
            (Self::Handshaking, I::Quiet | I::DrainDeadline) => Step::Illegal,

            (Self::Open, I::Drain) => Step::Go(Self::Draining),
            (Self::Open, I::Close | I::Violation | I::Down) => Step::Go(Self::Closing),
            (Self::Open, I::HandshakeDeadline) => Step::Stay,
            (Self::Open, I::Up | I::Quiet | I::DrainDeadline) => Step::Illegal,

            (Self::Draining, I::Quiet | I::DrainDeadline | I::Close | I::Violation | I::Down) => {
                Step::Go(Self::Closing)
            }
            (Self::Draining, I::Drain | I::HandshakeDeadline) => Step::Stay,
            (Self::Draining, I::Up) => Step::Illegal,

            // The end can be told in several ways at once; only the first one counts.
            (
                Self::Closing,
                I::Up
                | I::Drain
                | I::Quiet
                | I::DrainDeadline
                | I::HandshakeDeadline
                | I::Close
                | I::Violation
                | I::Down,
            ) => Step::Stay,
            (Self::Handshaking | Self::Open | Self::Draining | Self::Closing, I::Finished) => {
                Step::Go(Self::Closed)
            }

            (
                Self::Closed,
                I::Up
                | I::Drain
                | I::Quiet
                | I::DrainDeadline
                | I::HandshakeDeadline
                | I::Close
                | I::Violation
                | I::Down
                | I::Finished,
            ) => Step::Stay,
        }
    }
}
