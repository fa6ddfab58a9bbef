//! The client's state machine of one media session.

use crate::machine::{Machine, Step};

/// Where a session stands, on the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// 0: nothing has been sent.
    Idle,
    /// 1: OPEN_STREAM has been sent.
    OpenSent,
    /// 2: chunks come.
    Streaming,
    /// 3: the server was asked for silence. What was on its way still comes.
    Paused,
    /// 4: this side has said the end and waits for the server's.
    Closing,
    /// 5: over.
    Closed,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Input {
    /// The application opens the session.
    Open,
    /// The application pauses it.
    Pause,
    /// The application resumes it.
    Resume,
    /// The application closes it.
    Close,
    /// OPEN_STREAM: only clients send it.
    OpenStream,
    /// OPEN_ACK.
    OpenAck,
    /// OPEN_NACK.
    OpenNack,
    /// STREAM_CHUNK.
    StreamChunk,
    /// PAUSE_STREAM: only clients send it.
    PauseStream,
    /// RESUME_STREAM: only clients send it.
    ResumeStream,
    /// CLOSE_STREAM.
    CloseStream,
    /// HEARTBEAT.
    Heartbeat,
    /// A PDU of a type that this version does not know.
    Unknown,
    /// The server ended its half of the stream.
    Fin,
    /// The server reset its half of the stream.
    Reset,
    /// The server broke a rule.
    Violation,
    /// The server was silent for too long.
    Timeout,
    /// The connection is gone.
    ConnectionLost,
}

impl State {
    /// The name, as in `docs/protocol.md`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::OpenSent => "OPEN_SENT",
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
        &[Self::Idle, Self::OpenSent, Self::Streaming, Self::Paused, Self::Closing, Self::Closed];
    const INPUTS: &'static [Input] = &[
        Input::Open,
        Input::Pause,
        Input::Resume,
        Input::Close,
        Input::OpenStream,
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
        Input::Timeout,
        Input::ConnectionLost,
    ];
    const FINAL: &'static [Self] = &[Self::Closed];

    fn next(self, input: Input) -> Step<Self> {
        match self {
            Self::Idle => idle(input),
            Self::OpenSent => open_sent(input),
            Self::Streaming => streaming(input),
            Self::Paused => paused(input),
            Self::Closing => closing(input),
            Self::Closed => closed(input),
        }
    }
}

fn idle(input: Input) -> Step<State> {
    match input {
        Input::Open => Step::Go(State::OpenSent),
        Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::Close
        | Input::CloseStream
        | Input::Fin
        | Input::Reset
        | Input::Violation
        | Input::Timeout
        | Input::ConnectionLost => Step::Go(State::Closed),
        Input::Pause
        | Input::Resume
        | Input::OpenStream
        | Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::PauseStream
        | Input::ResumeStream => Step::Illegal,
    }
}

fn open_sent(input: Input) -> Step<State> {
    match input {
        Input::OpenAck => Step::Go(State::Streaming),
        Input::Close => Step::Go(State::Closing),
        Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::OpenNack
        | Input::CloseStream
        | Input::Fin
        | Input::Reset
        | Input::Violation
        | Input::Timeout
        | Input::ConnectionLost => Step::Go(State::Closed),
        Input::Open
        | Input::Pause
        | Input::Resume
        | Input::OpenStream
        | Input::StreamChunk
        | Input::PauseStream
        | Input::ResumeStream => Step::Illegal,
    }
}

fn streaming(input: Input) -> Step<State> {
    match input {
        Input::Pause => Step::Go(State::Paused),
        Input::Close => Step::Go(State::Closing),
        Input::StreamChunk | Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::CloseStream
        | Input::Fin
        | Input::Reset
        | Input::Violation
        | Input::Timeout
        | Input::ConnectionLost => Step::Go(State::Closed),
        Input::Open
        | Input::Resume
        | Input::OpenStream
        | Input::OpenAck
        | Input::OpenNack
        | Input::PauseStream
        | Input::ResumeStream => Step::Illegal,
    }
}

fn paused(input: Input) -> Step<State> {
    match input {
        Input::Resume => Step::Go(State::Streaming),
        Input::Close => Step::Go(State::Closing),
        // A chunk that was on its way is kept: a pause loses nothing.
        Input::StreamChunk | Input::Heartbeat | Input::Unknown => Step::Stay,
        Input::CloseStream
        | Input::Fin
        | Input::Reset
        | Input::Violation
        | Input::Timeout
        | Input::ConnectionLost => Step::Go(State::Closed),
        Input::Open
        | Input::Pause
        | Input::OpenStream
        | Input::OpenAck
        | Input::OpenNack
        | Input::PauseStream
        | Input::ResumeStream => Step::Illegal,
    }
}

fn closing(input: Input) -> Step<State> {
    match input {
        Input::CloseStream
        | Input::Fin
        | Input::Reset
        | Input::Violation
        | Input::Timeout
        | Input::ConnectionLost => Step::Go(State::Closed),
        // Sent before the server knew that the session ends.
        Input::OpenAck
        | Input::OpenNack
        | Input::StreamChunk
        | Input::Heartbeat
        | Input::Unknown => Step::Stay,
        Input::Open
        | Input::Pause
        | Input::Resume
        | Input::Close
        | Input::OpenStream
        | Input::PauseStream
        | Input::ResumeStream => Step::Illegal,
    }
}

fn closed(input: Input) -> Step<State> {
    match input {
        Input::OpenStream
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
        | Input::Timeout
        | Input::ConnectionLost => Step::Stay,
        Input::Open | Input::Pause | Input::Resume | Input::Close => Step::Illegal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine;

    /// When the table changes on purpose: this test prints the new one, for the file.
    #[test]
    fn client_matrix_is_the_recorded_one() {
        assert_eq!(machine::check::<State>(), Ok(()));
        crate::session::media::testing::assert_snapshot(
            &machine::matrix::<State>(),
            include_str!("state.matrix.txt"),
        );
    }
}
