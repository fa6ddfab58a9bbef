//! Flow control and limits, and what happens to a peer that does not keep to them.

use super::*;
use crate::limits::DQUIC_MAX_GAPS;

const S0: StreamId = StreamId(0);

fn verdict(frames: &[Frame<'_>]) -> Result<(), TransportError> {
    let mut server = server();
    // Stream 1 is the server's own.
    assert_eq!(server.open(Dir::Bidi), Some(StreamId(1)));
    frames.iter().try_for_each(|frame| server.on_frame(frame))
}

const fn reset(id: u64, final_size: u64) -> Frame<'static> {
    Frame::ResetStream { id: StreamId(id), code: 0, final_size }
}

#[test]
fn every_violation_has_its_code() {
    use TransportError as E;
    let big = &[0; 10_001][..];
    let full = &big[..10_000];
    let stop = |id| Frame::StopSending { id: StreamId(id), code: 0 };
    let credit = |id| Frame::MaxStreamData { id: StreamId(id), max: 1 };
    let blocked = |id| Frame::StreamDataBlocked { id: StreamId(id), max: 1 };
    let cases: [(&str, &[Frame<'_>], E); 17] = [
        ("more than a stream's window", &[data(0, 0, big, false)], E::FlowControl),
        ("beyond a stream's window", &[data(0, 10_000, b"x", false)], E::FlowControl),
        ("a reset beyond it", &[reset(0, 10_001)], E::FlowControl),
        ("data after the end", &[data(0, 0, b"ab", true), data(0, 2, b"c", false)], E::FinalSize),
        ("another end", &[data(0, 0, b"ab", true), data(0, 0, b"a", true)], E::FinalSize),
        ("an end before data", &[data(0, 0, b"ab", false), data(0, 0, b"a", true)], E::FinalSize),
        ("a reset before data", &[data(0, 0, b"ab", false), reset(0, 1)], E::FinalSize),
        ("a reset at another end", &[data(0, 0, b"ab", true), reset(0, 3)], E::FinalSize),
        ("a second reset elsewhere", &[reset(0, 3), reset(0, 4)], E::FinalSize),
        ("too many streams", &[data(16, 0, b"", false)], E::StreamLimit),
        ("too many streams by credit", &[credit(16)], E::StreamLimit),
        ("a stream of ours that is not open", &[data(5, 0, b"", false)], E::StreamState),
        ("a stop of one that is not open", &[stop(5)], E::StreamState),
        ("data where only we send", &[data(3, 0, b"", false)], E::StreamState),
        ("a block where only we send", &[blocked(3)], E::StreamState),
        ("a stop where only they send", &[stop(2)], E::StreamState),
        ("credit where only they send", &[credit(2)], E::StreamState),
    ];
    for (what, frames, error) in cases {
        assert_eq!(verdict(frames), Err(error), "{what}");
        assert_eq!(verdict(&frames[..frames.len() - 1]), Ok(()), "{what}: only the last");
    }
    let most: [&[Frame<'_>]; 4] = [
        &[data(0, 0, full, true), data(0, 9_999, b"x", true), reset(0, 10_000)],
        &[data(12, 0, b"", false), data(6, 0, b"", false), credit(1), stop(1), blocked(1)],
        &[reset(0, 10_000), data(0, 0, full, true), reset(0, 10_000)],
        &[Frame::Ping, Frame::DataBlocked(0), Frame::MaxStreams { dir: Dir::Uni, max: 0 }],
    ];
    for frames in most {
        assert_eq!(verdict(frames), Ok(()), "{frames:?}");
    }
}

#[test]
fn the_connections_window_counts_all_streams() {
    let credit = Credit { max_data: 15_000, ..CREDIT };
    let chunk = [0; 10_000];
    for (last, expected) in [(5_000, Ok(())), (5_001, Err(TransportError::FlowControl))] {
        for by_reset in [false, true] {
            let mut server = end_with(Side::Server, credit);
            server.on_frame(&data(0, 0, &chunk, false)).unwrap();
            // What comes again is not counted again.
            server.on_frame(&data(0, 0, &chunk, true)).unwrap();
            let second = if by_reset {
                reset(4, last)
            } else {
                data(4, 0, &chunk[..usize::try_from(last).unwrap()], false)
            };
            assert_eq!(server.on_frame(&second), expected, "{last} {by_reset}");
        }
    }
}

/// How much more the peer may send on the connection.
fn left(server: &Streams) -> u64 {
    server.window.told() - server.received
}

#[test]
fn what_nobody_reads_comes_back_to_the_connection() {
    for way in ["stop", "stop first", "reset", "reset after stop", "stop after end"] {
        let mut server = server();
        let full = left(&server);
        for id in (0..30).map(|n| StreamId(4 * n)) {
            let bytes = [0; 9_000];
            match way {
                "stop" => {
                    server.on_frame(&data(id.0, 0, &bytes, false)).unwrap();
                    server.stop(id, Code::None);
                    server.on_frame(&reset(id.0, 10_000)).unwrap();
                }
                "stop first" => {
                    server.on_frame(&data(id.0, 0, b"", false)).unwrap();
                    server.stop(id, Code::None);
                    server.on_frame(&data(id.0, 500, &bytes, true)).unwrap();
                }
                "reset" => {
                    server.on_frame(&data(id.0, 1, &bytes, false)).unwrap();
                    server.on_frame(&reset(id.0, 10_000)).unwrap();
                    assert!(server.read(id, &mut [0; 9]).is_err());
                }
                "reset after stop" => {
                    server.on_frame(&data(id.0, 0, &bytes, false)).unwrap();
                    server.read(id, &mut [0; 4_000]).unwrap();
                    server.on_frame(&reset(id.0, 9_500)).unwrap();
                    server.stop(id, Code::None);
                }
                _ => {
                    server.on_frame(&data(id.0, 0, &bytes, true)).unwrap();
                    server.stop(id, Code::None);
                }
            }
            server.reset(id, Code::None);
            while let Some((_, carried)) = packet(&mut server, Instant::ZERO, MTU) {
                server.on_acked(&carried);
            }
            assert!(server.is_over(id), "{way}");
        }
        assert!(left(&server) >= full / 2, "{way}: {} of {full}", left(&server));
        assert!(server.streams.is_empty());
    }
}

#[test]
fn a_window_that_is_read_quickly_grows() {
    let mut setup = setup(Side::Server, CREDIT);
    setup.max_stream_window = 40_000;
    let mut server = Streams::new(setup);
    let mut granted = Vec::new();
    let mut offset = 0;
    let mut limit = 10_000;
    for _ in 0..5 {
        let bytes = vec![0; usize::try_from(limit - offset).unwrap()];
        server.on_frame(&data(0, offset, &bytes, false)).unwrap();
        read(&mut server, S0, &mut Vec::new());
        offset = limit;
        let (payload, _) = packet(&mut server, Instant::ZERO, MTU).unwrap();
        for frame in Frames::new(&payload) {
            if let Ok(Frame::MaxStreamData { id: S0, max }) = frame {
                limit = max;
            }
        }
        granted.push(limit - offset);
    }
    assert_eq!(granted, [10_000, 20_000, 40_000, 40_000, 40_000]);
}

#[test]
fn who_is_blocked_says_so_once() {
    let credit = Credit { max_data: 15_000, ..CREDIT };
    let mut client = end_with(Side::Client, credit);
    let (a, b) = (client.open(Dir::Bidi).unwrap(), client.open(Dir::Bidi).unwrap());
    write(&mut client, a, &[0; 10_001], false);
    write(&mut client, b, &[0; 10_000], false);
    while client.open(Dir::Bidi).is_some() {}
    let first = frames(&mut client);
    let said = [
        "DataBlocked(15000)",
        "StreamDataBlocked { id: s0, max: 10000 }",
        "StreamsBlocked { dir: Bidi, max: 4 }",
    ];
    assert_eq!(first[..3], said);
    while packet(&mut client, Instant::ZERO, MTU).is_some() {}
    write(&mut client, a, &[0; 1], false);
    assert_eq!(client.open(Dir::Bidi), None);
    assert_eq!(frames(&mut client), [""; 0]);
    client.on_frame(&Frame::MaxStreamData { id: a, max: 20_000 }).unwrap();
    client.on_frame(&Frame::MaxData(15_001)).unwrap();
    assert_eq!(signals(&mut client), [Signal::Writable(a), Signal::Writable(b)]);
    write(&mut client, a, &[0; 2], false);
    assert_eq!(frames(&mut client)[0], "DataBlocked(15001)");
}

#[test]
fn credit_that_was_lost_is_given_again_as_it_is_by_then() {
    let mut server = server();
    for id in [0, 4] {
        server.on_frame(&data(id, 0, &[0; 10_000], false)).unwrap();
        read(&mut server, StreamId(id), &mut Vec::new());
    }
    server.window.consume(40_000);
    let (_, carried) = packet(&mut server, Instant::ZERO, MTU).unwrap();
    server.on_frame(&data(0, 10_000, &[0; 10_000], false)).unwrap();
    read(&mut server, S0, &mut Vec::new());
    server.on_frame(&reset(4, 10_000)).unwrap();
    server.on_lost(&carried);
    let said = frames(&mut server);
    assert_eq!(said, ["MaxData(160000)", "MaxStreamData { id: s0, max: 30000 }"]);
    assert!(!server.wants_to_send());
}

#[test]
fn limits_of_the_peers_never_go_down() {
    let mut client = client();
    for frame in [
        Frame::MaxData(1),
        Frame::MaxStreams { dir: Dir::Bidi, max: 1 },
        Frame::MaxStreams { dir: Dir::Bidi, max: 5 },
        Frame::MaxStreams { dir: Dir::Bidi, max: 2 },
    ] {
        client.on_frame(&frame).unwrap();
    }
    let ids: Vec<_> = std::iter::from_fn(|| client.open(Dir::Bidi)).collect();
    assert_eq!(ids.len(), 5);
    client.on_frame(&Frame::MaxStreamData { id: ids[0], max: 1 }).unwrap();
    assert_eq!(write(&mut client, ids[0], &[0; 20_000], false), 10_000);
}

#[test]
fn streams_that_are_over_make_room_for_others_and_a_question_is_answered() {
    let mut server = server();
    let over = |server: &mut Streams, id: u64| {
        server.on_frame(&reset(id, 0)).unwrap();
        assert!(server.read(StreamId(id), &mut [0; 1]).is_err());
        server.reset(StreamId(id), Code::None);
        let mut said = Vec::new();
        while let Some((payload, carried)) = packet(server, Instant::ZERO, MTU) {
            said.extend(Frames::new(&payload).map(|f| format!("{:?}", f.unwrap())));
            server.on_acked(&carried);
        }
        said.retain(|frame| frame.starts_with("MaxStreams"));
        said
    };
    assert_eq!(over(&mut server, 0), [""; 0], "one of four is not worth a frame");
    server.on_frame(&Frame::StreamsBlocked { dir: Dir::Bidi, max: 4 }).unwrap();
    assert_eq!(frames(&mut server), ["MaxStreams { dir: Bidi, max: 5 }"], "unless it is asked for");
    assert_eq!(over(&mut server, 4), [""; 0]);
    assert_eq!(over(&mut server, 8), ["MaxStreams { dir: Bidi, max: 7 }"]);
}

#[test]
fn gaps_without_end_are_a_violation() {
    let credit = Credit { max_stream_data: 1 << 20, max_data: 1 << 20, ..CREDIT };
    let mut server = end_with(Side::Server, credit);
    let mut frame = |n: usize| server.on_frame(&data(0, 2 * n as u64 + 1, b"x", false));
    assert!((0..DQUIC_MAX_GAPS).all(|n| frame(n).is_ok()));
    assert_eq!(frame(DQUIC_MAX_GAPS), Err(TransportError::ProtocolViolation));
}

#[test]
fn writers_share_a_budget_but_small_messages_find_room() {
    let credit = Credit { max_stream_data: 1 << 30, max_data: 1 << 30, ..CREDIT };
    let mut client = end_with(Side::Client, credit);
    let (bulk, chat) = (client.open(Dir::Bidi).unwrap(), client.open(Dir::Bidi).unwrap());
    let budget = usize::try_from(DQUIC_SEND_SLACK).unwrap();
    assert_eq!(write(&mut client, bulk, &vec![0; 1 << 20], false), budget);
    let reserve = usize::try_from(DQUIC_STREAM_RESERVE).unwrap();
    assert_eq!(write(&mut client, chat, &[0; 20_000], false), reserve);
    assert_eq!(signals(&mut client), []);
    client.set_window(DQUIC_SEND_SLACK / 2);
    assert_eq!(signals(&mut client), [Signal::Writable(bulk), Signal::Writable(chat)]);
    assert_eq!(write(&mut client, bulk, &vec![0; 1 << 20], false), budget - reserve);
    client.reset(bulk, Code::None);
    assert_eq!(client.held, DQUIC_STREAM_RESERVE, "what was abandoned is not kept");
    assert_eq!(client.written, DQUIC_STREAM_RESERVE, "nor counted: it was never sent");
}
