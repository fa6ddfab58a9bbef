//! What a host recorded replays, with no network and no QUIC, and what was changed is found.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anabranch_core::config::Retry;
use anabranch_core::media::{Pace, PausePolicy, Request};
use anabranch_core::rng::Rng;
use anabranch_core::trace::{
    self, Call, Cause, Contents, Counts, Entry, Record, TraceError, Verdict,
};
use anabranch_core::transport::Offered;
use anabranch_core::{Code, Event, Instant, Seed, limits};
use anabranch_tests::content::Clip;
use anabranch_tests::link::{LinkConfig, Ratio};
use anabranch_tests::oracle::{Key, Who};
use anabranch_tests::pair::{Options, Pair, named};
use anabranch_tests::programs::{fresh_dir, python, root};
use anabranch_tests::recording::{assert_identical, replay};
use anabranch_tests::seeds;

const SECONDS: fn(u64) -> Duration = Duration::from_secs;
const CLIENTS: [Who; 2] = [Who::Client(0), Who::Client(1)];
const HOSTS: [Who; 3] = [Who::Server, CLIENTS[0], CLIENTS[1]];
const SESSION_ONLY: Contents = Contents { transport: true, payload: false, datagrams: false };
const EVERYTHING: Contents = Contents { transport: true, payload: true, datagrams: true };

/// Two clients on bad links, one of them classic, and a server that records `contents`.
fn options(contents: Contents) -> Options {
    let link = LinkConfig {
        loss: Ratio::percent(2),
        reorder: Ratio::percent(2),
        jitter: Duration::from_millis(3),
        ..LinkConfig::default()
    };
    let mut options = Options {
        clips: (0..3).map(|n| Clip::new(&format!("clip {n}"), n, 400_000 + 50_000 * n)).collect(),
        clients: 2,
        record: Some(contents),
        ..super::options()
    };
    options.clips[2].bitrate = Some(800_000);
    options.server.media.max_chunk = 16 << 10;
    options.server.retry = Retry::Always;
    options.over(&link)
}

/// Sessions with pauses, a listing, pings, a move, resumption, refused commands, a drain.
fn eventful(seed: u64, contents: Contents) -> Pair {
    let mut pair = Pair::new(seed, options(contents));
    let conn = pair.up(0, Offered::Both);
    let mut handle = pair.conn(CLIENTS[0], conn).unwrap();
    handle.list(None).unwrap();
    handle.list(Some("clip 1")).unwrap();
    handle.ping().unwrap();
    let live = Request { pause: PausePolicy::Live, pace: Pace::Bitrate, ..named("clip 2") };
    let keys: Vec<Key> = [(0, named("clip 0")), (1, named("clip 1")), (2, live)]
        .into_iter()
        .map(|(n, request)| (conn, pair.open(0, conn, n, request).unwrap()))
        .collect();
    pair.client_apps[0].playbacks.get_mut(&keys[2]).unwrap().may_skip = true;
    let classic = pair.up(1, Offered::Classic);
    let third = (classic, pair.open(1, classic, 0, Request::default()).unwrap());
    pair.must("chunks", SECONDS(60), |pair| {
        pair.playback(0, keys[2]).chunks > 2 && pair.playback(1, third).chunks > 0
    });
    pair.pause(0, keys[2], None).unwrap();
    assert!(pair.pause(1, third, None).is_ok() && pair.resume(1, third).is_ok());
    assert!(pair.conn(CLIENTS[1], classic).unwrap().ping().is_err());
    pair.run_for(SECONDS(2));
    pair.migrate(0, conn).unwrap();
    pair.resume(0, keys[2]).unwrap();
    pair.complete(0, keys[0], SECONDS(60));
    pair.complete(0, keys[1], SECONDS(60));
    pair.conn(CLIENTS[0], conn).unwrap().media(keys[2].1).unwrap().close().unwrap();
    pair.complete(1, third, SECONDS(60));
    let ticket = pair.conn(CLIENTS[0], conn).unwrap().ticket();
    let now = pair.now();
    pair.endpoint(Who::Server).set_wall_clock(now, anabranch_core::UnixMillis(1_800_000_000_000));
    // Some transports have no use for one, and none takes this.
    let _refused = pair.endpoint(Who::Server).set_identity(b"no", b"identity");
    pair.conn(CLIENTS[0], conn).unwrap().close(Code::None, "enough");
    pair.run_for(SECONDS(1));
    let again = pair.connect_with(0, Offered::V1, |target| target.ticket = ticket);
    // Possible at once with a ticket; a refusal is recorded too.
    let _early = pair.conn(CLIENTS[0], again).unwrap().list(None);
    pair.must("up again", SECONDS(60), |pair| pair.is_up(0, again));
    let last = (again, pair.open(0, again, 0, named("clip 0")).unwrap());
    pair.must("bytes", SECONDS(60), |pair| pair.playback(0, last).bytes > 0);
    let now = pair.now();
    pair.endpoint(Who::Server).drain(now, SECONDS(10));
    pair.complete(0, last, SECONDS(60));
    pair.run_for(SECONDS(20));
    pair.endpoint(Who::Server).close_all(now + SECONDS(100));
    pair
}

#[test]
fn an_eventful_run_replays_identically_on_every_host() {
    seeds::each(4, |seed| {
        for contents in [SESSION_ONLY, EVERYTHING] {
            let mut pair = eventful(seed, contents);
            for who in HOSTS {
                let bytes = pair.trace(who);
                let counts = assert_identical(&bytes);
                let Counts { inputs, outputs, steps, calls } = counts;
                assert!(inputs.min(outputs) > 100 && steps > 4 && calls > 200, "{counts:?}");
            }
        }
    });
}

/// Whether some bytes are in some others.
fn holds(bytes: &[u8], some: &[u8]) -> bool {
    bytes.windows(some.len()).any(|window| window == some)
}

#[test]
fn a_trace_without_payload_has_none() {
    let clip = &options(SESSION_ONLY).clips[0];
    let pieces: Vec<Vec<u8>> = (0..20).map(|n| clip.read(n * 16_384, 16)).collect();
    for (contents, expected) in [(SESSION_ONLY, 0), (EVERYTHING, pieces.len())] {
        let mut pair = eventful(1, contents);
        for who in [Who::Server, CLIENTS[0]] {
            let bytes = pair.trace(who);
            let found = pieces.iter().filter(|piece| holds(&bytes, piece)).count();
            assert_eq!(found, expected, "{who:?}");
        }
    }
}

/// A server's trace of an eventful run, and its records.
fn recorded(contents: Contents) -> (Vec<u8>, Vec<Record>) {
    let bytes = eventful(3, contents).trace(Who::Server);
    let records = trace::entries(&bytes).map(|record| record.expect("a whole trace")).collect();
    (bytes, records)
}

/// The trace with other records.
fn rewrite(bytes: &[u8], records: impl IntoIterator<Item = (Instant, Entry)>) -> Vec<u8> {
    trace::write(&trace::header(bytes).unwrap(), records)
}

fn pairs(records: &[Record]) -> impl Iterator<Item = (Instant, Entry)> {
    records.iter().map(|record| (record.at, record.entry.clone()))
}

/// The entry with one thing in it changed. `None`: of an input, or of what the transport may
/// answer in one way as well as in another.
fn changed(entry: &Entry) -> Option<Entry> {
    let mut entry = entry.clone();
    match &mut entry {
        Entry::Wait(Some(deadline)) => deadline.at = deadline.at + Duration::from_nanos(1),
        Entry::Step(step) => step.input.push('!'),
        Entry::Event(_, event) => *event = Event::Hello { agent: "nobody".to_owned() },
        Entry::Answer { result, .. } => *result = Err("no".to_owned()),
        Entry::Transmit { transmit, .. } => transmit.segment = Some(7),
        Entry::Transport(conn, Call::Receive | Call::Expire | Call::Ping) => conn.slot += 1,
        Entry::Transport(_, Call::Write { offered, .. }) => *offered += 1,
        Entry::Transport(_, Call::Read { room, .. }) => *room += 1,
        Entry::Transport(_, Call::Reset { code, .. } | Call::Stop { code, .. }) => {
            *code = Code::Other(77);
        }
        Entry::Transport(_, Call::Prioritize { rank, .. }) => *rank += 1,
        Entry::Transport(_, Call::Close { reason, .. }) => reason.push('!'),
        _ => return None,
    }
    Some(entry)
}

#[test]
fn a_changed_entry_is_where_the_replay_diverges() {
    let (bytes, records) = recorded(SESSION_ONLY);
    let mut rng = Seed::from_u64(1).stream("changes");
    for at in some_of_each(&records, &mut rng) {
        let Some(other) = changed(&records[at].entry) else { continue };
        let entries = pairs(&records).enumerate();
        let entries = entries.map(|(n, pair)| if n == at { (pair.0, other.clone()) } else { pair });
        let Verdict::Diverged(divergence) = replay(&rewrite(&bytes, entries)) else {
            panic!("{} became {other}, and nobody saw it", records[at])
        };
        assert_eq!(divergence.expected.number, records[at].number, "{divergence}");
        assert_eq!((&divergence.expected.entry, divergence.expected.at), (&other, records[at].at));
        assert_eq!(divergence.counts.entries(), at as u64);
        let before = &records[at.saturating_sub(limits::TRACE_CONTEXT)..at];
        let context: Vec<&Entry> = divergence.before.iter().map(|record| &record.entry).collect();
        assert!(context.iter().copied().eq(before.iter().map(|record| &record.entry)));
        let text = divergence.to_string();
        assert!(text.contains(&format!("entry {}", at + 1)), "{text}");
        assert!(text.contains(&divergence.got), "{text}");
    }
}

/// A few entries of each kind, by their place. No kind that is always there is missing.
fn some_of_each(records: &[Record], rng: &mut Rng) -> Vec<usize> {
    let mut kinds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, record) in records.iter().enumerate() {
        let text = format!("{:?}", record.entry);
        let call = match &record.entry {
            Entry::Transport(_, call) => format!("{call:?}"),
            _ => String::new(),
        };
        let word = |text: &str| text.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        kinds.entry(format!("{} {}", word(&text), word(&call))).or_default().push(at);
    }
    for kind in ["Wait ", "Step ", "Event ", "Answer ", "Transmit ", "Stack "] {
        assert!(kinds.contains_key(kind), "no {kind} in {:?}", kinds.keys());
    }
    for call in ["Receive", "Expire", "Write", "Read", "Prioritize", "Close", "Over"] {
        assert!(kinds.contains_key(&format!("Transport {call}")), "no {call}");
    }
    let twelve = kinds.values().flat_map(|places| std::iter::repeat_n(places, 12));
    twelve.map(|places| places[pick(rng, places.len())]).collect()
}

fn pick(rng: &mut Rng, below: usize) -> usize {
    usize::try_from(rng.below(below as u64)).unwrap()
}

#[test]
fn a_lost_entry_is_found() {
    let (bytes, records) = recorded(SESSION_ONLY);
    let mut rng = Seed::from_u64(2).stream("losses");
    let mut lost = 0;
    for at in some_of_each(&records, &mut rng) {
        // Without one of these it is the trace of another run that is possible, too: one in which
        // nobody asked what to do next, or in which the deadline was another one.
        let free = matches!(
            records[at].entry,
            Entry::Wait(_) | Entry::Transport(_, Call::Expire | Call::Deadline(_))
        );
        if free || changed(&records[at].entry).is_none() {
            continue;
        }
        let entries = pairs(&records).enumerate().filter(|(n, _)| *n != at).map(|(_, pair)| pair);
        let mut entries: Vec<_> = entries.collect();
        let count = entries.len() as u64;
        entries.pop();
        entries.push((records[records.len() - 1].at, Entry::End { entries: count - 1 }));
        match replay(&rewrite(&bytes, entries)) {
            Verdict::Diverged(divergence) => {
                // Several entries that are equal in a row are as good as each other.
                assert!(divergence.expected.number >= records[at].number, "{divergence}");
                lost += 1;
            }
            other => panic!("{} was lost: {other:?}", records[at]),
        }
    }
    assert!(lost > 100, "{lost} entries were lost");
}

#[test]
fn a_recording_that_ended_early_replays_up_to_there() {
    let (bytes, records) = recorded(SESSION_ONLY);
    let mut rng = Seed::from_u64(3).stream("cuts");
    for _ in 0..100 {
        let at = pick(&mut rng, records.len());
        let truncated = [(records[at].at, Entry::Truncated(Cause::Buffer))];
        let entries = pairs(&records[..at]).chain(truncated);
        match replay(&rewrite(&bytes, entries)) {
            Verdict::Identical { counts, truncated: Some(Cause::Buffer) } => {
                assert_eq!(counts.entries(), at as u64);
            }
            other => panic!("{at}: {other:?}"),
        }
        let cut = pick(&mut rng, bytes.len() - 300) + 300;
        match replay(&bytes[..cut]) {
            Verdict::Unreadable { error: TraceError::CutOff { offset }, .. } => {
                assert!(offset <= cut as u64);
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[test]
fn without_the_calls_of_the_transport_there_is_no_script() {
    let contents = Contents { transport: false, ..SESSION_ONLY };
    let (bytes, records) = recorded(contents);
    let is_call = |record: &Record| record.entry.class() == trace::Class::Transport;
    assert!(!records.iter().any(is_call));
    let header = trace::header(&bytes).unwrap();
    let replay = trace::Replay::scripted(&header, trace::entries(&bytes));
    assert_eq!(replay.err(), Some(trace::Unfit::NoTransport));
}

/// The numbers of the kinds of entries, as the documentation has them.
fn kind(entry: &Entry) -> u8 {
    match entry {
        Entry::Datagram { .. } => 0,
        Entry::Timeout => 1,
        Entry::Connect(_) => 2,
        Entry::Listen(_) => 3,
        Entry::Drain { .. } => 4,
        Entry::CloseAll => 5,
        Entry::WallClock(_) => 6,
        Entry::Catalogue { .. } => 7,
        Entry::Identity => 8,
        Entry::Handle(_) => 9,
        Entry::Command(_) => 10,
        Entry::Session { .. } => 11,
        Entry::Answer { .. } => 12,
        Entry::Transmit { .. } => 13,
        Entry::Event(..) => 14,
        Entry::Wait(_) => 15,
        Entry::Step(_) => 16,
        Entry::Dropped(_) => 17,
        Entry::Stack(_) => 18,
        Entry::Transport(..) => 19,
        Entry::End { .. } => 20,
        Entry::Truncated(_) => 21,
    }
}

#[test]
fn a_reader_that_was_written_from_the_documentation_finds_the_same() {
    let Some(python) = python() else { return };
    let dir = fresh_dir(env!("CARGO_TARGET_TMPDIR"), &format!("trace-reader-{}", super::ON.name()));
    for (name, contents) in [("without", SESSION_ONLY), ("with", EVERYTHING)] {
        let mut pair = eventful(5, contents);
        for who in HOSTS {
            let bytes = pair.trace(who);
            let file = dir.join(name);
            std::fs::write(&file, &bytes).unwrap();
            let script = root().join("tests/interop/trace_reader.py");
            let out = Command::new(&python).arg(script).arg(&file).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let text = String::from_utf8(out.stdout).unwrap();
            let mut lines = text.lines();
            let side = if who == Who::Server { "01" } else { "00" };
            assert_eq!(lines.next(), Some(format!("header anabranch-tests {side}").as_str()));
            for record in trace::entries(&bytes) {
                let Record { number, at, entry, .. } = record.unwrap();
                let ours = format!("{number} {} {} ", at.as_nanos(), kind(&entry));
                let theirs = lines.next().unwrap_or_default();
                assert!(theirs.starts_with(&ours), "{ours} {entry}: {theirs}");
            }
            assert_eq!(lines.next(), None);
        }
    }
}
