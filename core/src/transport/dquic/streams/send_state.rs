//! The sending half of a stream (RFC 9000 section 3.1).

use crate::machine::{Machine, Step};

/// Where the sending half stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Nothing has been sent.
    Ready,
    /// Data is sent.
    Send,
    /// Everything has been sent, the end mark too; not everything has arrived.
    DataSent,
    /// Abandoned: the peer is being told.
    ResetSent,
    /// Everything has arrived.
    DataRecvd,
    /// The peer knows that it was abandoned.
    ResetRecvd,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    /// Data is sent without the end mark, for the first time or again.
    SendData,
    /// The end mark is sent, for the first time or again.
    SendFin,
    /// The last part of data and end mark is acknowledged.
    AllAcked,
    /// The application abandons it, or the peer wants no more.
    Reset,
    /// The peer has acknowledged RESET_STREAM.
    ResetAcked,
}

impl State {
    /// Nothing is left to do.
    pub(crate) const fn is_over(self) -> bool {
        match self {
            Self::DataRecvd | Self::ResetRecvd => true,
            Self::Ready | Self::Send | Self::DataSent | Self::ResetSent => false,
        }
    }
}

impl Machine for State {
    type Input = Input;

    const STATES: &'static [Self] = &[
        Self::Ready,
        Self::Send,
        Self::DataSent,
        Self::ResetSent,
        Self::DataRecvd,
        Self::ResetRecvd,
    ];

    const INPUTS: &'static [Input] =
        &[Input::SendData, Input::SendFin, Input::AllAcked, Input::Reset, Input::ResetAcked];

    const FINAL: &'static [Self] = &[Self::DataRecvd, Self::ResetRecvd];

    fn next(self, input: Input) -> Step<Self> {
        use Input as I;
        match (self, input) {
            (Self::Ready, I::SendData) => Step::Go(Self::Send),
            (Self::Ready | Self::Send, I::SendFin) => Step::Go(Self::DataSent),
            (Self::Send | Self::DataSent, I::SendData) | (Self::DataSent, I::SendFin) => Step::Stay,
            (Self::DataSent, I::AllAcked) => Step::Go(Self::DataRecvd),
            (Self::Ready | Self::Send, I::AllAcked) => Step::Illegal,
            (Self::Ready | Self::Send | Self::DataSent, I::Reset) => Step::Go(Self::ResetSent),
            (Self::Ready | Self::Send | Self::DataSent, I::ResetAcked) => Step::Illegal,

            (Self::ResetSent, I::ResetAcked) => Step::Go(Self::ResetRecvd),
            // Data that was on its way may still be acknowledged.
            (Self::ResetSent | Self::ResetRecvd, I::AllAcked | I::Reset) => Step::Stay,
            (Self::ResetRecvd, I::ResetAcked) => Step::Stay,
            (Self::ResetSent | Self::ResetRecvd, I::SendData | I::SendFin) => Step::Illegal,

            (Self::DataRecvd, I::AllAcked | I::Reset) => Step::Stay,
            (Self::DataRecvd, I::SendData | I::SendFin | I::ResetAcked) => Step::Illegal,
        }
    }
}
