//! Files between two endpoints: what there is to transfer, and in which ways.

use std::time::Duration;

use anabranch_core::files::{Accept, End, Entry, Event, LimitedBy, Listed, Query, Reply};
use anabranch_core::transport::Offered;
use anabranch_core::{Code, Misuse, limits};
use anabranch_tests::apps::{FilesApp, Source};
use anabranch_tests::link::LinkConfig;
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair};

use super::options;


pub(super) const SECONDS: fn(u64) -> Duration = Duration::from_secs;
pub(super) const CLIENT: Who = Who::Client(0);
pub(super) const PIECE: u64 = 64 << 10;

/// A client that has connected, and can send these.
pub(super) fn sending(options: Options, sources: Vec<Source>) -> (Pair, anabranch_core::ConnId) {
    let mut pair = Pair::new(1, options);
    *pair.files(CLIENT) = FilesApp::with(sources);
    let conn = pair.up(0, Offered::V1);
    (pair, conn)
}

/// A client that pushes these.
pub(super) fn pushing(options: Options, sources: Vec<Source>) -> (Pair, Key) {
    let (mut pair, conn) = sending(options, sources);
    let key = pair.push(CLIENT, conn, "");
    (pair, key)
}

/// The transfer on the server's side.
pub(super) fn server_key(pair: &Pair) -> Key {
    pair.server_files.told.first().expect("the server was told of a transfer").0
}

fn assorted() -> Vec<Source> {
    vec![
        Source::folder("tree"),
        Source::file("tree/empty", 1, 0),
        Source::file("tree/one", 2, 1),
        Source::file("tree/piece", 3, PIECE),
        Source::file("tree/piece and one", 4, PIECE + 1),
        Source::file("tree/large", 5, 3_000_000),
        Source::open_ended("tree/pipe", 6, 1_000_000),
        Source::open_ended("tree/pipe of a piece", 7, PIECE),
        Source::open_ended("tree/empty pipe", 8, 0),
    ]
}

/// Who sends, and whether that side starts it.
const WAYS: [(Who, bool); 4] =
    [(CLIENT, true), (CLIENT, false), (Who::Server, true), (Who::Server, false)];

#[test]
fn every_kind_of_file_arrives_in_every_way() {
    for (sender, pushes) in WAYS {
        for loss in [0, 3] {
            let mut options = options();
            if loss > 0 {
                (options.up, options.down) = (LinkConfig::rough(loss), LinkConfig::rough(loss));
            }
            let mut pair = Pair::new(1, options);
            let receiver = if sender == CLIENT { Who::Server } else { CLIENT };
            *pair.files(sender) = FilesApp::with(assorted());
            let conn = pair.up(0, Offered::V1);
            let starter = if pushes { sender } else { receiver };
            let conn = if starter == CLIENT { conn } else { pair.accepted()[0] };
            let key =
                if pushes { pair.push(starter, conn, "") } else { pair.pull(starter, conn, "") };
            let ended = pair.file_end(starter, key, SECONDS(60));
            assert_eq!(ended.how, End::Complete, "{sender:?} {pushes} {ended:?}");
            pair.run_for(SECONDS(2));
            pair.compare(sender, receiver);
            for who in [sender, receiver] {
                let ends: Vec<_> = pair.files(who).ended.values().cloned().collect();
                let [ended] = &ends[..] else { panic!("{who:?}: {ends:?}") };
                assert_eq!(ended.how, End::Complete, "{who:?}");
                let stats = &ended.stats;
                assert_eq!((stats.entries, stats.done), (9, 9), "{stats:?}");
                assert_eq!(stats.acked, 3_000_000 + 1_000_000 + 1 + 3 * PIECE + 1);
                assert_eq!((stats.again, stats.moved), (0, stats.acked));
                let carried: u64 = stats.channels.iter().map(|channel| channel.bytes).sum();
                assert_eq!(carried, stats.moved, "{stats:?}");
            }
        }
    }
}

#[test]
fn ten_thousand_small_files_cost_few_round_trips() {
    let latency = Duration::from_millis(50);
    let link = LinkConfig { latency, ..LinkConfig::default() };
    let options = Options { up: link.clone(), down: link, ..options() };
    let files = (0..10_000).map(|n| Source::file(&format!("d/{n:05}"), n, 1_024)).collect();
    let (mut pair, key) = pushing(options, files);
    let start = pair.now();
    let ended = pair.file_end(CLIENT, key, SECONDS(60));
    let took = pair.now().since(start);
    assert_eq!((ended.how, ended.stats.done), (End::Complete, 10_000));
    assert!(took < latency * 2 * 20, "{took:?}: more than twenty round trips");
    pair.compare(CLIENT, Who::Server);
    let writes: u64 = ended.stats.channels.iter().map(|channel| channel.operations).sum();
    assert!(writes < 500, "{writes} writes for 10 000 files");
}

#[test]
fn nothing_at_all_can_be_transferred() {
    let (mut pair, key) = pushing(options(), Vec::new());
    assert_eq!(pair.file_end(CLIENT, key, SECONDS(5)).how, End::Complete);
    let key = server_key(&pair);
    assert_eq!(pair.file_end(Who::Server, key, SECONDS(5)).how, End::Complete);
}

#[test]
fn entries_that_are_not_wanted_or_cannot_be_written_stop_no_others() {
    let (mut pair, conn) = sending(options(), assorted());
    pair.server_files.habits.skips = Some("tree/large".into());
    pair.server_files.habits.unwritable = Some("tree/one".into());
    let key = pair.push(CLIENT, conn, "");
    let ended = pair.file_end(CLIENT, key, SECONDS(30));
    assert_eq!(ended.how, End::Complete);
    let stats = ended.stats;
    assert_eq!((stats.done, stats.skipped, stats.failed), (7, 1, 1));
    let failed = pair.client_files[0].failures();
    assert!(matches!(failed[..], [(_, Code::Denied, true)]), "{failed:?}");
    let skipped = |(_, event): &&(Key, Event)| matches!(event, Event::Skipped { .. });
    assert_eq!(pair.client_files[0].told.iter().filter(skipped).count(), 1);
    pair.client_files[0].sources.retain(|name, _| name != "tree/large" && name != "tree/one");
    pair.compare(CLIENT, Who::Server);
}

#[test]
fn names_are_judged_by_the_receiver() {
    use anabranch_core::files::Names;
    let names = ["aux.c", "12:30.log", "dots..", "fine"];
    for (policy, stored) in [
        (Names::Portable, vec!["fine"]),
        (Names::Native, vec!["12:30.log", "aux.c", "dots..", "fine"]),
        (Names::MakeSafe, vec!["12_30.log", "_aux.c", "dots__", "fine"]),
    ] {
        let sources = names.iter().map(|name| Source::file(name, 1, 10)).collect();
        let (mut pair, conn) = sending(options(), sources);
        pair.server_files.habits.accept = Accept { names: policy, ..Accept::default() };
        let key = pair.push(CLIENT, conn, "");
        let ended = pair.file_end(CLIENT, key, SECONDS(10));
        assert_eq!(ended.stats.done, stored.len() as u64, "{policy:?}");
        let on_disk: Vec<_> = pair.server_files.disk.files.keys().cloned().collect();
        assert_eq!(on_disk, stored, "{policy:?}");
        let unusable = |(_, event): &&(Key, Event)| matches!(event, Event::Unusable { .. });
        let refused = pair.server_files.told.iter().filter(unusable).count();
        assert_eq!(refused, names.len() - stored.len(), "{policy:?}");
    }
}

#[test]
fn a_folder_is_listed_page_by_page() {
    let mut pair = Pair::new(1, options());
    let sources = (0..500).map(|n| Source::file(&format!("d/{n:0>150}"), n, n)).collect();
    pair.server_files = FilesApp::with(sources);
    let conn = pair.up(0, Offered::V1);
    let (mut after, mut names) = (String::new(), Vec::new());
    loop {
        let query = Query::List { folder: "d".into(), after, most: 300 };
        let asked = pair.conn(CLIENT, conn).unwrap().ask_files(query).unwrap();
        let ended = pair.file_end(CLIENT, (conn, asked), SECONDS(5));
        assert_eq!(ended.how, End::Complete);
        let told = &pair.client_files[0].told;
        let reply = told.iter().find_map(|(key, event)| match event {
            Event::Replied(reply) if key.1 == asked => Some(reply.clone()),
            _ => None,
        });
        let Some(Reply::Listing { entries, more }) = reply else { panic!("{reply:?}") };
        let name = |listed: &Listed| match listed {
            Listed::Entry(entry) => entry.name.clone(),
            Listed::Other(name) => name.clone(),
        };
        names.extend(entries.iter().map(name));
        after = names.last().unwrap().clone();
        if !more {
            break;
        }
    }
    assert_eq!(names.len(), 500);
    assert!(names.is_sorted());
    let query = Query::Remove { names: vec!["d".into()] };
    let asked = pair.conn(CLIENT, conn).unwrap().ask_files(query).unwrap();
    pair.file_end(CLIENT, (conn, asked), SECONDS(5));
    let told = &pair.client_files[0].told;
    let denied = |(_, event): &(Key, Event)| {
        matches!(event, Event::Replied(Reply::Refused { code: Code::Denied, .. }))
    };
    assert!(told.iter().any(denied));
}

#[test]
fn there_are_only_so_many_transfers_at_once() {
    let (mut pair, conn) = sending(options(), vec![Source::file("a", 1, 10)]);
    pair.server_files.habits.silent = true;
    let keys: Vec<Key> = (0..limits::MAX_TRANSFERS).map(|_| pair.push(CLIENT, conn, "")).collect();
    let more =
        pair.conn(CLIENT, conn).unwrap().ask_files(Query::Transfers { after: None, most: 1 });
    assert!(matches!(more, Err(Misuse::TooMuch { what: "transfers", .. })), "{more:?}");
    pair.run_for(SECONDS(1));
    pair.with_files(CLIENT, keys[0], |files| files.cancel(Code::Cancelled, "")).unwrap();
    pair.run_for(SECONDS(1));
    pair.server_files.habits.silent = false;
    let key = pair.push(CLIENT, conn, "");
    assert_eq!(pair.file_end(CLIENT, key, SECONDS(5)).how, End::Complete);
}

#[test]
fn a_classic_connection_has_no_files() {
    let mut pair = Pair::new(1, options());
    let conn = pair.up(0, Offered::Classic);
    let asked =
        pair.conn(CLIENT, conn).unwrap().ask_files(Query::Transfers { after: None, most: 1 });
    assert!(matches!(asked, Err(Misuse::ClassicPeer(_))), "{asked:?}");
}

#[test]
fn so_many_streams_carry_it_as_are_asked_for() {
    for streams in [1, 2, 5, limits::MAX_DATA_STREAMS] {
        let link = LinkConfig { bytes_per_second: Some(5_000_000), ..LinkConfig::default() };
        let options = Options { up: link.clone(), down: link, ..options() };
        let (mut pair, key) = pushing(options, vec![Source::file("a", 1, 4_000_000)]);
        pair.with_files(CLIENT, key, |files| files.set_streams(Some(streams))).unwrap();
        let ended = pair.file_end(CLIENT, key, SECONDS(30));
        assert_eq!(ended.how, End::Complete);
        assert_eq!(ended.stats.channels.len(), streams);
        let bytes: Vec<u64> = ended.stats.channels.iter().map(|channel| channel.bytes).collect();
        let share = 4_000_000 / streams as u64;
        assert!(bytes.iter().all(|bytes| (share / 3..=share * 2).contains(bytes)), "{bytes:?}");
    }
}

#[test]
fn it_finds_out_what_it_is_limited_by() {
    let slow = LinkConfig { bytes_per_second: Some(1_000_000), ..LinkConfig::default() };
    let cases: [(LimitedBy, LimitedBy); 4] = [
        (LimitedBy::Network, LimitedBy::Network),
        (LimitedBy::Source, LimitedBy::Network),
        (LimitedBy::Sink, LimitedBy::Sink),
        (LimitedBy::Limit, LimitedBy::Network),
    ];
    for (by, seen_by_receiver) in cases {
        let mut options = options();
        if by == LimitedBy::Network {
            (options.up, options.down) = (slow.clone(), slow.clone());
        }
        let (mut pair, conn) = sending(options, vec![Source::file("a", 1, 8_000_000)]);
        if by == LimitedBy::Source {
            pair.client_files[0].habits.read_delay = Duration::from_millis(300);
        }
        if by == LimitedBy::Sink {
            pair.server_files.habits.store_delay = Duration::from_millis(500);
        }
        let key = pair.push(CLIENT, conn, "");
        if by == LimitedBy::Limit {
            let limit = |files: &mut anabranch_core::Files<'_>| files.set_limit(Some(2_000_000));
            pair.with_files(CLIENT, key, limit).unwrap();
        }
        let ended = pair.file_end(CLIENT, key, SECONDS(60));
        assert_eq!(ended.stats.limited.main(), Some(by), "{:?}", ended.stats);
        let key = server_key(&pair);
        let ended = pair.file_end(Who::Server, key, SECONDS(5));
        assert_eq!(ended.stats.limited.main(), Some(seen_by_receiver), "{:?}", ended.stats);
    }
}

#[test]
fn entries_that_cannot_be_sent_are_misuse() {
    let (mut pair, key) = pushing(options(), Vec::new());
    let of = |name: &str| Entry::file(name, Some(1));
    let early = pair.with_files(CLIENT, key, |files| files.supply_entries(vec![of("a")], true));
    assert!(matches!(early, Err(Misuse::NotWanted { .. })), "{early:?}");
    let large = Entry::file("large", Some(limits::MAX_FILE + 1));
    let mut tried = false;
    pair.must("entries are wanted", SECONDS(5), |pair| !pair.client_files[0].told.is_empty());
    // The application has answered with nothing; what follows is too late.
    for entry in [of("../a"), of("/a"), of(""), large] {
        let late = pair.with_files(CLIENT, key, |files| files.supply_entries(vec![entry], true));
        tried |= late.is_err();
    }
    assert!(tried);
    let conn = key.0;
    let bad =
        Query::List { folder: "x".repeat(limits::MAX_PATH + 1), after: String::new(), most: 1 };
    let bad = pair.conn(CLIENT, conn).unwrap().ask_files(bad);
    assert!(matches!(bad, Err(Misuse::Config(_))), "{bad:?}");
}
