//! The state machine of one sending.

use crate::machine::{Machine, Step};

/// Where a sending stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The application is asked for the bytes of the next packet.
    Gathering,
    /// A packet is under way, and nothing else is sent before its answer.
    Waiting,
    /// Every stream has been acknowledged to its end.
    Done,
    /// Given up.
    Failed,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// The bytes of a packet are there.
    Gathered,
    /// No stream has anything left.
    Exhausted,
    /// The answer to the packet under way has come.
    Answered,
    /// An answer to something else, or no answer at all.
    Stray,
    /// No answer in time, and there are tries left.
    Timeout,
    /// No answer in time to the last try.
    Silence,
    /// The peer's answer cannot be true of what was sent.
    Contradicted,
    /// The application wants no more of it, or has no more to give.
    Cancel,
}

impl Machine for State {
    type Input = Input;
    const STATES: &'static [Self] = &[Self::Gathering, Self::Waiting, Self::Done, Self::Failed];
    const INPUTS: &'static [Input] = &[
        Input::Gathered,
        Input::Exhausted,
        Input::Answered,
        Input::Stray,
        Input::Timeout,
        Input::Silence,
        Input::Contradicted,
        Input::Cancel,
    ];
    const FINAL: &'static [Self] = &[Self::Done, Self::Failed];

    fn next(self, input: Input) -> Step<Self> {
        match self {
            Self::Gathering => match input {
                Input::Gathered => Step::Go(Self::Waiting),
                Input::Exhausted => Step::Go(Self::Done),
                Input::Cancel => Step::Go(Self::Failed),
                Input::Stray => Step::Stay,
                Input::Answered | Input::Timeout | Input::Silence | Input::Contradicted => {
                    Step::Illegal
                }
            },
            Self::Waiting => match input {
                Input::Answered => Step::Go(Self::Gathering),
                Input::Stray | Input::Timeout => Step::Stay,
                Input::Silence | Input::Contradicted | Input::Cancel => Step::Go(Self::Failed),
                Input::Gathered | Input::Exhausted => Step::Illegal,
            },
            Self::Done | Self::Failed => match input {
                Input::Stray => Step::Stay,
                Input::Gathered
                | Input::Exhausted
                | Input::Answered
                | Input::Timeout
                | Input::Silence
                | Input::Contradicted
                | Input::Cancel => Step::Illegal,
            },
        }
    }
}
