//! The receiver's states, those of its files, and those of its pieces. Each table is total and
//! without wildcard arms.

use crate::machine::{Machine, Step};

/// What a receiver is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for an offer: one that it has asked for, or the first message of a stream.
    Waiting,
    /// An offer has come, and the application has to answer.
    Offered,
    /// It receives.
    Receiving,
    /// As receiving, but the sender was told to start no piece, or says that it starts none.
    Paused,
    /// Everything was dealt with; the application has to make it durable.
    Finishing,
    /// The sender was told; it has to take notice.
    Closing,
    /// It is over.
    Closed,
}

/// What can happen to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The peer offers files that nobody has asked for.
    Offer,
    /// The peer offers what was asked for.
    Grant,
    /// The application accepts.
    Accept,
    /// One side pauses, and none had.
    Pause,
    /// No side has it paused any more.
    Resume,
    /// The sender says that every entry has been dealt with.
    Done,
    /// The application has made it durable.
    Finish,
    /// The sender's end mark.
    Fin,
    /// The application cancels, or refuses.
    Cancel,
    /// The peer cancels, refuses, or resets a stream.
    PeerCancel,
    /// The peer broke a rule.
    Violation,
    /// The connection is gone.
    ConnectionLost,
}

impl State {
    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Receiving => "receiving",
            Self::Paused => "paused",
            Self::Finishing => "finishing",
            Self::Closing => "closing",
            Self::Closed => "closed",
        }
    }
}

impl Machine for State {
    type Input = Input;

    const STATES: &'static [Self] = &[
        Self::Waiting,
        Self::Offered,
        Self::Receiving,
        Self::Paused,
        Self::Finishing,
        Self::Closing,
        Self::Closed,
    ];

    const INPUTS: &'static [Input] = &[
        Input::Offer,
        Input::Grant,
        Input::Accept,
        Input::Pause,
        Input::Resume,
        Input::Done,
        Input::Finish,
        Input::Fin,
        Input::Cancel,
        Input::PeerCancel,
        Input::Violation,
        Input::ConnectionLost,
    ];

    const FINAL: &'static [Self] = &[Self::Closed];

    fn next(self, input: Input) -> Step<Self> {
        use Input as I;
        match (self, input) {
            (Self::Waiting, I::Offer) => Step::Go(Self::Offered),
            (Self::Waiting, I::Grant) | (Self::Offered, I::Accept) => Step::Go(Self::Receiving),
            (Self::Receiving, I::Pause) => Step::Go(Self::Paused),
            (Self::Paused, I::Resume) => Step::Go(Self::Receiving),
            // What was on its way when it was paused may have been the last.
            (Self::Receiving | Self::Paused, I::Done) => Step::Go(Self::Finishing),
            (Self::Finishing, I::Finish) => Step::Go(Self::Closing),
            (Self::Closing, I::Fin) => Step::Go(Self::Closed),

            // Pauses before the beginning count when it begins; at the end they change nothing.
            (
                Self::Waiting | Self::Offered | Self::Finishing | Self::Closing,
                I::Pause | I::Resume,
            )
            | (Self::Receiving, I::Resume)
            | (Self::Paused, I::Pause) => Step::Stay,

            (
                Self::Waiting
                | Self::Offered
                | Self::Receiving
                | Self::Paused
                | Self::Finishing
                | Self::Closing,
                I::Cancel | I::PeerCancel | I::Violation | I::ConnectionLost,
            ) => Step::Go(Self::Closed),

            (Self::Waiting, I::Accept | I::Done | I::Finish | I::Fin)
            | (Self::Offered, I::Offer | I::Grant | I::Done | I::Finish | I::Fin)
            | (
                Self::Receiving | Self::Paused,
                I::Offer | I::Grant | I::Accept | I::Finish | I::Fin,
            )
            | (Self::Finishing, I::Offer | I::Grant | I::Accept | I::Done | I::Fin)
            | (Self::Closing, I::Offer | I::Grant | I::Accept | I::Done | I::Finish) => {
                Step::Illegal
            }

            (
                Self::Closed,
                I::Offer
                | I::Grant
                | I::Accept
                | I::Pause
                | I::Resume
                | I::Done
                | I::Finish
                | I::Fin
                | I::Cancel,
            ) => Step::Illegal,
            (Self::Closed, I::PeerCancel | I::Violation | I::ConnectionLost) => Step::Stay,
        }
    }
}

/// What becomes of one file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// The application has to say whether it wants it.
    Announced,
    /// It is wanted, and pieces are missing.
    Open,
    /// Every piece is stored and its root is right; the application has to put it in its place.
    Whole,
    /// It is dealt with.
    Settled,
}

/// What can happen to one file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileInput {
    /// The application wants the file.
    Take,
    /// The application has made the folder.
    TakeFolder,
    /// The application does not want it.
    Skip,
    /// Every piece is stored, and the root is right.
    Complete,
    /// The application has put it in its place.
    Commit,
    /// It failed, on either side.
    Fail,
}

impl Machine for FileState {
    type Input = FileInput;

    const STATES: &'static [Self] = &[Self::Announced, Self::Open, Self::Whole, Self::Settled];

    const INPUTS: &'static [FileInput] = &[
        FileInput::Take,
        FileInput::TakeFolder,
        FileInput::Skip,
        FileInput::Complete,
        FileInput::Commit,
        FileInput::Fail,
    ];

    const FINAL: &'static [Self] = &[Self::Settled];

    fn next(self, input: FileInput) -> Step<Self> {
        use FileInput as I;
        match (self, input) {
            (Self::Announced, I::Take) => Step::Go(Self::Open),
            (Self::Announced, I::TakeFolder | I::Skip | I::Fail) => Step::Go(Self::Settled),
            (Self::Open, I::Complete) => Step::Go(Self::Whole),
            (Self::Open, I::Fail) | (Self::Whole, I::Commit | I::Fail) => Step::Go(Self::Settled),

            (Self::Announced, I::Complete | I::Commit)
            | (Self::Open, I::Take | I::TakeFolder | I::Skip | I::Commit)
            | (Self::Whole, I::Take | I::TakeFolder | I::Skip | I::Complete)
            | (Self::Settled, I::Take | I::TakeFolder | I::Skip | I::Complete | I::Commit) => {
                Step::Illegal
            }
            // Both sides can give a file up at once.
            (Self::Settled, I::Fail) => Step::Stay,
        }
    }
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceState {
    /// Its head has come, and not all of its bytes have been pulled.
    Arriving,
    /// The application has all of it, and has to store it.
    Pulled,
    /// It is stored, or was wrong, or is not wanted any more.
    Gone,
}

/// What can happen to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceInput {
    /// Its last byte was pulled.
    Pull,
    /// The application has stored it, and its hash is the announced one.
    Store,
    /// Its hash is another one.
    Wrong,
    /// The file is over, or its stream is.
    Drop,
}

impl Machine for PieceState {
    type Input = PieceInput;

    const STATES: &'static [Self] = &[Self::Arriving, Self::Pulled, Self::Gone];

    const INPUTS: &'static [PieceInput] =
        &[PieceInput::Pull, PieceInput::Store, PieceInput::Wrong, PieceInput::Drop];

    const FINAL: &'static [Self] = &[Self::Gone];

    fn next(self, input: PieceInput) -> Step<Self> {
        use PieceInput as I;
        match (self, input) {
            (Self::Arriving, I::Pull) => Step::Go(Self::Pulled),
            (Self::Pulled, I::Store | I::Wrong) | (Self::Arriving | Self::Pulled, I::Drop) => {
                Step::Go(Self::Gone)
            }
            (Self::Arriving, I::Store | I::Wrong)
            | (Self::Pulled, I::Pull)
            | (Self::Gone, I::Pull | I::Store | I::Wrong) => Step::Illegal,
            (Self::Gone, I::Drop) => Step::Stay,
        }
    }
}
