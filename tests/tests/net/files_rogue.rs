//! Peers that do not keep to `docs/protocol.md`, rules AB-F*.

use anabranch_core::files::block::Head;
use anabranch_core::files::message::entries::Parsed;
use anabranch_core::files::message::{Message, Parsed as Read, Verdict};
use anabranch_core::files::{End, Entry, Event, Existing, Hash, Token, hash};
use anabranch_core::id::{Dir, StreamId};
use anabranch_core::transport::Offered;
use anabranch_core::wire::varint;
use anabranch_core::{Code, Violation, limits};
use anabranch_tests::apps::{FilesApp, Source};
use anabranch_tests::pair::Pair;

use super::files::{PIECE, SECONDS};
use super::options;

/// A rogue that is connected, and has greeted.
pub(super) fn rogue() -> Pair {
    let mut pair = Pair::new(1, options());
    pair.server_files = FilesApp::with(vec![
        Source::file("s/a", 1, 300_000),
        Source::file("s/b", 2, 10),
        Source::folder("s/c"),
    ]);
    pair.add_rogue(Offered::V1);
    pair.must("up", SECONDS(5), |pair| pair.rogues[0].up);
    // The control stream: HELLO with versions 1 to 1.
    pair.rogues[0].open_typed(0, &[0, 2, 1, 1], false);
    pair.run_for(SECONDS(1));
    assert_eq!(pair.rogues[0].down, None);
    pair
}

pub(super) fn encode(messages: &[Message]) -> Vec<u8> {
    messages.iter().flat_map(Message::encode).collect()
}

pub(super) fn offer() -> Message {
    Message::Offer {
        token: Token([1; 16]),
        entries: None,
        bytes: None,
        label: String::new(),
        target: String::new(),
        existing: Existing::default(),
    }
}

pub(super) fn entry(name: &str, size: u64) -> Entry {
    Entry { piece: 64 << 10, ..Entry::file(name, Some(size)) }
}

pub(super) fn page(first: u32, last: bool, entries: Vec<Entry>) -> Message {
    Message::Entries { first, last, entries: entries.into_iter().map(Parsed::Known).collect() }
}

pub(super) fn request(names: &[&str], window: u64) -> Message {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Message::Request { token: Token([2; 16]), window, names }
}

/// Says the first message, waits for the answer, and says the others.
pub(super) fn say(pair: &mut Pair, messages: &[Message]) -> StreamId {
    let id = pair.rogues[0].open_typed(3, &encode(&messages[..1]), false);
    pair.run_for(SECONDS(1));
    pair.rogues[0].write(id, &encode(&messages[1..]), false);
    id
}

/// A data stream with one block.
fn block(control: StreamId, file: u32, piece: u64, bytes: &[u8], hash: Hash) -> Vec<u8> {
    let mut out = Vec::new();
    varint::put(&mut out, 4);
    varint::put(&mut out, control.0);
    let len = u32::try_from(bytes.len()).unwrap();
    Head { file, piece, len, hash }.encode(&mut out);
    out.extend_from_slice(bytes);
    out
}

/// How the server's side of the only transfer ended, and that its connection goes on.
#[track_caller]
pub(super) fn ends(pair: &mut Pair, what: &str) -> End {
    pair.run_for(SECONDS(3));
    let ended: Vec<End> = pair.server_files.ended.values().map(|e| e.how.clone()).collect();
    let [how] = &ended[..] else { panic!("{what}: {ended:?}") };
    assert_eq!(pair.rogues[0].down, None, "{what}: the connection goes on");
    // And it still serves files.
    pair.server_files.ended.clear();
    let told = pair.server_files.told.len();
    pair.rogues[0].open_typed(3, &encode(&[offer()]), false);
    pair.run_for(SECONDS(1));
    assert!(pair.server_files.told.len() > told, "{what}: nothing works after it");
    how.clone()
}

#[track_caller]
fn violates(messages: &[Message], rule: Violation) {
    let mut pair = rogue();
    let id = say(&mut pair, messages);
    let how = ends(&mut pair, &format!("{messages:?}"));
    assert_eq!(how, End::Violation(rule), "{messages:?}");
    let received = pair.rogues[0].received(id);
    assert_eq!(received.end, Some(Err(rule.code())), "{messages:?}");
}

fn take(file: u32, haves: Vec<(u64, u64, Hash)>) -> Message {
    Message::Answer { file, verdict: Verdict::Take(haves) }
}

#[test]
fn senders_that_break_a_rule_lose_their_transfer_and_nothing_else() {
    let begun = |more: Vec<Message>| {
        let mut all = vec![offer(), page(0, false, vec![entry("a", 300_000), Entry::folder("d")])];
        all.extend(more);
        all
    };
    let range = Violation::FileRange;
    let none = [0; 32];
    violates(&[offer(), offer()], Violation::FileOrder(0));
    violates(&[offer(), Message::Accept { window: 1 << 20 }], Violation::FileOrder(2));
    violates(&[offer(), request(&["a"], 1 << 20)], Violation::FileOrder(1));
    violates(&[offer(), take(0, vec![])], Violation::FileOrder(4));
    violates(&[offer(), Message::Got { digest: none }], Violation::FileOrder(17));
    violates(&[offer(), Message::Limit { rate: 1 }], Violation::FileOrder(13));
    violates(&begun(vec![page(0, false, vec![entry("b", 1)])]), range);
    violates(&begun(vec![page(3, false, vec![entry("b", 1)])]), range);
    violates(&begun(vec![page(2, false, vec![])]), range);
    violates(&begun(vec![page(2, true, vec![]), page(2, true, vec![])]), range);
    violates(&begun(vec![Message::Checked { file: 0, have: 0, same: true }]), range);
    violates(&begun(vec![Message::Checked { file: 9, have: 0, same: true }]), range);
    violates(&begun(vec![Message::FileEnd { file: 0, size: 1, root: none }]), range);
    let end = Message::FileEnd { file: 0, size: 300_000, root: none };
    violates(&begun(vec![end.clone(), end]), range);
    let unknown = Message::FileEnd { file: 7, size: 1, root: none };
    violates(&begun(vec![unknown]), Violation::FileOrder(8));
    let failed = Message::FileFailed { file: 7, code: Code::Io, reason: String::new() };
    violates(&begun(vec![failed]), Violation::FileOrder(10));
    violates(&begun(vec![Message::Done { entries: 2, digest: none }]), Violation::FileDigest);
    violates(
        &[offer(), page(0, true, vec![]), Message::Done { entries: 0, digest: none }],
        Violation::FileDigest,
    );
}

#[test]
fn receivers_that_break_a_rule_lose_their_transfer_and_nothing_else() {
    // The server's sources: 0 is a file of five pieces, 1 is a small one, 2 is a folder.
    let begun = |more: Vec<Message>| {
        let mut all = vec![request(&["s"], 1 << 20)];
        all.extend(more);
        all
    };
    // What comes before the server's entries are out is about entries that were not announced;
    // so these come in two steps.
    let range = Violation::FileRange;
    let cases: Vec<(Vec<Message>, Violation)> = vec![
        (vec![request(&["s"], 1 << 20)], Violation::FileOrder(1)),
        (vec![Message::Accept { window: 1 }], Violation::FileOrder(2)),
        (vec![offer()], Violation::FileOrder(0)),
        (vec![Message::Got { digest: [0; 32] }], Violation::FileOrder(17)),
        (vec![take(9, vec![])], range),
        (vec![take(1, vec![]), take(1, vec![])], range),
        (vec![take(0, vec![(0, 0, [0; 32])])], range),
        (vec![take(0, vec![(0, 6, [0; 32])])], range),
        (vec![take(0, vec![(u64::MAX >> 2, 1, [0; 32])])], range),
        (vec![take(0, vec![(2, 1, [0; 32]), (1, 1, [0; 32])])], range),
        (vec![take(2, vec![(0, 1, [0; 32])])], range),
        (vec![Message::Stored { backlog: 0, ranges: vec![(0, 0, 1)] }], range),
        (vec![Message::Stored { backlog: 0, ranges: vec![(9, 0, 1)] }], range),
        (vec![Message::Stored { backlog: 0, ranges: vec![(0, 1 << 40, 1 << 61)] }], range),
        (vec![Message::Again { file: 0, piece: 0 }], range),
        (vec![Message::FileDone { ranges: vec![(0, 1)] }], range),
        (vec![Message::FileDone { ranges: vec![(0, u32::MAX)] }], range),
        (vec![Message::FileFailed { file: 9, code: Code::Io, reason: String::new() }], range),
        (
            vec![
                Message::Answer { file: 1, verdict: Verdict::Skip },
                Message::Answer { file: 1, verdict: Verdict::Skip },
            ],
            range,
        ),
    ];
    for (messages, rule) in cases {
        let mut pair = rogue();
        let id = pair.rogues[0].open_typed(3, &encode(&begun(vec![])), false);
        pair.run_for(SECONDS(1));
        pair.rogues[0].write(id, &encode(&messages), false);
        let how = ends(&mut pair, &format!("{messages:?}"));
        assert_eq!(how, End::Violation(rule), "{messages:?}");
    }
}

#[test]
fn first_messages_that_begin_nothing_are_refused_without_a_word_to_the_application() {
    for message in [
        Message::Resume,
        Message::Accept { window: 1 },
        Message::Got { digest: [0; 32] },
        Message::Cancel { code: Code::None, reason: String::new() },
    ] {
        let mut pair = rogue();
        let id = pair.rogues[0].open_typed(3, &message.encode(), false);
        pair.run_for(SECONDS(1));
        assert_eq!(pair.server_files.told, []);
        assert_eq!(pair.rogues[0].received(id).end, Some(Err(Code::Violation)));
    }
    let mut pair = rogue();
    let mut long = Vec::new();
    varint::put(&mut long, 0);
    varint::put(&mut long, limits::MAX_FILE_MESSAGE as u64 + 1);
    let id = pair.rogues[0].open_typed(3, &long, false);
    pair.run_for(SECONDS(1));
    assert_eq!(pair.rogues[0].received(id).end, Some(Err(Code::Limit)));
    // Nothing at all, and then the end.
    let empty = pair.rogues[0].open_typed(3, &[], true);
    pair.run_for(SECONDS(1));
    assert!(pair.rogues[0].received(empty).end.is_some());
    assert_eq!(pair.rogues[0].down, None);
}

/// A transfer of one file of three pieces, accepted, and its control stream.
pub(super) fn receiving() -> (Pair, StreamId) {
    let mut pair = rogue();
    let messages = [offer(), page(0, true, vec![entry("a", 2 * PIECE + 5)])];
    let id = say(&mut pair, &messages);
    pair.run_for(SECONDS(1));
    (pair, id)
}

#[test]
fn blocks_that_break_a_rule_end_the_transfer() {
    let whole = vec![3; 64 << 10];
    let right = hash::piece(&whole);
    let range = Violation::FileRange;
    let cases: Vec<(&str, u32, u64, &[u8], Violation)> = vec![
        ("a file that was not announced", 1, 0, &whole, range),
        ("a piece behind the end", 0, 3, &[1], range),
        ("a piece far behind the end", 0, varint::MAX, &[1], range),
        ("a piece that is too short", 0, 0, &whole[1..], range),
        ("a last piece that is too long", 0, 2, &[0; 6], range),
        ("no bytes", 0, 0, &[], range),
    ];
    for (what, file, piece, bytes, rule) in cases {
        let (mut pair, control) = receiving();
        let stream = block(control, file, piece, bytes, right);
        pair.rogues[0].open(Dir::Uni, &stream, false);
        assert_eq!(ends(&mut pair, what), End::Violation(rule), "{what}");
    }
    // The same piece on two streams, and one that is stored.
    for wait in [0, 1] {
        let (mut pair, control) = receiving();
        let one = block(control, 0, 0, &whole, right);
        pair.rogues[0].open(Dir::Uni, &one, false);
        pair.run_for(SECONDS(wait));
        pair.rogues[0].open(Dir::Uni, &one, false);
        assert_eq!(ends(&mut pair, "twice"), End::Violation(range));
    }
    // A piece longer than any.
    let (mut pair, control) = receiving();
    let mut long = Vec::new();
    varint::put(&mut long, 4);
    varint::put(&mut long, control.0);
    Head { file: 0, piece: 0, len: u32::MAX, hash: right }.encode(&mut long);
    pair.rogues[0].open(Dir::Uni, &long, false);
    let how = ends(&mut pair, "long");
    assert_eq!(how, End::Violation(Violation::FileLimit("bytes of a piece")));
}

#[test]
fn data_streams_that_end_too_early_or_belong_nowhere() {
    let whole = vec![3; 64 << 10];
    let (pair, control) = receiving();
    drop(pair);
    let full = block(control, 0, 0, &whole, hash::piece(&whole));
    for cut in [3, 10, full.len() - 1] {
        let (mut pair, control) = receiving();
        let stream = block(control, 0, 0, &whole, hash::piece(&whole));
        pair.rogues[0].open(Dir::Uni, &stream[..cut], true);
        let how = ends(&mut pair, "cut");
        assert_eq!(how, End::Violation(Violation::FileTruncated), "{cut}");
    }
    // Before the number of the control stream: nobody's.
    let (mut pair, control) = receiving();
    for (bytes, code) in [
        (vec![4], None),
        (block(StreamId(control.0 + 4), 0, 0, &whole, [0; 32]), Some(Code::Cancelled)),
        (block(StreamId(0), 0, 0, &whole, [0; 32]), Some(Code::Cancelled)),
        (block(StreamId(varint::MAX), 0, 0, &whole, [0; 32]), Some(Code::Cancelled)),
    ] {
        let id = pair.rogues[0].open(Dir::Uni, &bytes, code.is_none());
        pair.run_for(SECONDS(1));
        if code.is_some() {
            pair.rogues[0].write_on(id, &[0; 10]);
        }
        let stopped = pair.rogues[0].stopped.get(&id).copied();
        let expected = code.map(anabranch_core::transport::StreamEnd::ByPeer);
        assert_eq!(stopped, expected, "{:?}", &bytes[..2.min(bytes.len())]);
    }
    assert_eq!(pair.server_files.ended.len(), 0, "the transfer goes on");
}

#[test]
fn hostile_names_are_given_up_one_by_one() {
    let names =
        ["../../etc/passwd", "/etc/passwd", "a/../b", "", "nul", "a\\b", "ok", "x\u{202e}y"];
    let mut pair = rogue();
    let mut entries: Vec<Parsed> = names.iter().map(|name| Parsed::Known(entry(name, 0))).collect();
    entries.push(Parsed::Unknown("link".into()));
    let messages = [offer(), Message::Entries { first: 0, last: true, entries }];
    let id = say(&mut pair, &messages);
    pair.run_for(SECONDS(1));
    let files: Vec<_> = pair.server_files.disk.files.keys().cloned().collect();
    assert_eq!(files, ["ok"]);
    let unusable = pair.server_files.told.iter().filter(|(_, event)| match event {
        Event::Unusable { name, .. } => {
            assert!(!name.contains("..") && !name.starts_with('/'), "{name}");
            true
        }
        _ => false,
    });
    assert_eq!(unusable.count(), names.len());
    // The sender is told which, and why.
    let mut bytes = pair.rogues[0].received(id).bytes;
    let mut failed = Vec::new();
    while let Ok(Read::Message(message, len)) = Message::parse(&bytes) {
        bytes.drain(..len);
        if let Message::FileFailed { file, code, .. } = message {
            failed.push((file, code));
        }
    }
    let mut expected: Vec<_> = (0..8).filter(|n| *n != 6).map(|n| (n, Code::BadName)).collect();
    expected.push((8, Code::Unsupported));
    assert_eq!(failed, expected);
}
