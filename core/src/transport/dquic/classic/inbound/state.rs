//! The state machine of one stream that is received.

use crate::machine::{Machine, Step};

/// Where a stream stands, at its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Frames come.
    Open,
    /// Nothing has come for a while: its bytes are taken to be complete.
    Quiet,
    /// A frame declared more bytes than it had. They count, so nothing after them has a place.
    Broken,
    /// Its count has been dropped. If it comes again, it starts anew.
    Forgotten,
}

/// What can happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// A frame that begins where the stream ends.
    Next,
    /// A frame that does not: a repetition, or one that is too early.
    Elsewhere,
    /// A frame that begins where the stream ends, and has less data than it declares.
    Short,
    /// Nothing has come for the configured time.
    Silence,
    /// Its count makes place for another one.
    Forget,
}

impl Machine for State {
    type Input = Input;
    const STATES: &'static [Self] = &[Self::Open, Self::Quiet, Self::Broken, Self::Forgotten];
    const INPUTS: &'static [Input] =
        &[Input::Next, Input::Elsewhere, Input::Short, Input::Silence, Input::Forget];
    const FINAL: &'static [Self] = &[Self::Forgotten];

    fn next(self, input: Input) -> Step<Self> {
        match self {
            Self::Open => match input {
                Input::Next | Input::Elsewhere => Step::Stay,
                Input::Short => Step::Go(Self::Broken),
                Input::Silence => Step::Go(Self::Quiet),
                Input::Forget => Step::Go(Self::Forgotten),
            },
            Self::Quiet => match input {
                // The same counts go on: a classic sender has no other way to say more.
                Input::Next => Step::Go(Self::Open),
                Input::Elsewhere => Step::Stay,
                Input::Short => Step::Go(Self::Broken),
                Input::Silence => Step::Illegal,
                Input::Forget => Step::Go(Self::Forgotten),
            },
            Self::Broken => match input {
                Input::Next | Input::Elsewhere | Input::Short => Step::Stay,
                Input::Silence => Step::Illegal,
                Input::Forget => Step::Go(Self::Forgotten),
            },
            Self::Forgotten => match input {
                Input::Next | Input::Elsewhere | Input::Short | Input::Silence | Input::Forget => {
                    Step::Illegal
                }
            },
        }
    }
}
