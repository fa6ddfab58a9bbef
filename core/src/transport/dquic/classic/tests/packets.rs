use super::*;

#[test]
fn headers_and_frames_are_these_bytes() {
    let header = Header { packet_type: SHORT, packet_number: 0x0102_0304 };
    assert_eq!(header.to_bytes(), [3, 1, 2, 3, 4]);
    assert_eq!(Header::from_bytes(&[3, 1, 2, 3, 4, 99]), Ok(header));
    assert_eq!(Header::from_bytes(&[3, 1, 2, 3]), Err(Malformed::Header));
    let frame = Frame { stream_id: 9, frame_type: DATA, offset: 0x0a0b, length: 258 };
    let classic = [0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0x0a, 0x0b, 0, 0, 1, 2];
    let wide = [0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0x0a, 0x0b, 0, 0, 1, 2];
    assert_eq!(frame.to_bytes(Layout::Classic).unwrap(), classic);
    assert_eq!(frame.to_bytes(Layout::Wide).unwrap(), wide);
    assert_eq!(Frame::from_bytes(Layout::Classic, &classic), Ok(frame));
    assert_eq!(Frame::from_bytes(Layout::Wide, &wide), Ok(frame));
    for (layout, bytes) in [(Layout::Classic, &classic[..]), (Layout::Wide, &wide[..])] {
        for len in 0..bytes.len() {
            let cut = Frame::from_bytes(layout, &bytes[..len]);
            assert_eq!(cut, Err(Malformed::FrameHeader), "{layout:?} {len}");
        }
    }
}

#[test]
fn an_offset_that_has_no_room_is_not_written() {
    let frame = Frame { stream_id: 1, frame_type: DATA, offset: 1 << 32, length: 0 };
    assert_eq!(frame.to_bytes(Layout::Classic), Err(Malformed::Offset));
    let bytes = frame.to_bytes(Layout::Wide).unwrap();
    assert_eq!(Frame::from_bytes(Layout::Wide, &bytes), Ok(frame));
}

#[test]
fn packets_round_trip_and_damage_is_named() {
    for layout in [Layout::Classic, Layout::Wide] {
        let frames = [data(1, 0, b"abc"), data(2, 70_000, b""), data(1, 3, b"d")];
        let bytes = short(layout, 77, &frames);
        let packet = Packet::from_bytes(layout, &bytes).unwrap();
        assert_eq!(packet.header, Header { packet_type: SHORT, packet_number: 77 });
        assert_eq!(packet.frames, frames);
        assert_eq!(packet.to_bytes(layout).unwrap(), bytes);
        let cut = Packet::from_bytes(layout, &bytes[..bytes.len() - 1]);
        assert_eq!(cut, Err(Malformed::FrameData));
        let more = [&bytes[..], &[0]].concat();
        assert_eq!(Packet::from_bytes(layout, &more), Err(Malformed::FrameHeader));
        assert_eq!(Packet::from_bytes(layout, &bytes[..4]), Err(Malformed::Header));
    }
    let (frame, _) = data(1, 0, b"abc");
    let header = Header { packet_type: SHORT, packet_number: 0 };
    let wrong = Packet { header, frames: vec![(frame, b"ab")] };
    assert_eq!(wrong.to_bytes(Layout::Classic), Err(Malformed::Length));
}

#[test]
fn a_declared_length_takes_no_more_than_there_is() {
    let (mut frame, _) = data(1, 0, b"");
    frame.length = u32::MAX;
    let bytes = [frame.to_bytes(Layout::Classic).unwrap(), b"xy".to_vec()].concat();
    let items: Vec<_> = Frames::new(Layout::Classic, &bytes).collect();
    assert_eq!(items, [Ok((frame, &b"xy"[..]))]);
}
