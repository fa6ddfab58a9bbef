use std::time::Duration;

use super::pair::{Pair, local, server_config};
use super::raw::Raw;
use crate::code::Code;
use crate::error::{Lost, Why};
use crate::id::{Dir, StreamId};
use crate::limits::MAX_REASON;
use crate::transport::dquic::DquicConfig;
use crate::transport::dquic::frame::{Frame, StreamFrame};
use crate::transport::{Offered, Read, Signal, Wrote};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const CLOSE: Frame<'_> = Frame::ConnectionClose { code: 8, frame_type: None, reason: b"bye" };

#[test]
fn both_ends_know_why() {
    let mut pair = Pair::up();
    let now = pair.now;
    pair.client.conn().close(now, Code::Cancelled, &"x".repeat(1_000));
    assert!(!pair.client.conn().is_finished(), "late packets are waited for");
    pair.run(SECONDS(1));
    assert_eq!(pair.client.down().cloned(), local(Code::Cancelled));
    let why = Why::Peer(Code::Cancelled, "x".repeat(MAX_REASON));
    assert_eq!(pair.server.down(), Some(&why));
    assert!(pair.client.conn().is_finished() && pair.server.conn().is_finished());
    assert_eq!(pair.client.conn().deadline(), None);
    assert_eq!(pair.server.conn().open(Dir::Bidi), None);
}

#[test]
fn a_lost_close_is_said_again_but_not_for_ever() {
    let mut raw = Raw::server();
    raw.datagrams();
    raw.conn.close(raw.now, Code::None, "");
    let mut said = raw.datagrams().len();
    for _ in 0..64 {
        raw.say(&[Frame::Ping]);
        said += raw.datagrams().len();
    }
    assert_eq!(said, 1 + 7, "after 1, 2, 4, .. 64 packets");
    raw.say(&[CLOSE]);
    assert!(raw.datagrams().is_empty());
    let at = raw.conn.deadline().expect("an end");
    raw.conn.expire(at);
    assert!(raw.conn.is_finished());
}

#[test]
fn after_the_peers_close_nothing_is_said() {
    let mut raw = Raw::server();
    raw.datagrams();
    raw.say(&[CLOSE]);
    assert_eq!(raw.down(), Some(&Why::Peer(Code::Cancelled, "bye".to_owned())));
    raw.say(&[Frame::Ping]);
    raw.conn.close(raw.now, Code::None, "");
    assert!(raw.datagrams().is_empty());
    assert_eq!(raw.conn.poll(), None, "it ends once");
}

#[test]
fn what_came_before_a_close_can_be_read() {
    let mut raw = Raw::server();
    let data = StreamFrame { id: StreamId(0), offset: 0, data: b"last words", fin: true };
    raw.say(&[Frame::Stream(data), CLOSE]);
    assert!(matches!(raw.said[..], [_, Signal::Readable(_), Signal::Down(_)]), "{:?}", raw.said);
    let mut buf = [0; 100];
    assert_eq!(raw.conn.read(StreamId(0), &mut buf), Ok(Read::Bytes(10)));
    let mut more = bytes::Bytes::from_static(b"x");
    assert_eq!(raw.conn.write(StreamId(0), &mut more, false), Ok(Wrote::Blocked));
}

#[test]
fn after_our_own_close_nobody_is_told_of_streams() {
    let mut raw = Raw::server();
    raw.conn.close(raw.now, Code::None, "");
    let data = StreamFrame { id: StreamId(0), offset: 0, data: b"late", fin: true };
    raw.say(&[Frame::Stream(data)]);
    assert!(matches!(raw.said[..], [_, Signal::Down(_)]), "{:?}", raw.said);
}

#[test]
fn the_shorter_silence_of_both_ends_a_connection() {
    for (server, client) in [(5, 20), (20, 5)] {
        let with = |secs| SECONDS(secs);
        let server = DquicConfig { idle_timeout: with(server), ..server_config() };
        let client = DquicConfig { idle_timeout: with(client), ..DquicConfig::default() };
        let mut pair = Pair::with(server, client, Offered::V1);
        pair.run(SECONDS(4));
        assert_eq!((pair.client.down(), pair.server.down()), (None, None));
        pair.client.conn().ping();
        pair.run(SECONDS(4));
        assert_eq!((pair.client.down(), pair.server.down()), (None, None));
        pair.run(SECONDS(2));
        let silent = Some(&Why::Lost(Lost::IdleTimeout));
        assert_eq!((pair.client.down(), pair.server.down()), (silent, silent));
        assert!(pair.client.conn().is_finished() && pair.server.conn().is_finished());
    }
}

#[test]
fn a_peer_that_never_answers_is_given_up() {
    let mut pair = Pair::up();
    pair.lose = Box::new(|flying| !flying.to_server);
    // Whatever the application does, and whatever is sent again.
    for _ in 0..40 {
        pair.client.conn().ping();
        pair.run(SECONDS(1));
    }
    assert_eq!(pair.client.down(), Some(&Why::Lost(Lost::IdleTimeout)));
}
