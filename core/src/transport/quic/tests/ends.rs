//! Ends of streams that quiche does not tell.

use super::pair::{Pair, read_all, send};
use crate::code::Code;
use crate::id::Dir;
use crate::transport::{Signal, StreamEnd};

/// quiche says nothing of an end mark that comes with nothing but bytes that were read.
#[test]
fn an_end_mark_that_is_sent_again_with_bytes_that_were_read_is_told() {
    let mut pair = Pair::up();
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    send(&mut pair.client, id, b"bytes", false);
    let mut got = Vec::new();
    for mut datagram in pair.sent(true) {
        pair.give_server(&mut datagram);
    }
    assert!(!read_all(&mut pair.server, id, &mut got));
    pair.server.take();
    // The acknowledgement is lost, and then the end mark is.
    assert!(!pair.sent(false).is_empty());
    send(&mut pair.client, id, b"", true);
    assert!(!pair.sent(true).is_empty());
    // So both are sent again, in one frame.
    pair.until(|pair| pair.server.said.contains(&Signal::Readable(id)));
    assert!(read_all(&mut pair.server, id, &mut got));
    assert_eq!(got, b"bytes");
    pair.settle();
    let told = |signal: &&Signal| **signal == Signal::Readable(id);
    assert_eq!(pair.server.said.iter().filter(told).count(), 1, "and it is told once");
    send(&mut pair.server, id, b"", true);
    pair.until(|pair| pair.client.conn.is_some() && pair.server.conn().is_over(id));
}

/// quiche says nothing of a reset that comes after the end mark.
#[test]
fn a_reset_after_an_end_mark_that_overtook_bytes_is_told() {
    let mut pair = Pair::up();
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    send(&mut pair.client, id, b"some", false);
    pair.settle();
    let mut got = Vec::new();
    assert!(!read_all(&mut pair.server, id, &mut got));
    send(&mut pair.client, id, b"more", false);
    let late = pair.sent(true);
    send(&mut pair.client, id, b"", true);
    for mut datagram in pair.sent(true) {
        pair.give_server(&mut datagram);
    }
    assert!(!read_all(&mut pair.server, id, &mut got));
    pair.server.take();
    pair.client.conn().reset(id, Code::Cancelled);
    pair.settle();
    assert!(pair.server.take().contains(&Signal::Readable(id)));
    for mut datagram in late {
        pair.give_server(&mut datagram);
    }
    assert_eq!(pair.server.conn().read(id, &mut [0; 9]), Err(StreamEnd::Gone));
    assert_eq!(got, b"some");
}
