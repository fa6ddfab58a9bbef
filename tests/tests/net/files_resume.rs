//! Files between two endpoints: lost connections, other processes, and what is not sent again.

use std::time::Duration;

use anabranch_core::Code;
use anabranch_core::files::{End, Event};
use anabranch_core::transport::Offered;
use anabranch_tests::apps::Source;
use anabranch_tests::link::LinkConfig;
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair};


use super::files::{CLIENT, PIECE, SECONDS, pushing, sending};
use super::options;

fn slow() -> Options {
    let link = LinkConfig { bytes_per_second: Some(2_000_000), ..LinkConfig::default() };
    Options { up: link.clone(), down: link, ..options() }
}

fn large() -> Vec<Source> {
    vec![Source::file("a", 1, 1_500_000), Source::file("b", 2, 40 * PIECE)]
}

/// The connection is cut, and taken up again.
fn reconnect(pair: &mut Pair, key: Key, restart: bool) -> Key {
    if restart {
        pair.restart_server();
        // The client notices when the new server answers for the old one.
        pair.must("the client notices", SECONDS(60), |pair| pair.closed(CLIENT, key.0).is_some());
    } else {
        pair.conn(CLIENT, key.0).unwrap().close(Code::None, "");
        pair.run_for(Duration::from_millis(200));
    }
    let ended = &pair.client_files[0].ended[&key];
    assert_eq!(ended.how, End::ConnectionLost);
    let conn = pair.up(0, Offered::V1);
    pair.push(CLIENT, conn, "")
}

#[test]
fn after_a_cut_at_any_time_only_what_is_missing_is_sent() {
    for restart in [false, true] {
        for ms in (100..2_200).step_by(300) {
            let (mut pair, key) = pushing(slow(), large());
            pair.run_for(Duration::from_millis(ms));
            if pair.client_files[0].ended.contains_key(&key) {
                break;
            }
            let before = pair.file_stats(CLIENT, key);
            let key = reconnect(&mut pair, key, restart);
            let ended = pair.file_end(CLIENT, key, SECONDS(30));
            assert_eq!((ended.how, ended.stats.done), (End::Complete, 2), "{ms} ms");
            let stats = ended.stats;
            let total = 1_500_000 + 40 * PIECE;
            assert_eq!(stats.kept + stats.moved, total, "{ms} ms: {stats:?}");
            assert!(stats.kept >= before.acked, "{ms} ms: acknowledged and sent again");
            assert!(stats.moved <= total - before.acked, "{ms} ms: sent again");
            pair.compare(CLIENT, Who::Server);
        }
    }
}

#[test]
fn what_is_complete_is_not_sent_again() {
    let (mut pair, key) = pushing(options(), large());
    pair.file_end(CLIENT, key, SECONDS(30));
    let again = pair.push(CLIENT, key.0, "");
    let ended = pair.file_end(CLIENT, again, SECONDS(30));
    assert_eq!((ended.how, ended.stats.done), (End::Complete, 2));
    assert_eq!((ended.stats.moved, ended.stats.kept), (0, 1_500_000 + 40 * PIECE));
    pair.compare(CLIENT, Who::Server);
}

#[test]
fn a_partial_file_of_another_version_is_noticed() {
    for trusting in [false, true] {
        let (mut pair, key) = pushing(slow(), large());
        pair.run_for(Duration::from_millis(1_200));
        // Another version, with the same size; from piece 9 on it is the same.
        pair.conn(CLIENT, key.0).unwrap().close(Code::None, "");
        pair.run_for(Duration::from_millis(200));
        let mut old = pair.server_files.disk.files["a"].clone();
        assert!(old.journal.len() > 12, "{}", old.journal.len());
        for piece in 0..9u64 {
            let at = (piece * PIECE) as usize;
            old.bytes[at] ^= 1;
            let bytes = &old.bytes[at..at + PIECE as usize];
            old.journal.insert(piece, anabranch_core::files::hash::piece(bytes));
        }
        // Two ranges: one that is other, and one that is the same.
        old.journal.remove(&9);
        old.placed = None;
        old.fingerprint = [1; 32];
        let kept = (old.journal.len() as u64 - 9) * PIECE;
        pair.server_files.disk.files.insert("a".into(), old);
        pair.server_files.disk.files.remove("b");
        pair.server_files.habits.trusting = trusting;
        let conn = pair.up(0, Offered::V1);
        let key = pair.push(CLIENT, conn, "a");
        let ended = pair.file_end(CLIENT, key, SECONDS(30));
        assert_eq!((ended.how, ended.stats.done), (End::Complete, 1));
        let stale = pair.server_files.told.iter().find_map(|(_, event)| match event {
            Event::Stale { file, first, count } => Some((*file, *first, *count)),
            _ => None,
        });
        assert_eq!(stale, trusting.then_some((0, 0, 9)));
        let expected = if trusting { kept.min(1_500_000 - 10 * PIECE) } else { 0 };
        assert_eq!(ended.stats.kept, expected);
        pair.client_files[0].sources.remove("b");
        pair.compare(CLIENT, Who::Server);
    }
}

#[test]
fn a_server_that_restarts_in_the_middle_of_a_pull_is_asked_again() {
    let mut pair = Pair::new(1, slow());
    pair.server_files = anabranch_tests::apps::FilesApp::with(large());
    let conn = pair.up(0, Offered::V1);
    let key = pair.pull(CLIENT, conn, "");
    pair.run_for(SECONDS(1));
    pair.restart_server();
    pair.must("the client notices", SECONDS(60), |pair| pair.closed(CLIENT, conn).is_some());
    let before = pair.client_files[0].ended[&key].clone();
    assert_eq!(before.how, End::ConnectionLost);
    assert!(before.stats.acked > 0);
    let conn = pair.up(0, Offered::V1);
    let key = pair.pull(CLIENT, conn, "");
    let ended = pair.file_end(CLIENT, key, SECONDS(30));
    assert_eq!(ended.how, End::Complete);
    assert_eq!(ended.stats.kept, before.stats.acked);
    pair.compare(Who::Server, CLIENT);
}

#[test]
fn a_client_that_moves_goes_on() {
    let (mut pair, conn) = sending(slow(), large());
    let key = pair.push(CLIENT, conn, "");
    for _ in 0..3 {
        pair.run_for(Duration::from_millis(400));
        pair.migrate(0, conn).unwrap();
    }
    let ended = pair.file_end(CLIENT, key, SECONDS(60));
    assert_eq!((ended.how, ended.stats.again), (End::Complete, 0));
    pair.compare(CLIENT, Who::Server);
}
