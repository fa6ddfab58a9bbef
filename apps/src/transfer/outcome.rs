//! What becomes of transfers and of their files, in words that help.

use std::collections::BTreeMap;

use anabranch_core::Code;
use anabranch_core::files::End;

use crate::exit::{Exit, Failure};
use crate::units::{clean, count, show_size};

/// How to go on.
pub(super) const AGAIN: &str = "run the same command again to go on";

/// A file that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) name: String,
    pub(super) code: Code,
    pub(super) reason: String,
    pub(super) by_peer: bool,
}

impl Failed {
    /// For people: where, and why.
    pub(super) fn words(&self, server: &str) -> String {
        let what = if self.name.is_empty() { String::new() } else { clean(&self.name) + ": " };
        let at = if self.by_peer { format!(" (at {server})") } else { String::new() };
        match self.reason.as_str() {
            "" => format!("{what}{}{at}", self.code),
            reason => format!("{what}{}{at}", clean(reason)),
        }
    }
}

/// The exit code of a failure with this code, be it of a file or of a transfer.
pub(crate) const fn exit(code: Code) -> Exit {
    match code {
        Code::SourceChanged => Exit::SourceChanged,
        Code::Integrity => Exit::Data,
        Code::NotFound => Exit::NoInput,
        Code::Exists | Code::BadName | Code::TooLarge => Exit::CantCreate,
        Code::SourceFailed | Code::NoSpace | Code::Io => Exit::Io,
        Code::Refused | Code::Denied => Exit::Refused,
        Code::Timeout => Exit::Timeout,
        Code::GoingAway | Code::Limit | Code::Internal | Code::Cancelled => Exit::Temporary,
        Code::Violation | Code::UnknownStream | Code::Unsupported | Code::Other(_) => {
            Exit::Protocol
        }
        Code::None => Exit::Other,
    }
}

/// What to do about it.
fn advice(code: Code) -> Option<&'static str> {
    match code {
        Code::Exists => Some("choose --overwrite, --skip or --rename for names that are taken"),
        Code::NoSpace => Some("make room there, and run the same command again to go on"),
        Code::SourceChanged | Code::Integrity => {
            Some("run the same command again: what is right is not sent again")
        }
        Code::NotFound => Some("see what there is: anabranch ls"),
        Code::BadName => Some("rename it; names that some systems cannot have are refused"),
        Code::Limit | Code::GoingAway | Code::Internal | Code::Timeout => {
            Some("try again later: run the same command again to go on")
        }
        _ => None,
    }
}

/// The failure of a transfer that came to its end, with files that failed: how many there were
/// with each code, one of them, and how many files did not fail.
pub(super) fn partial(
    codes: &BTreeMap<Code, u64>,
    example: &Failed,
    fine: u64,
    server: &str,
) -> Failure {
    let failed: u64 = codes.values().sum();
    let exits: Vec<Exit> = codes.keys().map(|code| exit(*code)).collect();
    let same = exits.iter().all(|exit| *exit == exits[0]);
    let exit = match exits.first() {
        // Nothing has come of it, or it is of the kinds that have codes for a part.
        Some(first) if same && (fine == 0 || *first == Exit::SourceChanged) => *first,
        _ if exits.contains(&Exit::Data) => Exit::Data,
        _ => Exit::Partial,
    };
    let what = match failed {
        1 => format!("not transferred: {}", example.words(server)),
        _ => {
            let failed = count(usize::try_from(failed).unwrap_or(usize::MAX), "file");
            format!("{failed} were not transferred, one of them {}", example.words(server))
        }
    };
    let failure = Failure::new(exit, what);
    match advice(example.code) {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

/// The failure of a transfer that ended before its time. `kept`: bytes that the receiver has.
/// `last`: the file that it failed with.
pub(super) fn ended(how: &End, kept: u64, last: Option<&Failed>, server: &str) -> Failure {
    let kept = match kept {
        0 => String::new(),
        kept => format!("; {} are kept", show_size(kept)),
    };
    let (code, what) = match how {
        End::Complete => return Failure::new(Exit::Internal, "a failure of what is complete"),
        End::ConnectionLost => {
            let what = format!("the connection to {server} was lost{kept}");
            return Failure::new(Exit::Temporary, what).hint(AGAIN);
        }
        End::Violation(rule) => {
            let what = format!("{server} broke a rule of the protocol: {rule}{kept}");
            return Failure::new(Exit::Protocol, what);
        }
        End::Local(code) => {
            let why = last.map_or_else(|| code.to_string(), |failed| failed.words(server));
            (*code, format!("stopped here: {why}{kept}"))
        }
        End::Peer(code, reason) => {
            let words = match (reason.as_str(), last.filter(|failed| failed.by_peer)) {
                ("", Some(failed)) => failed.words(server),
                ("", None) => code.to_string(),
                (reason, _) => clean(reason),
            };
            let verb = match code {
                Code::NoSpace => "has no room",
                Code::Cancelled => "ended the transfer",
                Code::GoingAway => "is shutting down",
                Code::NotFound => "does not have that",
                _ => "refuses",
            };
            (*code, format!("{server} {verb}: {words}{kept}"))
        }
    };
    let failure = Failure::new(exit(code), what);
    match advice(code) {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: Code, by_peer: bool) -> Failed {
        Failed { name: "d/\x1bf".into(), code, reason: String::new(), by_peer }
    }

    #[test]
    fn the_exit_code_tells_what_kind_of_part_is_missing() {
        let of = |codes: &[(Code, u64)], fine| {
            let map = codes.iter().copied().collect();
            partial(&map, &failed(codes[0].0, false), fine, "h").exit
        };
        assert_eq!(of(&[(Code::Exists, 1)], 0), Exit::CantCreate);
        assert_eq!(of(&[(Code::Exists, 1)], 3), Exit::Partial);
        assert_eq!(of(&[(Code::SourceChanged, 2)], 3), Exit::SourceChanged);
        assert_eq!(of(&[(Code::SourceChanged, 2), (Code::Exists, 1)], 3), Exit::Partial);
        assert_eq!(of(&[(Code::Integrity, 1), (Code::Exists, 1)], 3), Exit::Data);
        assert_eq!(of(&[(Code::Denied, 4)], 0), Exit::Refused);
        assert_eq!(of(&[(Code::NoSpace, 4), (Code::Io, 1)], 0), Exit::Io);
    }

    #[test]
    fn a_full_disk_says_where_and_what_next() {
        let failure = ended(&End::Peer(Code::NoSpace, "disk full".into()), 3 << 20, None, "h");
        assert_eq!(failure.exit, Exit::Io);
        assert_eq!(failure.what, "h has no room: disk full; 3.0 MiB are kept");
        assert!(failure.hint.unwrap().contains("same command again"));
        let here = ended(&End::Local(Code::NoSpace), 0, Some(&failed(Code::NoSpace, false)), "h");
        assert_eq!(here.what, "stopped here: d/\u{fffd}f: no space left");
    }

    #[test]
    fn what_can_be_taken_up_again_is_temporary() {
        let lost = ended(&End::ConnectionLost, 5, None, "h");
        assert_eq!((lost.exit, lost.hint.as_deref()), (Exit::Temporary, Some(AGAIN)));
        for code in Code::ALL {
            // Total, and never nothing.
            assert_ne!(exit(code), Exit::Ok, "{code}");
        }
    }
}
