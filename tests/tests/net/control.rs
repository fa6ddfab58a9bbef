//! The control stream: HELLO, listings, pings, and who may ask for them.

use std::time::Duration;

use anabranch_core::event::Listing;
use anabranch_core::transport::Offered;
use anabranch_core::{ConnId, Event, Misuse, limits};
use anabranch_tests::content::Clip;
use anabranch_tests::link::LinkConfig;
use anabranch_tests::oracle::Who;
use anabranch_tests::pair::{Options, Pair};
use anabranch_tests::seeds;

use super::options;

const CLIENT: Who = Who::Client(0);
const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn page(pair: &mut Pair, conn: ConnId, after: Option<&str>) -> Listing {
    let request = pair.conn(CLIENT, conn).unwrap().list(after).unwrap();
    let answer = |pair: &Pair| {
        pair.events(CLIENT, conn).find_map(|event| match event {
            Event::Listing(listing) if listing.request == request => Some(listing.clone()),
            _ => None,
        })
    };
    pair.must("a listing", SECONDS(30), |pair| answer(pair).is_some());
    answer(pair).unwrap()
}

#[test]
fn both_sides_say_who_they_are() {
    let mut options = options();
    options.client.agent = "client/7".to_owned();
    options.server.agent = "s".repeat(limits::MAX_AGENT + 50);
    let mut pair = Pair::new(0, options);
    let conn = pair.up(0, Offered::V1);
    pair.run_for(SECONDS(1));
    let hello = |pair: &Pair, who, conn| {
        pair.events(who, conn).find_map(|event| match event {
            Event::Hello { agent } => Some(agent.clone()),
            _ => None,
        })
    };
    let expected = Some("s".repeat(limits::MAX_AGENT));
    assert_eq!(hello(&pair, CLIENT, conn), expected);
    let on_server = pair.accepted()[0];
    assert_eq!(hello(&pair, Who::Server, on_server).as_deref(), Some("client/7"));
}

#[test]
fn a_long_catalogue_comes_in_pages_and_in_order() {
    seeds::each(4, |seed| {
        let clip =
            |n: usize| Clip::new(&format!("clip {n:03} {}", "x".repeat(n % 100)), 1, n as u64);
        let clips: Vec<Clip> = (0..200).rev().map(clip).collect();
        let options = Options { clips, ..options() }.over(&LinkConfig::rough(5));
        let mut pair = Pair::new(seed, options);
        let conn = pair.up(0, Offered::V1);
        let (mut sizes, mut after) = (Vec::new(), None);
        loop {
            let listing = page(&mut pair, conn, after.as_deref());
            assert!(listing.entries.len() <= limits::MAX_LISTING_PAGE);
            assert!(listing.entries.is_sorted_by_key(|entry| entry.name.clone()));
            sizes.extend(listing.entries.iter().map(|entry| entry.size.unwrap()));
            after = listing.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(sizes, (0..200).collect::<Vec<u64>>());
    });
}

#[test]
fn an_empty_catalogue_is_one_empty_page() {
    let mut pair = Pair::new(0, Options { clips: Vec::new(), ..options() });
    let conn = pair.up(0, Offered::V1);
    let listing = page(&mut pair, conn, None);
    assert_eq!((listing.entries.len(), listing.next), (0, None));
    let listing = page(&mut pair, conn, Some("beyond"));
    assert_eq!((listing.entries.len(), listing.next), (0, None));
}

#[test]
fn a_ping_measures_the_round_trip_both_ways() {
    let mut pair = Pair::new(0, options());
    let conn = pair.up(0, Offered::V1);
    pair.run_for(SECONDS(1));
    for (who, id) in [(CLIENT, conn), (Who::Server, pair.accepted()[0])] {
        let ours = pair.conn(who, id).unwrap().ping().unwrap();
        pair.run_for(SECONDS(1));
        let rtt = pair.events(who, id).find_map(|event| match event {
            Event::Pong { request, rtt } if *request == ours => Some(*rtt),
            _ => None,
        });
        assert_eq!(rtt, Some(Duration::from_millis(20)), "{who:?}");
    }
}

#[test]
fn requests_under_way_are_limited_and_all_are_answered() {
    let mut pair = Pair::new(0, options());
    let conn = pair.up(0, Offered::V1);
    let mut handle = pair.conn(CLIENT, conn).unwrap();
    for n in 0..limits::MAX_REQUESTS {
        if n % 2 == 0 { handle.ping() } else { handle.list(None) }.unwrap();
    }
    let one_more = handle.ping();
    assert!(matches!(one_more, Err(Misuse::TooMuch { limit: limits::MAX_REQUESTS, .. })));
    pair.run_for(SECONDS(1));
    let answer = |event: &&Event| matches!(event, Event::Pong { .. } | Event::Listing(_));
    assert_eq!(pair.events(CLIENT, conn).filter(answer).count(), limits::MAX_REQUESTS);
    pair.conn(CLIENT, conn).unwrap().ping().unwrap();
}

#[test]
fn a_classic_peer_has_no_control_stream() {
    let mut pair = Pair::new(0, options());
    let conn = pair.up(0, Offered::Classic);
    let on_server = pair.accepted()[0];
    let mut handle = pair.conn(CLIENT, conn).unwrap();
    assert!(matches!(handle.list(None), Err(Misuse::ClassicPeer(_))));
    assert!(matches!(handle.ping(), Err(Misuse::ClassicPeer(_))));
    let mut handle = pair.conn(Who::Server, on_server).unwrap();
    assert!(matches!(handle.ping(), Err(Misuse::ClassicPeer(_))));
    let request = anabranch_core::media::Request::default();
    assert!(matches!(handle.open_media(request), Err(Misuse::WrongRole(_))));
}
