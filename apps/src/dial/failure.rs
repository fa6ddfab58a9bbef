//! Failures of connections, in words that help.

use anabranch_core::{Code, Lost, Misuse, Why};
use anabranch_driver_smol::client::{ConnectError, RequestError};

use super::Attempt;
use crate::cli::client::Server;
use crate::exit::{Exit, Failure};
use crate::known_hosts::Fingerprint;
use crate::trust::Decision;
use crate::units::{clean, show_duration};

/// TLS alerts (RFC 8446 section 6).
const ILLEGAL_PARAMETER: u8 = 47;
const NO_APPLICATION_PROTOCOL: u8 = 120;
/// QUIC's CONNECTION_REFUSED (RFC 9000 section 20.1).
const CONNECTION_REFUSED: u64 = 2;

pub(super) fn connect(
    attempt: &Attempt,
    name: &str,
    server: &Server,
    decision: &Decision,
) -> Failure {
    let why = match attempt {
        Attempt::Silent => &Why::Lost(Lost::HandshakeTimeout),
        Attempt::Unreachable(error) => {
            return Failure::new(Exit::Unavailable, format!("no way to {name}: {error}"))
                .hint("check that this machine's network is up");
        }
        Attempt::Failed(ConnectError::Lost(why)) => why,
        Attempt::Failed(ConnectError::Misuse(misuse)) => {
            return Failure::new(Exit::Usage, format!("cannot connect to {name}: {misuse}"));
        }
        Attempt::Failed(ConnectError::Gone) => {
            return Failure::new(Exit::Internal, "the network loop has ended");
        }
    };
    match why {
        Why::Lost(Lost::HandshakeTimeout) => {
            let time = show_duration(server.connect_timeout);
            Failure::new(Exit::Unavailable, format!("no answer from {name} within {time}"))
                .hint("is anabranchd running there, and does a firewall let UDP through?")
        }
        Why::Lost(Lost::WrongKey(key)) => decision.changed(Fingerprint(*key)),
        why => lost(why, name),
    }
}

/// The failure of a connection that was lost.
#[must_use]
pub fn lost(why: &Why, name: &str) -> Failure {
    let fail = |exit, text: &str| Failure::new(exit, format!("{name} {text}"));
    match why {
        Why::Local(code) => Failure::new(Exit::Other, format!("the connection to {name}: {code}")),
        Why::Peer(code, reason) => by_peer(*code, reason, name),
        Why::Violation(violation) => {
            fail(Exit::Protocol, &format!("broke a rule of the protocol: {violation}"))
        }
        Why::Lost(lost) => match lost {
            Lost::HandshakeTimeout => fail(Exit::Unavailable, "does not answer"),
            Lost::IdleTimeout => {
                fail(Exit::Timeout, "went silent").hint("the network or the server is down")
            }
            Lost::StatelessReset => {
                fail(Exit::Temporary, "has forgotten this connection (was it restarted?)")
                    .hint("try again")
            }
            Lost::WrongKey(_) => fail(Exit::HostKeyChanged, "has another key than the known one"),
            Lost::Untrusted => fail(Exit::Refused, "has a certificate that does not verify").hint(
                "give the right authorities with --ca, and the host name of the certificate; \
                 without --ca the server's key is remembered instead",
            ),
            Lost::Tls { alert, by_peer } => tls(*alert, *by_peer, name),
            Lost::NoProtocol => no_protocol(name),
            Lost::NoVersion => fail(Exit::Protocol, "speaks no QUIC version of ours"),
            Lost::Transport { code: CONNECTION_REFUSED, by_peer: true } => {
                fail(Exit::Unavailable, "takes no connections now").hint("try again later")
            }
            Lost::Transport { code, by_peer } => {
                let who = if *by_peer { "the server" } else { "this side" };
                fail(Exit::Protocol, &format!("and QUIC: error {code:#x}, found by {who}"))
            }
        },
    }
}

fn by_peer(code: Code, reason: &str, name: &str) -> Failure {
    let text = match reason {
        "" => format!("{name} closed the connection: {code}"),
        _ => format!("{name} closed the connection: {code} ({})", clean(reason)),
    };
    match code {
        Code::None | Code::GoingAway => {
            Failure::new(Exit::Unavailable, text).hint("it is shutting down; try again later")
        }
        Code::Refused => Failure::new(Exit::Refused, text),
        Code::Limit | Code::Internal | Code::Cancelled => {
            Failure::new(Exit::Temporary, text).hint("try again later")
        }
        Code::Timeout => Failure::new(Exit::Timeout, text),
        Code::SourceFailed => Failure::new(Exit::Io, text),
        // The last ones are of single files, and close no connection.
        Code::Violation
        | Code::UnknownStream
        | Code::Other(_)
        | Code::SourceChanged
        | Code::Integrity
        | Code::BadName
        | Code::NoSpace
        | Code::NotFound
        | Code::Exists
        | Code::Denied
        | Code::Io
        | Code::Unsupported
        | Code::TooLarge => Failure::new(Exit::Protocol, text),
    }
}

fn no_protocol(name: &str) -> Failure {
    Failure::new(Exit::Protocol, format!("{name} speaks none of the protocols that were offered"))
        .hint("offer others with --protocol; it may be another kind of server")
}

fn tls(alert: u8, by_peer: bool, name: &str) -> Failure {
    if alert == NO_APPLICATION_PROTOCOL {
        return no_protocol(name);
    }
    let who = if by_peer { "the server" } else { "this side" };
    let text = format!("no secure connection to {name}: TLS alert {alert} from {who}");
    let failure = Failure::new(Exit::Protocol, text);
    if alert == ILLEGAL_PARAMETER && !by_peer {
        return failure.hint(
            "the server's certificate may forbid signatures: its keyUsage needs digitalSignature\n\
             for TLS 1.3. Look with `openssl x509 -text -in CERT`, and have a new one made.",
        );
    }
    failure
}

/// The failure of a request on a connection.
#[must_use]
pub fn request(error: &RequestError, name: &str) -> Failure {
    match error {
        RequestError::Misuse(Misuse::ClassicPeer(what)) => {
            let text = format!("{name} speaks the classic protocol, which has no {what}");
            Failure::new(Exit::Protocol, text).hint("only play works with such servers")
        }
        RequestError::Misuse(misuse) => Failure::new(Exit::Other, format!("{name}: {misuse}")),
        RequestError::Lost(why) => lost(why, name),
        RequestError::Gone => Failure::new(Exit::Internal, "the network loop has ended"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_a_peer_has_an_exit_code_of_its_own_kind() {
        for (code, exit) in [
            (Code::GoingAway, Exit::Unavailable),
            (Code::Refused, Exit::Refused),
            (Code::Limit, Exit::Temporary),
            (Code::Timeout, Exit::Timeout),
            (Code::SourceFailed, Exit::Io),
            (Code::Violation, Exit::Protocol),
        ] {
            assert_eq!(lost(&Why::Peer(code, String::new()), "h").exit, exit, "{code}");
        }
    }

    #[test]
    fn words_of_a_peer_are_harmless() {
        let failure = lost(&Why::Peer(Code::Refused, "\x1b[2J".into()), "h");
        assert!(!failure.what.contains('\x1b'));
    }

    #[test]
    fn a_certificate_that_may_not_sign_is_explained() {
        let hint = |by_peer| tls(ILLEGAL_PARAMETER, by_peer, "h").hint;
        assert!(hint(false).is_some_and(|text| text.contains("keyUsage")));
        assert_eq!(hint(true), None);
    }
}
