//! The receiving half of a stream (RFC 9000 section 3.2).

use crate::machine::{Machine, Step};

/// Where the receiving half stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Data comes.
    Recv,
    /// The end is known, and something in front of it is missing.
    SizeKnown,
    /// The application wants no more: what comes is dropped until the end is known.
    Stopped,
    /// Everything is there; the application has not read all of it.
    DataRecvd,
    /// The peer has abandoned it; the application does not know yet.
    ResetRecvd,
    /// The application has everything, or wants no more.
    DataRead,
    /// The application knows that the peer has abandoned it, or wants no more.
    ResetRead,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    /// Data comes, and some is missing.
    Data,
    /// The end is known, and some data is missing.
    Fin,
    /// The end is known, and nothing is missing.
    All,
    /// RESET_STREAM comes.
    Reset,
    /// The application has read everything and been told so.
    ReadAll,
    /// The application has been told of the reset.
    ReadReset,
    /// The application wants no more.
    Stop,
}

impl State {
    /// Nothing is left to do.
    pub(crate) const fn is_over(self) -> bool {
        match self {
            Self::DataRead | Self::ResetRead => true,
            Self::Recv | Self::SizeKnown | Self::Stopped | Self::DataRecvd | Self::ResetRecvd => {
                false
            }
        }
    }

    /// What comes is kept for the application.
    pub(crate) const fn keeps_data(self) -> bool {
        match self {
            Self::Recv | Self::SizeKnown => true,
            Self::Stopped
            | Self::DataRecvd
            | Self::ResetRecvd
            | Self::DataRead
            | Self::ResetRead => false,
        }
    }
}

impl Machine for State {
    type Input = Input;

    const STATES: &'static [Self] = &[
        Self::Recv,
        Self::SizeKnown,
        Self::Stopped,
        Self::DataRecvd,
        Self::ResetRecvd,
        Self::DataRead,
        Self::ResetRead,
    ];

    const INPUTS: &'static [Input] = &[
        Input::Data,
        Input::Fin,
        Input::All,
        Input::Reset,
        Input::ReadAll,
        Input::ReadReset,
        Input::Stop,
    ];

    const FINAL: &'static [Self] = &[Self::DataRead, Self::ResetRead];

    fn next(self, input: Input) -> Step<Self> {
        use Input as I;
        match (self, input) {
            (Self::Recv, I::Fin) => Step::Go(Self::SizeKnown),
            (Self::Recv, I::Stop) => Step::Go(Self::Stopped),
            (Self::Recv | Self::SizeKnown, I::All) => Step::Go(Self::DataRecvd),
            (Self::Recv | Self::SizeKnown, I::Reset) => Step::Go(Self::ResetRecvd),
            (Self::Recv | Self::Stopped, I::Data) | (Self::SizeKnown, I::Data | I::Fin) => {
                Step::Stay
            }
            // Nothing has to be waited for once the end is known.
            (Self::SizeKnown | Self::DataRecvd, I::Stop) => Step::Go(Self::DataRead),
            (Self::ResetRecvd, I::Stop) => Step::Go(Self::ResetRead),
            (Self::Recv | Self::SizeKnown | Self::Stopped, I::ReadAll | I::ReadReset) => {
                Step::Illegal
            }

            (Self::Stopped, I::Fin | I::All) => Step::Go(Self::DataRead),
            (Self::Stopped, I::Reset) => Step::Go(Self::ResetRead),
            (Self::Stopped, I::Stop) => Step::Stay,

            (Self::DataRecvd, I::ReadAll) => Step::Go(Self::DataRead),
            (Self::ResetRecvd, I::ReadReset) => Step::Go(Self::ResetRead),
            (Self::DataRecvd, I::ReadReset) | (Self::ResetRecvd, I::ReadAll) => Step::Illegal,

            // What comes again, or late, changes nothing.
            (
                Self::DataRecvd | Self::ResetRecvd | Self::DataRead | Self::ResetRead,
                I::Data | I::Fin | I::All | I::Reset,
            )
            | (Self::DataRead | Self::ResetRead, I::Stop) => Step::Stay,
            (Self::DataRead | Self::ResetRead, I::ReadAll | I::ReadReset) => Step::Illegal,
        }
    }
}
