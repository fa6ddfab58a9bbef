//! The life of one end of a connection of the extension (rules AB-D13, AB-D22 to AB-D24).

use crate::machine::{Machine, Step};

/// Where one end of a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing has been sent or heard.
    Idle,
    /// A client waits for WELCOME.
    Connecting,
    /// A server has been asked, and has not seen that its WELCOME arrived.
    Accepting,
    /// Streams come and go.
    Established,
    /// We have closed it, and tell whoever still sends (RFC 9000 section 10.2.1).
    Closing,
    /// The peer has closed it; nothing more is sent (RFC 9000 section 10.2.2).
    Draining,
    /// Nothing is left of it.
    Closed,
}

/// What can happen to one end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// We dial.
    Dial,
    /// A HELLO that we can answer.
    Hello,
    /// A RETRY.
    Retry,
    /// The server speaks no version of ours.
    NoVersion,
    /// A WELCOME.
    Welcome,
    /// A DATA packet of a client that has WELCOME.
    Confirmed,
    /// The application closes it.
    Close,
    /// The peer broke a rule.
    Violation,
    /// The peer has closed it.
    PeerClosed,
    /// The peer has forgotten the connection.
    Reset,
    /// Silence for too long.
    IdleTimeout,
    /// The time for late packets is over.
    Drained,
}

impl State {
    /// The state's name, for errors and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Connecting => "Connecting",
            Self::Accepting => "Accepting",
            Self::Established => "Established",
            Self::Closing => "Closing",
            Self::Draining => "Draining",
            Self::Closed => "Closed",
        }
    }

    /// It is over for whoever uses it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Idle | Self::Connecting | Self::Accepting | Self::Established => false,
            Self::Closing | Self::Draining | Self::Closed => true,
        }
    }
}

impl Machine for State {
    type Input = Input;

    const STATES: &'static [Self] = &[
        Self::Idle,
        Self::Connecting,
        Self::Accepting,
        Self::Established,
        Self::Closing,
        Self::Draining,
        Self::Closed,
    ];

    const INPUTS: &'static [Input] = &[
        Input::Dial,
        Input::Hello,
        Input::Retry,
        Input::NoVersion,
        Input::Welcome,
        Input::Confirmed,
        Input::Close,
        Input::Violation,
        Input::PeerClosed,
        Input::Reset,
        Input::IdleTimeout,
        Input::Drained,
    ];

    const FINAL: &'static [Self] = &[Self::Closed];

    fn next(self, input: Input) -> Step<Self> {
        use Input as I;
        match (self, input) {
            (Self::Idle, I::Dial) => Step::Go(Self::Connecting),
            (Self::Idle, I::Hello) => Step::Go(Self::Accepting),
            (Self::Idle, I::Close | I::Violation | I::PeerClosed | I::IdleTimeout) => {
                Step::Go(Self::Closed)
            }
            (Self::Idle, I::Retry | I::NoVersion | I::Welcome | I::Confirmed | I::Reset) => {
                Step::Stay
            }

            (Self::Connecting, I::Retry) => Step::Go(Self::Connecting),
            (Self::Connecting, I::Welcome) => Step::Go(Self::Established),
            (Self::Connecting, I::NoVersion | I::IdleTimeout) => Step::Go(Self::Closed),
            // A server's first token comes with its WELCOME.
            (Self::Connecting, I::Hello | I::Confirmed | I::Reset) => Step::Stay,

            (Self::Accepting, I::Hello) => Step::Go(Self::Accepting),
            (Self::Accepting, I::Confirmed) => Step::Go(Self::Established),
            (Self::Accepting, I::IdleTimeout) => Step::Go(Self::Closed),
            (Self::Accepting, I::Retry | I::NoVersion | I::Welcome | I::Reset) => Step::Stay,

            (Self::Established, I::Reset | I::IdleTimeout) => Step::Go(Self::Closed),
            // Late repeats.
            (Self::Established, I::Hello | I::Retry | I::NoVersion | I::Welcome | I::Confirmed) => {
                Step::Stay
            }

            (Self::Connecting | Self::Accepting | Self::Established, I::Close | I::Violation) => {
                Step::Go(Self::Closing)
            }
            (
                Self::Connecting | Self::Accepting | Self::Established | Self::Closing,
                I::PeerClosed,
            ) => Step::Go(Self::Draining),
            (Self::Idle | Self::Connecting | Self::Accepting | Self::Established, I::Drained)
            | (Self::Connecting | Self::Accepting | Self::Established, I::Dial) => Step::Illegal,

            (Self::Closing | Self::Draining, I::Drained | I::Reset) => Step::Go(Self::Closed),
            (Self::Draining, I::PeerClosed)
            | (
                Self::Closing | Self::Draining,
                I::Dial
                | I::Hello
                | I::Retry
                | I::NoVersion
                | I::Welcome
                | I::Confirmed
                | I::Close
                | I::Violation
                | I::IdleTimeout,
            )
            | (
                Self::Closed,
                I::Dial
                | I::Hello
                | I::Retry
                | I::NoVersion
                | I::Welcome
                | I::Confirmed
                | I::Close
                | I::Violation
                | I::PeerClosed
                | I::Reset
                | I::IdleTimeout
                | I::Drained,
            ) => Step::Stay,
        }
    }
}
