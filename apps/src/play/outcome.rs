//! What becomes of a session, in words that help.

use std::path::Path;

use anabranch_core::media::{EndReason, Ended, Grant, Nack, Start};
use anabranch_driver_smol::client::OpenError;

use super::Target;
use crate::cli::client::Play;
use crate::dial::{self, Link};
use crate::exit::{Exit, Failure};

/// The output file is there already.
pub(super) fn exists(path: &Path) -> Failure {
    Failure::new(Exit::CantCreate, format!("{} is there already", path.display()))
        .hint("write over it with --force, or go on where it ends with --continue")
}

/// A session was not opened.
pub(super) fn open(error: &OpenError, link: &Link, args: &Play, have: u64) -> Failure {
    match error {
        OpenError::Refused(nack) => refused(*nack, &link.name, args, have),
        OpenError::Misuse(misuse) => Failure::new(Exit::Usage, format!("cannot play: {misuse}")),
        OpenError::Ended(ended) => {
            let how = crate::serve::how(ended.reason);
            Failure::new(Exit::Temporary, format!("the session ended before it began: {how}"))
        }
        OpenError::Lost(why) => dial::lost(why, &link.name),
        OpenError::Gone => Failure::new(Exit::Internal, "the network loop has ended"),
    }
}

fn refused(nack: Nack, name: &str, args: &Play, have: u64) -> Failure {
    let fail = |exit, text: &str| Failure::new(exit, format!("{name} {text}"));
    match nack {
        Nack::NoSuchMedia => {
            let what = args
                .name
                .as_deref()
                .map_or_else(|| "no media".to_owned(), |name| format!("no media called {name:?}"));
            fail(Exit::NoInput, &format!("has {what}")).hint("see what it has: anabranch ls")
        }
        Nack::StartOutOfRange if args.continue_ => fail(
            Exit::NoInput,
            &format!("has nothing after the {have} bytes that the file has already"),
        )
        .hint("the file is longer than the media: it may be of other media"),
        Nack::StartOutOfRange => fail(Exit::NoInput, "has media that end before that start"),
        Nack::Busy => fail(Exit::Temporary, "has too many sessions").hint("try again later"),
        Nack::GoingAway => fail(Exit::Unavailable, "is shutting down").hint("try again in a while"),
        Nack::UnsupportedCodec => fail(Exit::Refused, "has nothing in that codec"),
        Nack::UnsupportedEncryption => fail(Exit::Refused, "cannot encrypt in that way"),
        Nack::MulticastUnsupported => fail(Exit::Refused, "does not multicast"),
        Nack::ProtocolViolation => fail(Exit::Protocol, "did not understand the request"),
        Nack::Other(code) => fail(Exit::Refused, &format!("refused, with code {code}")),
    }
}

/// A classic server starts at the beginning, whatever it was asked for.
pub(super) fn check_start(asked: &Start, grant: &Grant, name: &str) -> Result<(), Failure> {
    let met = match asked {
        Start::Beginning => true,
        Start::Byte(byte) => grant.start == *byte,
        Start::Sequence(sequence) => *sequence == 1 || grant.start > 0,
    };
    if met {
        return Ok(());
    }
    let what = format!("{name} can only start at the beginning");
    Err(Failure::new(Exit::Protocol, what).hint("leave out --continue and --start-..."))
}

/// A session ended by itself.
pub(super) async fn ended(ended: &Ended, link: &Link) -> Option<Failure> {
    let name = &link.name;
    let fail = |exit, text: String| Some(Failure::new(exit, text));
    match ended.reason {
        EndReason::Complete | EndReason::Local => None,
        EndReason::Peer => fail(Exit::Temporary, format!("{name} ended the session early")),
        EndReason::Reset(code) => {
            fail(Exit::Temporary, format!("{name} cut the session off: {code}"))
        }
        EndReason::Violation(violation) => {
            fail(Exit::Protocol, format!("{name} broke a rule of the protocol: {violation}"))
        }
        EndReason::Timeout => fail(Exit::Timeout, format!("{name} went silent")),
        EndReason::SourceFailed => fail(Exit::Io, format!("{name} cannot read that file any more")),
        EndReason::ConnectionLost => Some(dial::lost(&link.connection.closed().await, name)),
    }
}

/// Says how to get the rest.
pub(super) fn with_way_on(failure: Failure, args: &Play, target: &Target) -> Failure {
    match target {
        Target::File(path) => {
            let before = failure.hint.as_ref().map(|hint| format!("{hint}\n")).unwrap_or_default();
            let name = args.name.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
            let path = path.display();
            failure.hint(format!("{before}get the rest: anabranch play {name}-o {path} --continue"))
        }
        Target::Stdout => failure,
    }
}
