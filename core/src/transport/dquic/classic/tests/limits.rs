//! Every limit of classic DQUIC, reached.

use super::*;
use crate::limits::{
    MAX_CLASSIC_PEERS, MAX_CLASSIC_QUEUED, MAX_CLASSIC_STREAMS, MAX_CLASSIC_STREAMS_IN_ALL,
    MAX_CLASSIC_TRANSFERS,
};

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap()
}

/// An address for each number.
fn host(n: usize) -> SocketAddr {
    let [_, a, b, c] = number(n).to_be_bytes();
    SocketAddr::from(([10, a, b, c], 9))
}

/// One byte for each of so many streams, in packets that fit a datagram.
fn fill(endpoint: &mut Endpoint, from: SocketAddr, streams: usize) -> Outputs {
    let mut all = Outputs::default();
    for ids in (0..number(streams)).collect::<Vec<_>>().chunks(512) {
        let frames: Vec<_> = ids.iter().map(|id| data(*id, 0, b"x")).collect();
        endpoint.handle_datagram(at(0), from, &short(Layout::Classic, 0, &frames));
        let out = outputs(endpoint);
        all.events.extend(out.events);
        all.datagrams.extend(out.datagrams);
    }
    all
}

fn forgotten(out: &Outputs) -> Vec<(SocketAddr, Vec<u32>)> {
    let gone = out.events.iter().filter_map(|event| match event {
        Event::Forgotten { peer, streams } => {
            Some((*peer, streams.iter().map(|(id, _)| *id).collect()))
        }
        _ => None,
    });
    gone.collect()
}

#[test]
fn the_longest_idle_address_makes_place() {
    let mut endpoint = endpoint(Some(Duration::from_secs(1)));
    for n in 0..MAX_CLASSIC_PEERS {
        assert!(forgotten(&fill(&mut endpoint, host(n), 1)).is_empty());
    }
    fill(&mut endpoint, host(0), 1);
    let out = fill(&mut endpoint, host(MAX_CLASSIC_PEERS), 1);
    assert_eq!(forgotten(&out), [(host(1), vec![0])]);
    assert_eq!(endpoint.connections().count(), MAX_CLASSIC_PEERS);
    assert_eq!(endpoint.counters().forgotten, 1);
    // It starts anew, as it would with a receiver that was restarted.
    let packet = short(Layout::Classic, 1, &[data(0, 1, b"y")]);
    assert_eq!(answer(&mut endpoint, host(1), &packet), Some(ack(Layout::Classic, 1, &[(0, 0)])));
    endpoint.handle_timeout(at(5_000));
    let quiet = outputs(&mut endpoint);
    assert_eq!(quiet.events.len(), MAX_CLASSIC_PEERS, "the timers of the forgotten are gone");
    assert_eq!(quiet.wait, None);
}

#[test]
fn the_longest_idle_stream_of_an_address_makes_place() {
    let mut endpoint = endpoint(None);
    assert!(forgotten(&fill(&mut endpoint, host(0), MAX_CLASSIC_STREAMS)).is_empty());
    let again = short(Layout::Classic, 1, &[data(0, 1, b"y")]);
    answer(&mut endpoint, host(0), &again);
    let one_more = short(Layout::Classic, 2, &[data(number(MAX_CLASSIC_STREAMS), 0, b"z")]);
    endpoint.handle_datagram(at(0), host(0), &one_more);
    assert_eq!(forgotten(&outputs(&mut endpoint)), [(host(0), vec![1])]);
    let connection = endpoint.connection(&host(0)).unwrap();
    assert_eq!(connection.received_streams().count(), MAX_CLASSIC_STREAMS);
    assert_eq!(connection.stream_bytes_acknowledged(0), 2);
}

#[test]
fn streams_of_all_addresses_together_are_limited() {
    let mut endpoint = endpoint(None);
    let full = MAX_CLASSIC_STREAMS_IN_ALL / MAX_CLASSIC_STREAMS;
    for n in 0..full {
        assert!(forgotten(&fill(&mut endpoint, host(n), MAX_CLASSIC_STREAMS)).is_empty());
    }
    let out = fill(&mut endpoint, host(full), 1);
    let gone = forgotten(&out);
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].0, gone[0].1.len()), (host(0), MAX_CLASSIC_STREAMS));
    assert_eq!(out.datagrams.len(), 1, "who comes is served");
}

#[test]
fn a_datagram_full_of_new_streams_is_bounded_work_and_memory() {
    let mut endpoint = endpoint(None);
    let frames: Vec<_> = (0..4_000).map(|id| data(id, 0, b"")).collect();
    let packet = short(Layout::Classic, 0, &frames);
    assert!(packet.len() < MAX_SEGMENTED);
    let given = answer(&mut endpoint, host(0), &packet).unwrap();
    assert_eq!(given.len(), HEADER_LEN + 4_000 * 16);
    let connection = endpoint.connection(&host(0)).unwrap();
    assert_eq!(connection.received_streams().count(), MAX_CLASSIC_STREAMS);
}

#[test]
fn outputs_that_nobody_takes_stop_the_input_and_nothing_is_lost() {
    let mut endpoint = endpoint(None);
    let packet = |n: usize| short(Layout::Classic, number(n), &[data(1, n as u64, b"x")]);
    for n in 0..MAX_CLASSIC_QUEUED {
        endpoint.handle_datagram(at(0), peer(1), &packet(n));
    }
    let taken = MAX_CLASSIC_QUEUED / 2;
    assert_eq!(endpoint.counters().overflowed, (MAX_CLASSIC_QUEUED - taken) as u64);
    assert_eq!(outputs(&mut endpoint).datagrams.len(), taken);
    // The sender tries again.
    let given = answer(&mut endpoint, peer(1), &packet(taken));
    assert_eq!(given, Some(ack(Layout::Classic, number(taken), &[(1, taken as u64 + 1)])));
    endpoint.set_accepting(false);
    assert_eq!(answer(&mut endpoint, peer(1), &packet(taken + 1)), None);
}

#[test]
fn sendings_and_their_streams_are_limited() {
    let mut endpoint = endpoint(None);
    let ids: Vec<u32> = (0..=number(MAX_CLASSIC_STREAMS)).collect();
    let send = |endpoint: &mut Endpoint, to, ids: &[u32]| {
        let sent = endpoint.send(at(0), to, Layout::Classic, ids);
        feed(endpoint, at(0), &[(1, 10)]);
        sent
    };
    assert_eq!(send(&mut endpoint, host(0), &ids), Err(Refused::Streams));
    for n in 0..MAX_CLASSIC_TRANSFERS {
        assert_eq!(send(&mut endpoint, host(n), &[1]), Ok(()));
    }
    let one_more = send(&mut endpoint, host(MAX_CLASSIC_TRANSFERS), &[1]);
    assert_eq!(one_more, Err(Refused::Transfers));
    // Addresses that something is sent to do not make place for others.
    for n in 0..2 * MAX_CLASSIC_PEERS {
        fill(&mut endpoint, host(10_000 + n), 1);
    }
    assert_eq!(endpoint.connections().count(), MAX_CLASSIC_PEERS);
    assert!((0..MAX_CLASSIC_TRANSFERS).all(|n| endpoint.connection(&host(n)).is_some()));
    endpoint.cancel(at(0), host(0));
    outputs(&mut endpoint);
    assert_eq!(send(&mut endpoint, host(MAX_CLASSIC_TRANSFERS), &[1]), Ok(()));
}
