//! Files between two endpoints: what goes wrong, and who is told.

use std::time::Duration;

use anabranch_core::files::{End, Event, Query, Reply};
use anabranch_core::{Code, ConnId, Files, limits};
use anabranch_tests::apps::{FilesApp, Source};
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::Pair;

use super::files::{CLIENT, PIECE, SECONDS, pushing, sending, server_key};
use super::options;

fn three() -> Vec<Source> {
    vec![
        Source::file("a", 1, 500_000),
        Source::file("b", 2, 500_000),
        Source::file("c", 3, 500_000),
    ]
}

/// What happened to `b`, the second file; the others arrived.
#[track_caller]
fn only_b_fails(pair: &mut Pair, key: Key, code: Code) {
    let ended = pair.file_end(CLIENT, key, SECONDS(30));
    assert_eq!(ended.how, End::Complete);
    assert_eq!((ended.stats.done, ended.stats.failed), (2, 1));
    for who in [CLIENT, Who::Server] {
        let failures = pair.files(who).failures();
        assert!(matches!(failures[..], [(1, c, _)] if c == code), "{who:?}: {failures:?}");
    }
    pair.client_files[0].sources.remove("b");
    pair.compare(CLIENT, Who::Server);
}

#[test]
fn a_piece_that_is_damaged_is_sent_again() {
    for times in 1..limits::MAX_PIECE_TRIES {
        let (mut pair, conn) = sending(options(), three());
        pair.server_files.habits.damaged.insert(("b".into(), 3), times);
        let key = pair.push(CLIENT, conn, "");
        let ended = pair.file_end(CLIENT, key, SECONDS(30));
        assert_eq!((ended.how, ended.stats.done), (End::Complete, 3));
        assert_eq!(ended.stats.again, u64::from(times) * PIECE);
        let wrong =
            |(_, event): &&(Key, Event)| matches!(event, Event::Wrong { file: 1, piece: 3 });
        assert_eq!(pair.server_files.told.iter().filter(wrong).count(), times as usize);
        pair.compare(CLIENT, Who::Server);
    }
}

#[test]
fn a_piece_that_stays_damaged_fails_its_file_alone() {
    let (mut pair, conn) = sending(options(), three());
    pair.server_files.habits.damaged.insert(("b".into(), 3), limits::MAX_PIECE_TRIES);
    let key = pair.push(CLIENT, conn, "");
    only_b_fails(&mut pair, key, Code::Integrity);
}

#[test]
fn a_file_with_many_wrong_pieces_is_given_up() {
    // The first ones are right, so that many are on their way when the others come.
    let right = 250;
    let pieces = right + limits::MAX_WRONG_PIECES as u64 + 1;
    let sources = vec![Source::file("b", 2, pieces * PIECE)];
    let (mut pair, conn) = sending(options(), sources);
    pair.server_files.habits.store_delay = Duration::from_millis(200);
    for piece in right..pieces {
        pair.server_files.habits.damaged.insert(("b".into(), piece), 1);
    }
    let key = pair.push(CLIENT, conn, "");
    let ended = pair.file_end(CLIENT, key, SECONDS(60));
    assert_eq!((ended.how, ended.stats.failed), (End::Complete, 1));
    let failures = pair.server_files.failures();
    assert!(matches!(failures[..], [(0, Code::Integrity, false)]), "{failures:?}");
}

#[test]
fn a_source_that_changes_is_noticed_in_every_way() {
    type Change = fn(&mut Source);
    let changes: [(&str, Change); 4] = [
        ("it is shorter", |source| source.clip.len -= 1),
        ("it is empty", |source| source.clip.len = 0),
        ("it is shorter by pieces", |source| source.clip.len -= 3 * PIECE),
        ("its content id is of another file", |source| source.entry.root = Some([1; 32])),
    ];
    for (what, change) in changes {
        let mut sources = three();
        change(&mut sources[1]);
        let (mut pair, key) = pushing(options(), sources);
        println!("{what}");
        only_b_fails(&mut pair, key, Code::SourceChanged);
    }
    // It gives other bytes when a piece is wanted again.
    let (mut pair, conn) = sending(options(), three());
    pair.server_files.habits.damaged.insert(("b".into(), 3), 1);
    pair.server_files.habits.store_delay = Duration::from_millis(200);
    let key = pair.push(CLIENT, conn, "");
    pair.must("all of it is wanted", SECONDS(5), |pair| pair.client_files[0].wanted >= 24);
    pair.client_files[0].sources.get_mut("b").unwrap().rewritten_from = Some(0);
    only_b_fails(&mut pair, key, Code::SourceChanged);
}

#[test]
fn either_side_can_give_up_a_file_at_any_time() {
    for who in [CLIENT, Who::Server] {
        for ms in (0..250).step_by(17) {
            let (mut pair, conn) = sending(options(), three());
            pair.server_files.habits.store_delay = Duration::from_millis(20);
            let key = pair.push(CLIENT, conn, "");
            pair.run_for(Duration::from_millis(ms));
            let at = if who == CLIENT {
                key
            } else {
                pair.must("told", SECONDS(1), |pair| !pair.server_files.told.is_empty());
                server_key(&pair)
            };
            let gone = pair.with_files(who, at, |files| files.fail(1, Code::Io, "enough")).is_err();
            let ended = pair.file_end(CLIENT, key, SECONDS(30));
            assert_eq!(ended.how, End::Complete, "{who:?} after {ms} ms: {ended:?}");
            let at = server_key(&pair);
            let other = pair.file_end(Who::Server, at, SECONDS(5));
            assert_eq!(other.how, End::Complete, "{who:?} after {ms} ms");
            let counts = (ended.stats.done, ended.stats.failed);
            assert_eq!(counts, if gone { (3, 0) } else { (2, 1) }, "{who:?} after {ms} ms");
        }
    }
}

#[test]
fn offers_and_requests_are_refused_with_a_reason() {
    for pull in [false, true] {
        let (mut pair, conn) = sending(options(), three());
        pair.server_files = FilesApp::with(three());
        pair.server_files.habits.refuses = Some(Code::Denied);
        let key = if pull { pair.pull(CLIENT, conn, "a") } else { pair.push(CLIENT, conn, "") };
        let ended = pair.file_end(CLIENT, key, SECONDS(5));
        assert_eq!(ended.how, End::Peer(Code::Denied, "not here".into()));
        let key = server_key(&pair);
        let ended = pair.file_end(Who::Server, key, SECONDS(5));
        assert_eq!(ended.how, End::Local(Code::Denied));
        // The connection goes on.
        pair.server_files.habits.refuses = None;
        let key = pair.push(CLIENT, conn, "a");
        assert_eq!(pair.file_end(CLIENT, key, SECONDS(5)).how, End::Complete);
    }
    let (mut pair, conn) = sending(options(), Vec::new());
    let key = pair.pull(CLIENT, conn, "nothing");
    let ended = pair.file_end(CLIENT, key, SECONDS(5));
    assert!(matches!(ended.how, End::Peer(Code::NotFound, _)), "{ended:?}");
}

/// Asks for a page of transfers.
fn ask(pair: &mut Pair, conn: ConnId) -> Key {
    let query = Query::Transfers { after: None, most: 1 };
    (conn, pair.conn(CLIENT, conn).unwrap().ask_files(query).unwrap())
}

fn answer(pair: &mut Pair, asked: Key) -> Reply {
    assert_eq!(pair.file_end(CLIENT, asked, SECONDS(5)).how, End::Complete);
    let told = &pair.client_files[0].told;
    let reply = told.iter().find_map(|(key, event)| match event {
        Event::Replied(reply) if *key == asked => Some(reply.clone()),
        _ => None,
    });
    reply.expect("an answer")
}

#[test]
fn questions_are_refused_with_an_answer() {
    let (mut pair, conn) = sending(options(), three());
    pair.server_files.habits.refuses = Some(Code::Refused);
    let refusal = Reply::Refused { code: Code::Refused, reason: "not here".into() };
    let asked = ask(&mut pair, conn);
    assert_eq!(answer(&mut pair, asked), refusal);
    let key = server_key(&pair);
    let ended = pair.file_end(Who::Server, key, SECONDS(5));
    assert_eq!(ended.how, End::Local(Code::Refused));
}

#[test]
fn either_side_can_cancel_at_any_time() {
    for who in [CLIENT, Who::Server] {
        for ms in (0..250).step_by(17) {
            let (mut pair, conn) = sending(options(), three());
            pair.server_files.habits.store_delay = Duration::from_millis(20);
            let key = pair.push(CLIENT, conn, "");
            pair.run_for(Duration::from_millis(ms));
            pair.must("told", SECONDS(1), |pair| !pair.server_files.told.is_empty());
            let (at, other) = match who {
                Who::Server => (server_key(&pair), CLIENT),
                Who::Client(_) => (key, Who::Server),
            };
            let cancel = |files: &mut Files<'_>| files.cancel(Code::Cancelled, "enough");
            let done = pair.with_files(who, at, cancel);
            let other_key = if other == CLIENT { key } else { server_key(&pair) };
            let ended = pair.file_end(who, at, SECONDS(5)).how;
            let seen = pair.file_end(other, other_key, SECONDS(5)).how;
            if done.is_ok() {
                assert_eq!(ended, End::Local(Code::Cancelled), "after {ms} ms");
                // It may have been complete there before.
                let expected = End::Peer(Code::Cancelled, "enough".into());
                assert!(seen == expected || seen == End::Complete, "after {ms} ms: {seen:?}");
            } else {
                assert_eq!((ended, seen), (End::Complete, End::Complete), "after {ms} ms");
            }
            // The connection goes on, and so does what is transferred on it.
            let again = pair.push(CLIENT, conn, "");
            let ended = pair.file_end(CLIENT, again, SECONDS(10));
            assert_eq!(ended.how, End::Complete, "{who:?} after {ms} ms");
        }
    }
}

#[test]
fn a_host_that_shuts_down_lets_run_what_runs_and_refuses_what_is_new() {
    let (mut pair, conn) = sending(options(), three());
    pair.server_files.habits.store_delay = Duration::from_millis(300);
    let key = pair.push(CLIENT, conn, "");
    pair.run_for(Duration::from_millis(200));
    let late = pair.push(CLIENT, conn, "");
    let asked = ask(&mut pair, conn);
    let now = pair.now();
    pair.endpoint(Who::Server).drain(now, SECONDS(20));
    let ended = pair.file_end(CLIENT, late, SECONDS(10));
    assert!(matches!(ended.how, End::Peer(Code::GoingAway, _)), "{ended:?}");
    let reply = answer(&mut pair, asked);
    assert!(matches!(reply, Reply::Refused { code: Code::GoingAway, .. }), "{reply:?}");
    let ended = pair.file_end(CLIENT, key, SECONDS(10));
    assert_eq!(ended.how, End::Complete);
    pair.compare(CLIENT, Who::Server);
}
