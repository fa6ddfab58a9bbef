//! The sender's states, those of its files, and those of its pieces. Each table is total and
//! without wildcard arms.

use crate::machine::{Machine, Step};

/// What a sender is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has been said.
    Idle,
    /// The peer has asked, and the application has to answer.
    Requested,
    /// An offer was made, and the peer has to answer.
    Offered,
    /// It sends.
    Sending,
    /// It starts no piece until it is resumed.
    Paused,
    /// Everything was dealt with; the receiver has to confirm it.
    Finishing,
    /// It is over.
    Closed,
}

/// What can happen to a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The peer asks for files.
    Request,
    /// The application offers files.
    Offer,
    /// The peer accepts.
    Accept,
    /// One side pauses, and none had.
    Pause,
    /// No side has it paused any more.
    Resume,
    /// Every entry has been dealt with.
    Settled,
    /// The peer confirms it.
    Got,
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
            Self::Idle => "idle",
            Self::Requested => "requested",
            Self::Offered => "offered",
            Self::Sending => "sending",
            Self::Paused => "paused",
            Self::Finishing => "finishing",
            Self::Closed => "closed",
        }
    }
}

impl Machine for State {
    type Input = Input;

    const STATES: &'static [Self] = &[
        Self::Idle,
        Self::Requested,
        Self::Offered,
        Self::Sending,
        Self::Paused,
        Self::Finishing,
        Self::Closed,
    ];

    const INPUTS: &'static [Input] = &[
        Input::Request,
        Input::Offer,
        Input::Accept,
        Input::Pause,
        Input::Resume,
        Input::Settled,
        Input::Got,
        Input::Cancel,
        Input::PeerCancel,
        Input::Violation,
        Input::ConnectionLost,
    ];

    const FINAL: &'static [Self] = &[Self::Closed];

    fn next(self, input: Input) -> Step<Self> {
        use Input as I;
        match (self, input) {
            (Self::Idle, I::Request) => Step::Go(Self::Requested),
            (Self::Idle, I::Offer) => Step::Go(Self::Offered),
            (Self::Requested, I::Offer) | (Self::Offered, I::Accept) => Step::Go(Self::Sending),
            (Self::Sending, I::Pause) => Step::Go(Self::Paused),
            (Self::Paused, I::Resume) => Step::Go(Self::Sending),
            // What was on its way when it was paused may have been the last.
            (Self::Sending | Self::Paused, I::Settled) => Step::Go(Self::Finishing),
            (Self::Finishing, I::Got) => Step::Go(Self::Closed),

            // Pauses before the beginning count when it begins; at the end they change nothing.
            (Self::Requested | Self::Offered | Self::Finishing, I::Pause | I::Resume)
            | (Self::Sending, I::Resume)
            | (Self::Paused, I::Pause) => Step::Stay,

            (
                Self::Idle
                | Self::Requested
                | Self::Offered
                | Self::Sending
                | Self::Paused
                | Self::Finishing,
                I::Cancel | I::PeerCancel | I::Violation | I::ConnectionLost,
            ) => Step::Go(Self::Closed),

            (Self::Idle, I::Accept | I::Pause | I::Resume | I::Settled | I::Got)
            | (Self::Requested, I::Request | I::Accept | I::Settled | I::Got)
            | (Self::Offered, I::Request | I::Offer | I::Settled | I::Got)
            | (Self::Sending | Self::Paused, I::Request | I::Offer | I::Accept | I::Got)
            | (Self::Finishing, I::Request | I::Offer | I::Accept | I::Settled) => Step::Illegal,

            (
                Self::Closed,
                I::Request
                | I::Offer
                | I::Accept
                | I::Pause
                | I::Resume
                | I::Settled
                | I::Got
                | I::Cancel,
            ) => Step::Illegal,
            (Self::Closed, I::PeerCancel | I::Violation | I::ConnectionLost) => Step::Stay,
        }
    }
}

/// What becomes of one file or folder. The receiver has the last word, so that both sides count
/// the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// The receiver has to say whether it wants it.
    Announced,
    /// It is wanted, and not everything of it was supplied.
    Open,
    /// Everything was supplied; the receiver has to complete it.
    Ended,
    /// It was given up here; the receiver has to take notice, or has dealt with it before.
    Failing,
    /// It is dealt with.
    Settled,
}

/// What can happen to one file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileInput {
    /// The receiver wants the file.
    Take,
    /// The receiver has made the folder.
    TakeFolder,
    /// The receiver does not want it.
    Skip,
    /// Every piece was supplied or found to be there.
    Supplied,
    /// The receiver has it, complete.
    Done,
    /// It is given up here.
    Fail,
    /// The receiver has given it up.
    PeerFail,
}

impl Machine for FileState {
    type Input = FileInput;

    const STATES: &'static [Self] =
        &[Self::Announced, Self::Open, Self::Ended, Self::Failing, Self::Settled];

    const INPUTS: &'static [FileInput] = &[
        FileInput::Take,
        FileInput::TakeFolder,
        FileInput::Skip,
        FileInput::Supplied,
        FileInput::Done,
        FileInput::Fail,
        FileInput::PeerFail,
    ];

    const FINAL: &'static [Self] = &[Self::Settled];

    fn next(self, input: FileInput) -> Step<Self> {
        use FileInput as I;
        match (self, input) {
            (Self::Announced, I::Take) => Step::Go(Self::Open),
            (Self::Open, I::Supplied) => Step::Go(Self::Ended),
            (Self::Announced | Self::Open | Self::Ended, I::Fail) => Step::Go(Self::Failing),
            (Self::Announced | Self::Failing, I::TakeFolder | I::Skip)
            | (Self::Ended | Self::Failing, I::Done)
            | (Self::Announced | Self::Open | Self::Ended | Self::Failing, I::PeerFail) => {
                Step::Go(Self::Settled)
            }

            // It crosses our giving it up.
            (Self::Failing, I::Take | I::Fail) => Step::Stay,

            (Self::Announced, I::Supplied | I::Done)
            | (Self::Open, I::Take | I::TakeFolder | I::Skip | I::Done)
            | (Self::Ended, I::Take | I::TakeFolder | I::Skip | I::Supplied)
            | (Self::Failing, I::Supplied)
            | (
                Self::Settled,
                I::Take | I::TakeFolder | I::Skip | I::Supplied | I::Done | I::Fail | I::PeerFail,
            ) => Step::Illegal,
        }
    }
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceState {
    /// The application was asked for it.
    Asked,
    /// It waits for a stream.
    Ready,
    /// A stream has it, and the receiver has not acknowledged it.
    Sent,
    /// It is stored, or not wanted any more.
    Gone,
}

/// What can happen to a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceInput {
    /// The application has supplied it.
    Supply,
    /// A stream takes it.
    Send,
    /// The receiver has stored it.
    Store,
    /// The receiver found it wrong.
    Again,
    /// The file is over.
    Drop,
}

impl Machine for PieceState {
    type Input = PieceInput;

    const STATES: &'static [Self] = &[Self::Asked, Self::Ready, Self::Sent, Self::Gone];

    const INPUTS: &'static [PieceInput] = &[
        PieceInput::Supply,
        PieceInput::Send,
        PieceInput::Store,
        PieceInput::Again,
        PieceInput::Drop,
    ];

    const FINAL: &'static [Self] = &[Self::Gone];

    fn next(self, input: PieceInput) -> Step<Self> {
        use PieceInput as I;
        match (self, input) {
            (Self::Asked, I::Supply) => Step::Go(Self::Ready),
            (Self::Ready, I::Send) => Step::Go(Self::Sent),
            (Self::Sent, I::Again) => Step::Go(Self::Asked),
            (Self::Sent, I::Store) | (Self::Asked | Self::Ready | Self::Sent, I::Drop) => {
                Step::Go(Self::Gone)
            }

            (Self::Asked, I::Send | I::Store | I::Again)
            | (Self::Ready, I::Supply | I::Store | I::Again)
            | (Self::Sent, I::Supply | I::Send)
            | (Self::Gone, I::Supply | I::Send | I::Store | I::Again) => Step::Illegal,
            (Self::Gone, I::Drop) => Step::Stay,
        }
    }
}
