mod damage;
mod kinds;
mod plain;
mod room;

use super::*;
use crate::config::Config;
use crate::id::{ConnId, Side};
use crate::rng::Seed;

const CONN: ConnId = ConnId { slot: 3, generation: 1 };

fn header() -> Header {
    Header {
        about: About {
            program: "test/1".to_owned(),
            side: Side::Server,
            transport: "none".to_owned(),
            settings: vec![1, 2, 3],
            seed: Some(Seed::from_u64(7)),
        },
        config: Config::default(),
        contents: Contents::default(),
    }
}

fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// What is in a trace, and how it ends.
fn read(bytes: &[u8]) -> (Vec<Record>, Result<(), TraceError>) {
    let mut records = Vec::new();
    for entry in entries(bytes) {
        match entry {
            Ok(record) => records.push(record),
            Err(error) => return (records, Err(error)),
        }
    }
    (records, Ok(()))
}

#[test]
fn nothing_is_put_together_while_nobody_records() {
    let off = Trace::default();
    off.advance(at(5));
    off.say(|_| unreachable!("nobody wants to know"));
    let story = Story::new(off, CONN);
    story.step("connection", crate::conn::state::State::Open, crate::conn::state::Input::Close);
}

#[test]
fn a_header_with_nothing_at_its_default_comes_back() {
    use crate::config::{MediaPolicy, Pacing, Retry};
    use std::time::Duration;
    let mut header = header();
    header.contents = Contents { transport: false, payload: true, datagrams: true };
    header.config = Config {
        agent: "other".to_owned(),
        max_connections: 1,
        max_half_open: 2,
        max_half_open_per_address: 3,
        retry: Retry::Always,
        handshake_timeout: Duration::from_nanos(4),
        keep_alive: None,
        media: MediaPolicy {
            max_bitrate: 5,
            default_bitrate: 6,
            max_chunk: 7,
            keepalive: 8,
            timeout: 9,
            pacing: Pacing::Off,
            startup_burst: Duration::from_secs(10),
        },
        epoch: crate::UnixMillis(11),
    };
    assert_eq!(super::header(&write(&header, [])), Ok(header.clone()));
    // A field of a later version is skipped.
    let mut body = header.encode();
    crate::wire::varint::put(&mut body, 1_000);
    crate::wire::varint::put_bytes(&mut body, b"later");
    assert_eq!(Header::decode(&body), Ok(header));
}

#[test]
fn a_seed_is_not_shown() {
    assert!(format!("{:?}", header()).contains("Seed(..)"));
}

#[test]
fn the_hash_of_a_run_depends_on_everything_that_goes_out_and_on_nothing_else() {
    use crate::io::{Output, Path, Transmit};
    let address = std::net::SocketAddr::from(([192, 0, 2, 1], 9_000));
    let path = Path { local: address, remote: address };
    let send = Output::Transmit(Transmit { path, ecn: None, len: 3, segment: None, at: None });
    let hash = |outputs: &[(u64, &Output, &[u8])]| {
        let mut hash = RunHash::default();
        for (nanos, output, bytes) in outputs {
            hash.output(at(*nanos), output, bytes);
        }
        hash.value()
    };
    let base = hash(&[(1, &send, b"abc"), (2, &Output::Wait(None), b"")]);
    assert_eq!(base, hash(&[(1, &send, b"abcd"), (2, &Output::Wait(None), b"xyz")]));
    for other in [
        hash(&[(1, &send, b"abd"), (2, &Output::Wait(None), b"")]),
        hash(&[(3, &send, b"abc"), (2, &Output::Wait(None), b"")]),
        hash(&[(2, &Output::Wait(None), b""), (1, &send, b"abc")]),
        hash(&[(1, &send, b"abc")]),
    ] {
        assert_ne!(base, other);
    }
    // Kept or left out, the bytes are the same.
    let mut kept = RunHash::default();
    let contents = Contents { datagrams: true, ..Contents::default() };
    kept.entry(at(1), &Entry::output(&send, b"abc", contents));
    kept.entry(at(1), &Entry::Timeout);
    assert_eq!(kept.value(), hash(&[(1, &send, b"abc")]));
}
