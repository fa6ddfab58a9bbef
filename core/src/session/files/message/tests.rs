//! Round trips, cuts, flips and limits of every message.

use super::entries::Parsed as ParsedEntry;
use super::*;
use crate::session::files::types::{Kind, Modified};

fn entry(name: &str, size: Option<u64>) -> Entry {
    Entry {
        mode: Some(0o644),
        modified: Some(Modified { seconds: -5, nanos: 999_999_999 }),
        root: Some([8; 32]),
        opaque: true,
        ..Entry::file(name, size)
    }
}

fn queries() -> Vec<Query> {
    let token = Token([3; 16]);
    vec![
        Query::List { folder: "a/b".into(), after: String::new(), most: 100 },
        Query::Remove { names: vec!["a".into(), "b/c".into()] },
        Query::Transfers { after: Some(token), most: 1 },
        Query::Transfers { after: None, most: 7 },
        Query::Order { token, order: Order::Pause },
        Query::Order { token, order: Order::Resume },
        Query::Order { token, order: Order::Cancel },
    ]
}

fn replies() -> Vec<Reply> {
    let transfer = |state, of| Transferring {
        token: Token([9; 16]),
        state,
        sending: of == Some(0),
        bytes: 17,
        of,
        label: "holiday".into(),
    };
    let states = [
        (TransferState::Running, None),
        (TransferState::Paused, Some(0)),
        (TransferState::Waiting, Some(1)),
        (TransferState::Complete, Some(2)),
        (TransferState::Failed, Some(3)),
    ];
    let transfers = states.map(|(state, of)| transfer(state, of)).to_vec();
    let entries = vec![Listed::Entry(entry("x", Some(1))), Listed::Other("socket".into())];
    vec![
        Reply::Refused { code: Code::Denied, reason: "no".into() },
        Reply::Listing { entries, more: true },
        Reply::Removed { codes: vec![Code::None, Code::NotFound] },
        Reply::Transfers { transfers, more: false },
        Reply::Ordered,
    ]
}

fn samples() -> Vec<Message> {
    let entries = vec![
        ParsedEntry::Known(entry("a/ü.txt", Some(0))),
        ParsedEntry::Known(Entry::file("b", None)),
        ParsedEntry::Known(Entry::folder("c")),
        ParsedEntry::Unknown("link".into()),
    ];
    let reason = || "why not".to_owned();
    let mut all = vec![
        Message::Offer {
            token: Token([1; 16]),
            entries: Some(0),
            bytes: None,
            label: "photos".into(),
            target: "in/box".into(),
            existing: Existing::Rename,
        },
        Message::Request { token: Token([2; 16]), window: 1 << 20, names: vec!["n".into()] },
        Message::Accept { window: 70_000 },
        Message::Entries { first: 70, last: true, entries },
        Message::Answer { file: 3, verdict: Verdict::Skip },
        Message::Answer { file: 3, verdict: Verdict::Take(vec![(0, 5, [4; 32]), (9, 1, [5; 32])]) },
        Message::Checked { file: 1, have: 0, same: true },
        Message::Stored { backlog: 99, ranges: vec![(1, 2, 3), (u32::MAX, 1 << 40, 1)] },
        Message::Again { file: 0, piece: 77 },
        Message::FileEnd { file: 9, size: 1 << 50, root: [6; 32] },
        Message::FileDone { ranges: vec![(0, 1000), (2000, 1)] },
        Message::FileFailed { file: 5, code: Code::NoSpace, reason: reason() },
        Message::Pause { reason: reason() },
        Message::Resume,
        Message::Limit { rate: 0 },
        Message::Window { window: 1 },
        Message::Cancel { code: Code::Other(4242), reason: String::new() },
        Message::Done { entries: 4, digest: [7; 32] },
        Message::Got { digest: [8; 32] },
    ];
    all.extend(queries().into_iter().map(Message::Query));
    all.extend(replies().into_iter().map(Message::Reply));
    all
}

#[test]
fn every_message_round_trips() {
    let mut kinds = std::collections::BTreeSet::new();
    for message in samples() {
        let mut bytes = message.encode();
        let len = bytes.len();
        kinds.insert(message.kind());
        bytes.push(7);
        assert_eq!(Message::parse(&bytes), Ok(Parsed::Message(message, len)));
    }
    assert_eq!(kinds.len(), 20, "a sample of each");
}

#[test]
fn a_truncated_message_waits_for_more() {
    for message in samples() {
        let bytes = message.encode();
        for cut in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..cut]), Ok(Parsed::More), "{message:?} {cut}");
        }
    }
}

#[test]
fn a_shortened_body_is_malformed_or_means_something_else() {
    for message in samples() {
        let mut body = Vec::new();
        message.encode_body(&mut body);
        for cut in 0..body.len() {
            let mut bytes = Vec::new();
            varint::put(&mut bytes, message.kind());
            varint::put_bytes(&mut bytes, &body[..cut]);
            match Message::parse(&bytes) {
                Err(Violation::FileMalformed { kind, .. }) => assert_eq!(kind, message.kind()),
                // Where only extension fields are cut off.
                Ok(Parsed::Message(other, _)) => assert_eq!(other.kind(), message.kind()),
                answer => panic!("{message:?} cut to {cut}: {answer:?}"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_gives_a_value_or_an_error() {
    for message in samples() {
        let mut bytes = message.encode();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Parsed::Message(other, _)) = Message::parse(&bytes) {
                let again = other.encode();
                assert!(matches!(Message::parse(&again), Ok(Parsed::Message(m, _)) if m == other));
            }
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn extension_fields_and_unknown_messages_are_passed_over() {
    for message in samples() {
        let mut body = Vec::new();
        message.encode_body(&mut body);
        varint::put(&mut body, 99);
        varint::put_bytes(&mut body, b"news");
        let mut bytes = Vec::new();
        varint::put(&mut bytes, message.kind());
        varint::put_bytes(&mut bytes, &body);
        let len = bytes.len();
        assert_eq!(Message::parse(&bytes), Ok(Parsed::Message(message, len)));
    }
    for kind in [18, 27, 31, 34, 4242] {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, kind);
        varint::put_bytes(&mut bytes, b"whatever");
        assert_eq!(Message::parse(&bytes), Ok(Parsed::Skip(bytes.len())));
    }
}

#[test]
fn a_wish_that_is_not_known_is_the_default() {
    use Existing::{Overwrite, Refuse, Rename, Skip};
    let offer = |wish: &[u8]| {
        let mut body = vec![1; 16];
        body.extend([0, 0]);
        varint::put(&mut body, 4);
        varint::put_bytes(&mut body, wish);
        let mut bytes = vec![0];
        varint::put_bytes(&mut bytes, &body);
        Message::parse(&bytes)
    };
    let wishes = [(0, Refuse), (1, Overwrite), (2, Skip), (3, Rename), (4, Refuse)];
    for (number, wish) in wishes.into_iter().chain([(varint::MAX, Refuse)]) {
        let mut value = Vec::new();
        varint::put(&mut value, number);
        let answer = offer(&value);
        let Ok(Parsed::Message(Message::Offer { existing, .. }, _)) = answer else {
            panic!("{number}: {answer:?}");
        };
        assert_eq!(existing, wish, "{number}");
    }
    assert!(offer(b"").is_err() && offer(&[0x40]).is_err(), "no number");
}

#[test]
fn the_longest_message_is_capped_before_it_is_stored() {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, kind::ENTRIES);
    varint::put(&mut bytes, limits::MAX_FILE_MESSAGE as u64 + 1);
    let too_long = Violation::FileTooLong(limits::MAX_FILE_MESSAGE as u64 + 1);
    assert_eq!(Message::parse(&bytes), Err(too_long));
}

fn is_malformed(message: &Message) -> bool {
    matches!(Message::parse(&message.encode()), Err(Violation::FileMalformed { .. }))
}

#[test]
fn texts_and_counts_are_capped() {
    let offer = |label: usize, target: usize| Message::Offer {
        token: Token([0; 16]),
        entries: None,
        bytes: None,
        label: "l".repeat(label),
        target: "t".repeat(target),
        existing: Existing::default(),
    };
    assert!(!is_malformed(&offer(limits::MAX_LABEL, limits::MAX_PATH)));
    assert!(is_malformed(&offer(limits::MAX_LABEL + 1, 0)));
    assert!(is_malformed(&offer(0, limits::MAX_PATH + 1)));
    let request = |names: usize, len: usize| Message::Request {
        token: Token([0; 16]),
        window: 0,
        names: vec!["n".repeat(len); names],
    };
    assert!(!is_malformed(&request(limits::MAX_REQUEST_NAMES, 1)));
    assert!(is_malformed(&request(limits::MAX_REQUEST_NAMES + 1, 1)));
    assert!(is_malformed(&request(1, limits::MAX_PATH + 1)));
    let names = vec![String::new(); limits::MAX_REQUEST_NAMES + 1];
    assert!(is_malformed(&Message::Query(Query::Remove { names })));
    let haves =
        |count| Message::Answer { file: 0, verdict: Verdict::Take(vec![(0, 1, [0; 32]); count]) };
    assert!(
        !is_malformed(&haves(limits::MAX_HAVES)) && is_malformed(&haves(limits::MAX_HAVES + 1))
    );
    let reason = "r".repeat(limits::MAX_REASON + 1);
    assert!(is_malformed(&Message::Pause { reason }));
    assert!(is_malformed(&page(u32::MAX, false, vec![Entry::folder("a")])));
}

#[test]
fn impossible_entries_are_malformed() {
    let of = |entry: Entry| page(0, false, vec![entry]);
    let file = Entry::file("a", Some(1));
    assert!(!is_malformed(&of(file.clone())));
    for piece in [0, 1, limits::MIN_PIECE / 2, limits::MIN_PIECE + 1, limits::MAX_PIECE * 2] {
        assert!(is_malformed(&of(Entry { piece, ..file.clone() })), "{piece}");
    }
    let most = limits::MAX_PIECES * u64::from(limits::MIN_PIECE);
    let large = |size| Entry { size: Some(size), piece: limits::MIN_PIECE, ..file.clone() };
    assert!(!is_malformed(&of(large(most))) && is_malformed(&of(large(most + 1))));
    let folder = Entry { size: Some(1), ..Entry::folder("f") };
    assert!(is_malformed(&of(folder)));
    assert!(is_malformed(&of(Entry { kind: Kind::Folder, size: None, ..file.clone() })));
    let nanos = Some(Modified { seconds: 0, nanos: 1_000_000_000 });
    assert!(is_malformed(&of(Entry { modified: nanos, ..file })));
}

#[test]
fn a_count_alone_costs_no_memory() {
    // A claim of 2^60 elements in a body of a few bytes.
    for kind in [kind::STORED, kind::FILE_DONE, kind::ENTRIES, kind::REPLY] {
        let mut body = vec![1];
        varint::put(&mut body, 1);
        varint::put(&mut body, 1 << 60);
        varint::put(&mut body, 1 << 60);
        let mut bytes = Vec::new();
        varint::put(&mut bytes, kind);
        varint::put_bytes(&mut bytes, &body);
        let answer = Message::parse(&bytes);
        assert!(matches!(answer, Err(Violation::FileMalformed { .. })), "{kind}: {answer:?}");
    }
}

#[test]
fn a_page_that_is_too_long_is_cut_and_says_so() {
    let listed = |n: u32| Listed::Entry(Entry::file(&format!("{n:0>200}"), Some(1)));
    let reply = Reply::Listing { entries: (0..1_000).map(listed).collect(), more: false }.fit();
    let Reply::Listing { entries, more: true } = &reply else { panic!("{reply:?}") };
    assert!(entries.len() > 20 && entries.first() == Some(&listed(0)));
    assert!(matches!(Message::parse(&Message::Reply(reply).encode()), Ok(Parsed::Message(..))));
    let small = Reply::Listing { entries: vec![listed(0)], more: false };
    assert_eq!(small.clone().fit(), small);
}
