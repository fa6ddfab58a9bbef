//! The server's state machine of one media session.

use crate::machine::{Machine, Step};

/// Where a session stands, on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// 0: nothing has been granted yet.
    Idle,
    /// 1: chunks are sent.
    Streaming,
    /// 2: the client has asked for silence.
    Paused,
    /// 3: the end has been said, and is being delivered.
    Closing,
    /// 4: over.
    Closed,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    /// An OPEN_STREAM that is granted, or would have been in IDLE.
    OpenStream,
    /// An OPEN_STREAM that is malformed or refused.
    OpenRefused,
    /// OPEN_ACK: only servers send it.
    OpenAck,
    /// OPEN_NACK: only servers send it.
    OpenNack,
    /// STREAM_CHUNK: only servers send it.
    StreamChunk,
    /// PAUSE_STREAM.
    PauseStream,
    /// RESUME_STREAM.
    ResumeStream,
    /// CLOSE_STREAM.
    CloseStream,
    /// HEARTBEAT.
    Heartbeat,
    /// A PDU of a type that this version does not know.
    Unknown,
    /// The client ended its half of the stream.
    Fin,
    /// The client reset its half of the stream, or wants no more of ours.
    Reset,
    /// The client broke a rule.
    Violation,
    /// The last chunk has been sent.
    MediaEnd,
    /// The transport has taken everything, the end mark too.
    Drained,
    /// The client was silent for too long.
    Timeout,
    /// The application supplies no more.
    SourceFailed,
    /// The application closes the session.
    Close,
    /// The connection is gone.
    ConnectionLost,
}

impl State {
    /// The name, as in `docs/protocol.md`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Streaming => "STREAMING",
            Self::Paused => "PAUSED",
            Self::Closing => "CLOSING",
            Self::Closed => "CLOSED",
        }
    }
}

impl Machine for State {
    type Input = Input;
    const STATES: &'static [Self] =
        &[Self::Idle, Self::Streaming, Self::Paused, Self::Closing, Self::Closed];
    const INPUTS: &'static [Input] = &[
        Input::OpenStream,
        Input::OpenRefused,
        Input::OpenAck,
        Input::OpenNack,
        Input::StreamChunk,
        Input::PauseStream,
        Input::ResumeStream,
        Input::CloseStream,
        Input::Heartbeat,
        Input::Unknown,
        Input::Fin,
        Input::Reset,
        Input::Violation,
        Input::MediaEnd,
        Input::Drained,
        Input::Timeout,
        Input::SourceFailed,
        Input::Close,
        Input::ConnectionLost,
    ];
    const FINAL: &'static [Self] = &[Self::Closed];

    fn next(self, input: Input) -> Step<Self> {
        match self {
            Self::Idle => idle(input),
            Self::Streaming => streaming(input),
            Self::Paused => paused(input),
            Self::Closing => closing(input),
            Self::Closed => closed(input),
        }
    }
}

fn idle(input: Input) -> Step<State> {
    match input {
        Input::OpenStream => Step::Go(State::Streaming),
        Input::OpenRefused | Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::CloseStream | Input::Fin | Input::Timeout | Input::Close => Step::Go(State::Closing),
        Input::Reset | Input::Violation | Input::ConnectionLost => Step::Go(State::Closed),
        Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::PauseStream
        | Input::ResumeStream
        | Input::MediaEnd
        | Input::Drained
        | Input::SourceFailed => Step::Illegal,
    }
}

fn streaming(input: Input) -> Step<State> {
    match input {
        Input::PauseStream => Step::Go(State::Paused),
        Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::CloseStream | Input::Fin | Input::Timeout | Input::Close | Input::MediaEnd => {
            Step::Go(State::Closing)
        }
        Input::Reset | Input::Violation | Input::ConnectionLost | Input::SourceFailed => {
            Step::Go(State::Closed)
        }
        Input::OpenStream
        | Input::OpenRefused
        | Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::ResumeStream
        | Input::Drained => Step::Illegal,
    }
}

fn paused(input: Input) -> Step<State> {
    match input {
        Input::ResumeStream => Step::Go(State::Streaming),
        Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::CloseStream | Input::Fin | Input::Timeout | Input::Close => Step::Go(State::Closing),
        Input::Reset | Input::Violation | Input::ConnectionLost | Input::SourceFailed => {
            Step::Go(State::Closed)
        }
        Input::OpenStream
        | Input::OpenRefused
        | Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::PauseStream
        | Input::MediaEnd
        | Input::Drained => Step::Illegal,
    }
}

fn closing(input: Input) -> Step<State> {
    match input {
        Input::Drained
        | Input::Reset
        | Input::Violation
        | Input::ConnectionLost
        | Input::Timeout => Step::Go(State::Closed),
        // Sent before the client knew that the session ends.
        Input::PauseStream
        | Input::ResumeStream
        | Input::CloseStream
        | Input::Heartbeat
        | Input::Unknown
        | Input::Fin
        | Input::SourceFailed => Step::Stay,
        Input::OpenStream
        | Input::OpenRefused
        | Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::MediaEnd
        | Input::Close => Step::Illegal,
    }
}

fn closed(input: Input) -> Step<State> {
    match input {
        Input::OpenStream
        | Input::OpenRefused
        | Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::PauseStream
        | Input::ResumeStream
        | Input::CloseStream
        | Input::Heartbeat
        | Input::Unknown
        | Input::Fin
        | Input::Reset
        | Input::Violation
        | Input::Drained
        | Input::Timeout
        | Input::SourceFailed
        | Input::ConnectionLost => Step::Stay,
        Input::MediaEnd | Input::Close => Step::Illegal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine;

    /// When the table changes on purpose: this test prints the new one, for the file.
    #[test]
    fn server_matrix_is_the_recorded_one() {
        assert_eq!(machine::check::<State>(), Ok(()));
        crate::session::media::testing::assert_snapshot(
            &machine::matrix::<State>(),
            include_str!("state.matrix.txt"),
        );
    }
}
