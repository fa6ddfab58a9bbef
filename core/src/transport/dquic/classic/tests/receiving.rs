use super::*;
use crate::transport::dquic::classic::receive_state::State;

/// Bytes of a stream that were handed on in order.
fn in_order(events: &[Event], wanted: u32) -> Vec<u8> {
    let packets = events.iter().filter_map(|event| match event {
        Event::Received(packet) => Some(packet),
        _ => None,
    });
    let pieces = packets.flat_map(|packet| &packet.pieces);
    let pieces = pieces.filter(|piece| piece.in_order && piece.stream == wanted);
    pieces.flat_map(|piece| piece.data.to_vec()).collect()
}

fn events(endpoint: &mut Endpoint, now: Instant, datagram: &[u8]) -> Vec<Event> {
    endpoint.handle_datagram(now, peer(1), datagram);
    outputs(endpoint).events
}

#[test]
fn every_byte_is_handed_on_once_and_in_order() {
    for layout in [Layout::Classic, Layout::Wide] {
        let mut endpoint = endpoint(None);
        let packets = [
            short(layout, 0, &[data(1, 0, b"abc"), data(2, 0, b"x")]),
            short(layout, 0, &[data(1, 0, b"abc"), data(2, 0, b"x")]),
            short(layout, 1, &[data(1, 5, b"fg"), data(2, 1, b"y")]),
            short(layout, 2, &[data(1, 3, b"de"), data(1, 5, b"fg")]),
        ];
        let all: Vec<Event> =
            packets.iter().flat_map(|packet| events(&mut endpoint, at(0), packet)).collect();
        assert_eq!(in_order(&all, 1), b"abcdefg");
        assert_eq!(in_order(&all, 2), b"xy");
        let connection = endpoint.connection(&peer(1)).unwrap();
        assert_eq!(connection.received_packet_number(), 4);
        assert_eq!(connection.sent_packet_number(), 4);
        assert_eq!(connection.stream_bytes_acknowledged(1), 7);
        let stats = connection.received_stream(1).unwrap().stats();
        assert_eq!((stats.packets, stats.frames, stats.misplaced, stats.bytes), (4, 5, 2, 7));
    }
}

#[test]
fn a_packet_s_map_is_that_of_the_existing_receivers() {
    let mut endpoint = endpoint(None);
    let packet = short(Layout::Classic, 5, &[data(1, 9, b"early"), data(2, 0, b"b")]);
    let all = events(&mut endpoint, at(0), &packet);
    let [Event::Received(received)] = &all[..] else { panic!("{all:?}") };
    let map = received.map();
    assert_eq!(map[&1], b"early", "in order or not");
    assert_eq!(map[&2], b"b");
    assert_eq!((received.packet_number, received.end), (5, End::Complete));
    assert_eq!(received.layout, Layout::Classic);
}

#[test]
fn an_event_comes_before_the_datagram_that_acknowledges_it() {
    let mut endpoint = endpoint(None);
    endpoint.handle_datagram(at(0), peer(1), &short(Layout::Wide, 0, &[data(1, 0, b"a")]));
    let mut buf = vec![0; MAX_SEGMENTED];
    assert!(matches!(endpoint.poll_output(&mut buf), Output::Event(Event::Received(_))));
    assert!(matches!(endpoint.poll_output(&mut buf), Output::Transmit { .. }));
    assert_eq!(endpoint.poll_output(&mut buf), Output::Wait(None));
}

#[test]
fn silence_ends_a_stream_and_it_may_go_on_where_it_was() {
    let mut endpoint = endpoint(Some(Duration::from_secs(5)));
    let packet = |number, offset, bytes| short(Layout::Classic, number, &[data(1, offset, bytes)]);
    events(&mut endpoint, at(0), &packet(0, 0, b"ab"));
    // A repetition shows that the sender is still there.
    events(&mut endpoint, at(3_000), &packet(0, 0, b"ab"));
    assert_eq!(outputs(&mut endpoint).wait, Some(at(8_000)));
    endpoint.handle_timeout(at(7_999));
    assert!(outputs(&mut endpoint).events.is_empty());
    endpoint.handle_timeout(at(8_000));
    let out = outputs(&mut endpoint);
    let [Event::Quiet { stream: 1, stats, .. }] = &out.events[..] else { panic!("{out:?}") };
    assert_eq!((stats.bytes, stats.elapsed()), (2, Duration::from_secs(3)));
    assert_eq!(out.wait, None, "it has ended once");
    events(&mut endpoint, at(9_000), &packet(0, 0, b"ab"));
    assert_eq!(outputs(&mut endpoint).wait, None, "a late repetition changes nothing");
    let more = events(&mut endpoint, at(10_000), &packet(1, 2, b"cd"));
    assert_eq!(in_order(&more, 1), b"cd", "counts never start again");
    assert_eq!(outputs(&mut endpoint).wait, Some(at(15_000)));
}

#[test]
fn a_frame_that_declares_more_than_it_has_breaks_its_stream_only() {
    let mut endpoint = endpoint(Some(Duration::from_secs(5)));
    let whole = short(Layout::Classic, 0, &[data(2, 0, b"x"), data(1, 0, b"abcdef")]);
    let all = events(&mut endpoint, at(0), &whole[..whole.len() - 2]);
    assert_eq!(in_order(&all, 1), b"abcd");
    assert!(matches!(all[1], Event::Broken { stream: 1, stats, .. } if stats.bytes == 4));
    assert_eq!(all.len(), 2, "{all:?}");
    let next = short(Layout::Classic, 1, &[data(1, 6, b"gh"), data(2, 1, b"y")]);
    let all = events(&mut endpoint, at(1), &next);
    assert_eq!(in_order(&all, 1), b"", "two bytes are missing before these");
    assert_eq!(in_order(&all, 2), b"y");
    let connection = endpoint.connection(&peer(1)).unwrap();
    assert_eq!(connection.stream_bytes_acknowledged(1), 8, "as declared, like existing receivers");
    assert_eq!(connection.received_stream(1).unwrap().state(), State::Broken);
    endpoint.handle_timeout(at(60_000));
    let quiet = outputs(&mut endpoint).events;
    assert!(matches!(quiet[..], [Event::Quiet { stream: 2, .. }]), "{quiet:?}");
}

#[test]
fn a_packet_may_declare_as_much_as_is_taken_and_no_more() {
    let mut endpoint = endpoint(None);
    endpoint.set_max_bytes(7);
    let packet = |number, frames: &[(Frame, &[u8])]| short(Layout::Wide, number, frames);
    let enough = packet(0, &[data(1, 0, b"abcd"), data(2, 0, b"efg")]);
    let expected = ack(Layout::Wide, 0, &[(1, 4), (2, 3)]);
    assert_eq!(answer(&mut endpoint, peer(1), &enough), Some(expected));
    let too_much = packet(1, &[data(1, 4, b"hijk"), data(2, 3, b"lmno"), data(3, 0, b"p")]);
    let all = events(&mut endpoint, at(0), &too_much);
    let [Event::Received(received)] = &all[..] else { panic!("{all:?}") };
    assert_eq!(received.end, End::TooMuch);
    assert_eq!(received.map().keys().collect::<Vec<_>>(), [&1], "without what was too much");
    assert_eq!((in_order(&all, 1), in_order(&all, 2)), (b"hijk".to_vec(), b"lmno".to_vec()));
    let connection = endpoint.connection(&peer(1)).unwrap();
    let counts = [1, 2, 3].map(|stream| connection.stream_bytes_acknowledged(stream));
    assert_eq!(counts, [8, 7, 0], "counted up to there");
    assert_eq!((connection.sent_packet_number(), endpoint.counters().unanswered), (1, 1));
}

#[test]
fn what_is_no_data_packet_leaves_nothing_behind() {
    let mut endpoint = endpoint(None);
    let frame = short(Layout::Classic, 0, &[data(1, 0, b"a")]);
    let mut other = frame.clone();
    other[0] = 9;
    let strays = [
        b"".to_vec(),
        frame[..4].to_vec(),
        frame[..20].to_vec(),
        other,
        ack(Layout::Classic, 0, &[(1, 1)]),
    ];
    for stray in &strays {
        endpoint.handle_datagram(at(0), peer(1), stray);
    }
    endpoint.handle_datagram(at(0), peer(0), &frame);
    let out = outputs(&mut endpoint);
    assert!(out.datagrams.is_empty() && out.events.is_empty(), "{out:?}");
    assert_eq!(endpoint.connections().count(), 0);
    let counters = endpoint.counters();
    assert_eq!((counters.malformed, counters.unanswered, counters.ignored), (3, 1, 2));
}

#[test]
fn an_address_that_changes_its_layout_is_answered_in_the_new_one_from_the_second_packet_on() {
    let mut endpoint = endpoint(None);
    let both = [Layout::Classic, Layout::Wide];
    for (number, layout) in (0..).zip(both.iter().cycle().take(4)) {
        let packet = short(*layout, number, &[data(number, 0, b"abc")]);
        let expected = ack(*layout, number, &[(number, 3)]);
        let first = answer(&mut endpoint, peer(1), &packet);
        if number > 0 {
            // It may be damaged, and look like that by chance.
            assert_ne!(first.as_ref(), Some(&expected));
            assert_ne!(endpoint.connection(&peer(1)).unwrap().layout(), Some(*layout));
            assert_eq!(answer(&mut endpoint, peer(1), &packet), Some(expected));
        }
        assert_eq!(endpoint.connection(&peer(1)).unwrap().layout(), Some(*layout));
    }
}

#[test]
fn a_damaged_packet_that_looks_like_the_other_layout_changes_nothing() {
    let mut endpoint = endpoint(None);
    let first = short(Layout::Wide, 0, &[data(1, 0, &[9; 90])]);
    answer(&mut endpoint, peer(1), &first);
    // Cut off where a classic frame with this offset as its length would end.
    let cut = &short(Layout::Wide, 1, &[data(1, 90, &[9; 200])])[..HEADER_LEN + 16 + 90];
    assert!(Layout::Classic.fits(&cut[HEADER_LEN..]));
    let expected = ack(Layout::Wide, 1, &[(1, 290)]);
    assert_eq!(answer(&mut endpoint, peer(1), cut), Some(expected));
    let next = short(Layout::Wide, 2, &[data(2, 0, b"x")]);
    assert_eq!(answer(&mut endpoint, peer(1), &next), Some(ack(Layout::Wide, 2, &[(2, 1)])));
}
