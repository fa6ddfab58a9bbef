//! Frames survive the wire, and nothing else is a frame.

use super::*;
use crate::limits::DQUIC_ACK_RANGES;
use crate::rng::{Rng, Seed};
use crate::transport::dquic::out::Out;
use crate::transport::dquic::recovery::ranges::RangeSet;

fn written(frame: &Frame<'_>) -> Vec<u8> {
    let mut buf = vec![0xee; frame.len()];
    let mut out = Out::new(&mut buf);
    assert!(frame.write(&mut out), "{frame:?}");
    assert_eq!(out.room(), 0, "{frame:?} is as long as it says");
    buf
}

fn parsed(bytes: &[u8]) -> Result<Vec<Frame<'_>>, TransportError> {
    Frames::new(bytes).collect()
}

fn ack_bytes(received: &RangeSet, delay_us: u64, room: usize) -> Vec<u8> {
    let mut buf = vec![0; room];
    let mut out = Out::new(&mut buf);
    let len = if write_ack(&mut out, received, delay_us) { out.len() } else { 0 };
    buf.truncate(len);
    buf
}

/// Numbers of every length, and the edges between them.
fn number(rng: &mut Rng) -> u64 {
    let bits = rng.below(62);
    rng.below(1 << bits)
}

fn dir(rng: &mut Rng) -> Dir {
    if rng.chance(1, 2) { Dir::Bidi } else { Dir::Uni }
}

fn any<'a>(rng: &mut Rng, bytes: &'a [u8]) -> Frame<'a> {
    let id = StreamId(number(rng));
    let slice = &bytes[..usize::try_from(rng.below(bytes.len() as u64 + 1)).unwrap()];
    match rng.below(20) {
        0 => Frame::Padding(1 + slice.len()),
        1 => Frame::Ping,
        2 => Frame::ResetStream { id, code: number(rng), final_size: number(rng) },
        3 => Frame::StopSending { id, code: number(rng) },
        4..8 => {
            let fin = rng.chance(1, 2);
            Frame::Stream(StreamFrame { id, offset: number(rng), data: slice, fin })
        }
        8 => Frame::MaxData(number(rng)),
        9 => Frame::MaxStreamData { id, max: number(rng) },
        10 => Frame::MaxStreams { dir: dir(rng), max: number(rng).min(MAX_STREAMS) },
        11 => Frame::DataBlocked(number(rng)),
        12 => Frame::StreamDataBlocked { id, max: number(rng) },
        13 => Frame::StreamsBlocked { dir: dir(rng), max: number(rng).min(MAX_STREAMS) },
        14 => Frame::NewConnectionId {
            sequence: 1 << 40,
            retire_prior_to: number(rng).min(1 << 40),
            cid: CidBytes::new(&rng.array::<20>()[..usize::from(1 + rng.array::<1>()[0] % 20)])
                .unwrap(),
            token: rng.array(),
        },
        15 => Frame::RetireConnectionId(number(rng)),
        16 => Frame::PathChallenge(rng.array()),
        17 => Frame::PathResponse(rng.array()),
        18 => {
            let frame_type = rng.chance(1, 2).then(|| number(rng));
            Frame::ConnectionClose { code: number(rng), frame_type, reason: slice }
        }
        _ => {
            let first = number(rng);
            let largest = first + number(rng);
            let (delay_us, more) = (number(rng), 0);
            Frame::Ack(Ack { largest, delay_us, more, first, rest: &[] })
        }
    }
}

#[test]
fn packets_of_any_frames_survive_the_wire() {
    let bytes = [0x5a; 300];
    for seed in 0..3_000 {
        let mut rng = Seed::from_u64(seed).stream("frames");
        let mut frames = Vec::new();
        let mut payload = Vec::new();
        for _ in 0..rng.below(8) {
            let frame = any(&mut rng, &bytes);
            // Two runs of PADDING would be read as one.
            let is_padding = matches!(frame, Frame::Padding(_));
            if is_padding && matches!(frames.last(), Some(Frame::Padding(_))) {
                continue;
            }
            payload.extend(written(&frame));
            frames.push(frame);
        }
        assert_eq!(parsed(&payload), Ok(frames.clone()), "seed {seed}");
        let Some(last) = frames.last().filter(|frame| !matches!(frame, Frame::Padding(_))) else {
            continue;
        };
        // One byte less is no frame, whichever frame it is.
        let mut short = vec![0; last.len() - 1];
        assert!(!last.write(&mut Out::new(&mut short)));
        if last.len() > 1 {
            let cut = parsed(&payload[..payload.len() - 1]);
            assert_eq!(cut, Err(TransportError::FrameEncoding), "seed {seed}: {last:?}");
        }
    }
}

#[test]
fn any_bytes_are_frames_or_an_error() {
    for seed in 0..20_000 {
        let mut rng = Seed::from_u64(seed).stream("noise");
        let mut bytes = rng.array::<40>();
        // Most types, so that what is behind them is met.
        bytes[0] %= 0x20;
        let len = usize::try_from(rng.below(41)).unwrap();
        let mut total = 0;
        for frame in Frames::new(&bytes[..len]) {
            let Ok(frame) = frame else { break };
            total += frame.len();
            if let Frame::Ack(ack) = frame {
                assert!(ack.ranges().count() <= DQUIC_ACK_RANGES);
            }
        }
        // Written anew, frames can only be shorter: numbers have their shortest form. A length
        // can come in where there was none.
        assert!(total <= len + 1, "seed {seed}");
    }
}

#[test]
fn after_an_error_nothing_follows() {
    let mut frames = Frames::new(&[0x01, 0x1e, 0x01, 0x01]);
    assert_eq!(frames.next(), Some(Ok(Frame::Ping)));
    assert_eq!(frames.next(), Some(Err(TransportError::FrameEncoding)));
    assert_eq!(frames.next(), None);
}

#[test]
fn a_stream_frame_without_length_takes_the_rest() {
    let frame = StreamFrame { id: StreamId(4), offset: 0, data: b"abc", fin: true };
    assert_eq!(parsed(b"\x09\x04abc"), Ok(vec![Frame::Stream(frame)]));
    let frame = StreamFrame { offset: 7, fin: false, ..frame };
    assert_eq!(parsed(b"\x0c\x04\x07abc"), Ok(vec![Frame::Stream(frame)]));
}

#[test]
fn what_cannot_be_is_refused() {
    let max = [0xff; 8];
    let cases: [(&str, Vec<u8>); 8] = [
        ("data beyond the last offset", [&[0x0c, 0x00], &max[..], b"x"].concat()),
        ("too many streams", [&[0x12, 0xd0][..], &[0, 0, 0, 0, 0, 0, 1]].concat()),
        ("a type in a longer form", vec![0x40, 0x01]),
        ("an ACK below packet 0", vec![0x02, 3, 0, 0, 4]),
        ("a gap below packet 0", vec![0x02, 3, 0, 1, 0, 2, 0]),
        ("an empty connection id", [&[0x18, 0, 0, 0][..], &[0; 16]].concat()),
        ("a connection id of 21 bytes", [&[0x18, 0, 0, 21][..], &[0; 37]].concat()),
        ("ids retired before they come", [&[0x18, 1, 2, 1, 7][..], &[0; 16]].concat()),
    ];
    for (what, bytes) in cases {
        assert_eq!(parsed(&bytes), Err(TransportError::FrameEncoding), "{what}");
    }
}

#[test]
fn ack_frames_carry_any_set_of_packets() {
    for seed in 0..2_000 {
        let mut rng = Seed::from_u64(seed).stream("acks");
        let mut received = RangeSet::default();
        for _ in 0..=rng.below(80) {
            let start = rng.below(400);
            received.insert(start..start + 1 + rng.below(4));
        }
        let mut expected: Vec<_> = received.iter().rev().map(|r| r.start..=r.end - 1).collect();
        let whole = ack_bytes(&received, 1234, 2_000);
        let Ok([Frame::Ack(ack)]) = parsed(&whole).as_deref().map(|f| [f[0]]) else { panic!() };
        expected.truncate(DQUIC_ACK_RANGES);
        assert_eq!(ack.ranges().collect::<Vec<_>>(), expected, "seed {seed}");
        assert_eq!((ack.delay_us(), ack.largest()), (1234, *expected[0].end()));
        assert_eq!(written(&Frame::Ack(ack)), whole);
        // In less room, the highest ranges remain.
        let room = usize::try_from(rng.below(60)).unwrap();
        let part = ack_bytes(&received, 1234, room);
        assert!(part.len() <= room);
        match parsed(&part).unwrap().first() {
            Some(Frame::Ack(ack)) => {
                let ranges: Vec<_> = ack.ranges().collect();
                assert_eq!(ranges[..], expected[..ranges.len()], "seed {seed}");
            }
            _ => assert!(part.is_empty() && room < 12, "seed {seed}: {room}"),
        }
    }
}

#[test]
fn more_ranges_than_the_limit_are_refused() {
    let mut received = RangeSet::default();
    (0..DQUIC_ACK_RANGES as u64).for_each(|n| received.insert(2 * n..2 * n + 1));
    let full = ack_bytes(&received, 0, 1_000);
    assert!(parsed(&full).is_ok());
    let mut more = full;
    assert_eq!(more[4], DQUIC_ACK_RANGES as u8 - 1);
    more.splice(4..5, [0x40, DQUIC_ACK_RANGES as u8]);
    more.extend([0, 0]);
    assert_eq!(parsed(&more), Err(TransportError::FrameEncoding));
}

#[test]
fn only_what_has_to_be_answered_elicits() {
    let quiet =
        [Frame::Padding(1), Frame::ConnectionClose { code: 0, frame_type: None, reason: b"" }];
    assert!(quiet.iter().all(|frame| !frame.is_ack_eliciting()));
    assert!(Frame::Ping.is_ack_eliciting() && !Frame::Ping.is_probing());
    assert!(Frame::PathChallenge([0; 8]).is_probing() && quiet[0].is_probing());
}
