//! What the application is told, and when.

use super::*;

const S0: StreamId = StreamId(0);

#[test]
fn readable_comes_once_for_each_time_the_stream_was_read_empty() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    write(&mut client, id, b"abcdef", false);
    pass(&mut client, &mut server);
    assert_eq!(signals(&mut server), [Signal::Readable(id)]);
    assert_eq!(server.read(id, &mut [0; 2]), Ok(Read::Bytes(2)));
    write(&mut client, id, b"gh", false);
    pass(&mut client, &mut server);
    assert_eq!(signals(&mut server), [], "it was not read empty");
    let mut rest = Vec::new();
    assert!(!read(&mut server, id, &mut rest));
    assert_eq!(rest, b"cdefgh");
    write(&mut client, id, b"", true);
    pass(&mut client, &mut server);
    assert_eq!(signals(&mut server), [Signal::Readable(id)]);
    assert!(read(&mut server, id, &mut rest));
    assert_eq!(server.read(id, &mut [0; 2]), Err(StreamEnd::Gone));
    assert!(client.is_over(StreamId(400)) && !client.is_over(id), "the other half is open");
}

#[test]
fn a_signal_that_was_overtaken_by_reading_is_not_given() {
    let mut server = server();
    server.on_frame(&data(0, 0, b"ab", false)).unwrap();
    let mut got = Vec::new();
    read(&mut server, S0, &mut got);
    assert_eq!(signals(&mut server), [], "there is nothing to read any more");
    server.on_frame(&data(0, 2, b"c", false)).unwrap();
    read(&mut server, S0, &mut got);
    server.on_frame(&data(0, 3, b"d", false)).unwrap();
    assert_eq!(signals(&mut server), [Signal::Readable(S0)], "once");
}

#[test]
fn bytes_behind_a_gap_are_no_reason_to_read() {
    let mut server = server();
    server.on_frame(&data(0, 3, b"def", true)).unwrap();
    assert_eq!(signals(&mut server), []);
    assert_eq!(server.read(S0, &mut [0; 9]), Ok(Read::Blocked));
    server.on_frame(&data(0, 0, b"abc", false)).unwrap();
    assert_eq!(signals(&mut server), [Signal::Readable(S0)]);
    let mut got = Vec::new();
    assert!(read(&mut server, S0, &mut got));
    assert_eq!(got, b"abcdef");
}

#[test]
fn a_stream_that_was_opened_implicitly_is_not_heard_of_before_it_is_used() {
    let mut server = server();
    server.on_frame(&data(12, 0, b"x", false)).unwrap();
    assert_eq!(signals(&mut server), [Signal::Readable(StreamId(12))]);
    assert!((0..=12).step_by(4).all(|id| !server.is_over(StreamId(id))));
    assert_eq!(server.read(S0, &mut [0; 9]), Ok(Read::Blocked));
}

#[test]
fn a_blocked_writer_is_woken_when_credit_comes_and_only_then() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    assert_eq!(write(&mut client, id, &[7; 12_000], false), 10_000);
    pass(&mut client, &mut server);
    assert_eq!(signals(&mut client), [], "everything has arrived, but nothing was read");
    assert_eq!(write(&mut client, id, &[7; 2_000], true), 0);
    let mut got = Vec::new();
    read(&mut server, id, &mut got);
    pass(&mut server, &mut client);
    assert_eq!(signals(&mut client), [Signal::Writable(id)]);
    assert_eq!(signals(&mut client), []);
    assert_eq!(write(&mut client, id, &[7; 2_000], true), 2_000);
    pass(&mut client, &mut server);
    assert!(read(&mut server, id, &mut got));
    assert_eq!(got, [7; 12_000]);
}

#[test]
fn openable_comes_once_for_each_refusal() {
    let (mut client, mut server) = (client(), server());
    let ids: Vec<_> = std::iter::from_fn(|| client.open(Dir::Bidi)).collect();
    assert_eq!(ids, [0, 4, 8, 12].map(StreamId));
    for id in &ids {
        write(&mut client, *id, b"x", true);
    }
    settle(&mut client, &mut server);
    assert_eq!(signals(&mut client), []);
    for id in &ids {
        assert!(read(&mut server, *id, &mut Vec::new()));
        write(&mut server, *id, b"", true);
        settle(&mut client, &mut server);
        assert!(read(&mut client, *id, &mut Vec::new()));
        settle(&mut client, &mut server);
        assert!(client.is_over(*id) && server.is_over(*id));
    }
    let told = signals(&mut client);
    assert_eq!(told.iter().filter(|signal| **signal == Signal::Openable).count(), 1);
    assert_eq!(client.open(Dir::Bidi), Some(StreamId(16)));
    assert_eq!(signals(&mut client), []);
}

#[test]
fn a_reset_and_a_stop_reach_the_other_end() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    write(&mut client, id, b"x", false);
    pass(&mut client, &mut server);
    read(&mut server, id, &mut Vec::new());
    signals(&mut server);
    client.reset(id, Code::Cancelled);
    client.stop(id, Code::Refused);
    settle(&mut client, &mut server);
    assert_eq!(signals(&mut server), [Signal::Readable(id)]);
    let by = |code| Err(StreamEnd::ByPeer(code));
    assert_eq!(server.read(id, &mut [0; 9]), by(Code::Cancelled));
    assert!(server.is_over(id) && client.is_over(id));
    let mut late = Bytes::from_static(b"y");
    let wrote = server.write(id, &mut late, false);
    assert_eq!(wrote, Err(StreamEnd::ByPeer(Code::Refused)), "it was not known yet");
    assert_eq!(server.write(id, &mut late, false), Err(StreamEnd::Gone));
}

#[test]
fn a_blocked_writer_learns_of_a_stop() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    write(&mut client, id, &[7; 12_000], false);
    pass(&mut client, &mut server);
    server.stop(id, Code::Refused);
    settle(&mut client, &mut server);
    assert_eq!(signals(&mut client), [Signal::Writable(id)]);
    let wrote = client.write(id, &mut Bytes::from_static(b"y"), false);
    assert_eq!(wrote, Err(StreamEnd::ByPeer(Code::Refused)));
    assert_eq!(signals(&mut client), []);
}

#[test]
fn only_so_many_stops_are_remembered() {
    let credit = Credit { max_streams_uni: 2_000, ..CREDIT };
    let (mut a, mut b) = (end_with(Side::Client, credit), end_with(Side::Server, credit));
    for _ in 0..DQUIC_STOPS_KEPT + 5 {
        let id = a.open(Dir::Uni).unwrap();
        write(&mut a, id, b"x", false);
        pass(&mut a, &mut b);
        b.stop(id, Code::Limit);
        settle(&mut a, &mut b);
        assert!(a.is_over(id));
    }
    assert_eq!(a.stopped.len(), DQUIC_STOPS_KEPT);
    let mut late = Bytes::from_static(b"y");
    assert_eq!(a.write(StreamId(2), &mut late, false), Err(StreamEnd::Gone), "forgotten");
}

#[test]
fn nothing_is_told_about_what_the_application_gave_up() {
    let (mut client, mut server) = (client(), server());
    let id = client.open(Dir::Bidi).unwrap();
    write(&mut client, id, &[7; 12_000], false);
    let (payload, _) = packet(&mut client, Instant::ZERO, MTU).unwrap();
    give(&mut server, &payload);
    client.reset(id, Code::None);
    server.stop(id, Code::None);
    settle(&mut client, &mut server);
    assert_eq!((signals(&mut client), signals(&mut server)), (vec![], vec![]));
    assert_eq!(server.read(id, &mut [0; 9]), Err(StreamEnd::Gone));
    assert_eq!(client.write(id, &mut Bytes::from_static(b"y"), true), Err(StreamEnd::Gone));
}

#[test]
fn what_is_not_there_is_gone() {
    let mut client = client();
    let mut late = Bytes::from_static(b"y");
    assert_eq!(client.write(S0, &mut late, true), Err(StreamEnd::Gone));
    assert_eq!(client.read(S0, &mut [0; 9]), Err(StreamEnd::Gone));
    client.reset(S0, Code::None);
    client.stop(S0, Code::None);
    client.prioritize(S0, 3);
    assert!(!client.wants_to_send() && signals(&mut client).is_empty());
    let id = client.open(Dir::Uni).unwrap();
    assert_eq!(client.read(id, &mut [0; 9]), Err(StreamEnd::Gone), "it has no such half");
    write(&mut client, id, b"all", true);
    assert_eq!(client.write(id, &mut late, false), Err(StreamEnd::Gone), "after the end mark");
}
