//! File transfers, against a peer that says and sends whatever the input says. The application
//! does what it should, at once, unless the input says otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anabranch_core::files::block::Head;
use anabranch_core::files::message::entries::Parsed;
use anabranch_core::files::message::{Message, Verdict};
use anabranch_core::files::{
    self, Accept, Command, Entry, Event as Files, Existing, Have, Offer, Order, Pulled, Query,
    Reply, Request, Token, hash,
};
use anabranch_core::id::StreamId;
use anabranch_core::trace::{Contents, Recorder};
use anabranch_core::wire::varint;
use anabranch_core::{Code, Dialect, Event, SessionId, Side, limits};
use bytes::Bytes;

use super::fake::lock;
use super::input::Input;
use super::run::{Run, replayed};

/// The bytes of all files.
const BYTE: u8 = 7;
const PIECE: u32 = limits::MIN_PIECE;

/// One endpoint, one connection, files, and a peer that does what the input says.
pub fn files(data: &[u8]) {
    let setup = data.first().copied().unwrap_or(0);
    let payload = setup & 8 != 0;
    let record = Contents { transport: true, payload, datagrams: false };
    let recorder = play(data, (setup & 4 != 0).then_some(record));
    recorder.iter().for_each(replayed);
}

fn play(data: &[u8], record: Option<Contents>) -> Option<Recorder> {
    let mut input = Input::new(data);
    let setup = input.u8();
    let side = if setup & 1 == 0 { Side::Server } else { Side::Client };
    let room = if setup & 2 == 0 { 1 << 20 } else { 300 };
    let mut run = Run::recorded(side, Dialect::V1, room, record);
    run.start(side);
    let mut app = App { lazy: setup & 16 != 0, ..App::default() };
    app.settle(&mut run);
    for _ in 0..400 {
        if input.is_empty() {
            break;
        }
        app.step(&mut run, &mut input);
        run.knock();
        app.settle(&mut run);
    }
    run.finish();
    run.recorder
}

#[derive(Default)]
struct App {
    /// It answers only when the input says so.
    lazy: bool,
    /// Streams of the peer's that have begun.
    begun: BTreeSet<StreamId>,
    sessions: Vec<SessionId>,
    /// What it has not answered.
    due: Vec<(SessionId, Command)>,
    /// Which sizes its sources have, by number.
    sizes: BTreeMap<(SessionId, u32), u64>,
}

impl App {
    fn step(&mut self, run: &mut Run, input: &mut Input<'_>) {
        match input.u8() % 10 {
            0..=2 => {
                let at = input.u8();
                let mut bytes = Vec::new();
                for _ in 0..=input.u8() % 3 {
                    bytes.extend(message(input).encode());
                }
                self.peer_sends(run, at, &bytes);
            }
            3 => {
                let (at, bytes) = (input.u8(), block(input));
                self.peer_sends(run, at << 2 | 1, &bytes);
            }
            4 => {
                let (at, len) = (input.u8(), usize::from(input.u8()));
                self.peer_sends(run, at, input.take(len));
            }
            5 => {
                let (at, what) = (input.u8(), input.u8());
                let mut world = lock(&run.world);
                if let Some(id) = world.stream(at) {
                    match what & 3 {
                        0 => world.send(id, &[], true),
                        1 => world.peer_resets(id, Code::Cancelled),
                        2 => world.peer_stops(id, Code::Limit),
                        _ => world.give_room(usize::from(what) * 400, 4),
                    }
                }
            }
            6 => {
                run.now = run.now + Duration::from_millis(1 << (input.u8() % 14));
                run.endpoint.handle_timeout(run.now);
            }
            7 => self.start(run, input),
            8 => self.command(run, input),
            _ => self.answer(run, usize::from(input.u8())),
        }
    }

    fn peer_sends(&mut self, run: &mut Run, at: u8, bytes: &[u8]) {
        let mut world = lock(&run.world);
        let Some(id) = world.stream(at) else { return };
        let mut all = Vec::new();
        if id.opener() != run.side && self.begun.insert(id) {
            match id.dir() {
                anabranch_core::id::Dir::Bidi => varint::put(&mut all, 3),
                anabranch_core::id::Dir::Uni => {
                    varint::put(&mut all, 4);
                    // The first streams of each side are the ones that are most likely there.
                    let ours = u64::from(run.side == Side::Server);
                    varint::put(&mut all, if at & 4 == 0 { 1 - ours } else { ours + 4 });
                }
            }
        }
        all.extend_from_slice(bytes);
        world.send(id, &all, false);
    }

    fn start(&mut self, run: &mut Run, input: &mut Input<'_>) {
        let Some(conn) = run.conn else { return };
        let Ok(mut handle) = run.endpoint.conn(run.now, conn) else { return };
        let token = Token([1; 16]);
        let started = match input.u8() % 3 {
            0 => handle.offer_files(&Offer::new(token)),
            1 => {
                let names = vec!["a".to_owned()];
                handle.request_files(&Request { token, names, accept: Accept::default() })
            }
            _ => handle.ask_files(Query::Order { token, order: Order::Pause }),
        };
        self.sessions.extend(started.ok());
    }

    fn command(&mut self, run: &mut Run, input: &mut Input<'_>) {
        let (which, file) = (usize::from(input.u8()), u32::from(input.u8() % 4));
        let Some(session) = self.sessions.get(which % self.sessions.len().max(1)).copied() else {
            return;
        };
        let reason = "why".to_owned();
        let command = match input.u8() % 12 {
            0 => Command::Pause { reason },
            1 => Command::Resume,
            2 => Command::Cancel { code: Code::Cancelled, reason },
            3 => Command::Fail { file, code: Code::Io, reason },
            4 => Command::SetLimit(Some(u64::from(input.u8()) * 100)),
            5 => Command::SetStreams(Some(usize::from(input.u8()))),
            6 => Command::SetWindow(u64::from(input.u8()) << 12),
            7 => Command::Stored { file, piece: 0, hash: [0; 32] },
            8 => Command::Committed { file },
            9 => Command::Finish,
            10 => Command::Skip { file },
            _ => Command::Supply { file, piece: 0, bytes: Bytes::new(), hash: [0; 32] },
        };
        give(run, session, command);
    }

    /// Answers one thing; the lazy one does so only when it is told to.
    fn answer(&mut self, run: &mut Run, which: usize) {
        if !self.due.is_empty() {
            let (session, command) = self.due.swap_remove(which % self.due.len());
            give(run, session, command);
        }
    }

    fn settle(&mut self, run: &mut Run) {
        run.settle_with(&mut |run, event| self.on_event(run, event));
    }

    fn on_event(&mut self, run: &mut Run, event: &Event) {
        let Event::Files(session, event) = event else { return };
        if !self.sessions.contains(session) {
            self.sessions.push(*session);
        }
        for command in self.react(run, *session, event) {
            if self.lazy && self.due.len() < 256 {
                self.due.push((*session, command));
            } else {
                give(run, *session, command);
            }
        }
    }

    fn react(&mut self, run: &mut Run, session: SessionId, event: &Files) -> Vec<Command> {
        match event {
            Files::Offered(_) => vec![Command::Accept(Accept::default())],
            Files::Requested { token, .. } => vec![Command::Offer(Offer::new(*token))],
            Files::WantedEntries { .. } => {
                let sizes = [0, 5, u64::from(PIECE) + 1];
                let entries =
                    sizes.map(|size| Entry { piece: PIECE, ..Entry::file("f", Some(size)) });
                for (file, size) in (0..).zip(sizes) {
                    self.sizes.insert((session, file), size);
                }
                vec![Command::SupplyEntries { entries: entries.to_vec(), last: true }]
            }
            Files::Wanted { file, piece, offset, len } => {
                let size = self.sizes.get(&(session, *file)).copied().unwrap_or(0);
                assert!(offset + u64::from(*len) <= size, "bytes beyond the end are wanted");
                let bytes = Bytes::from(vec![BYTE; *len as usize]);
                let hash = hash::piece(&bytes);
                vec![Command::Supply { file: *file, piece: *piece, bytes, hash }]
            }
            Files::Check { file, first, count } => {
                let hashes = vec![[0; 32]; usize::try_from(*count).expect("few pieces")];
                vec![Command::Checked { file: *file, first: *first, hashes }]
            }
            Files::Entries { entries } => {
                entries.iter().map(|(file, entry)| take(*file, entry)).collect()
            }
            Files::Readable { channel } => self.pull(run, session, *channel),
            Files::Complete { file, .. } => vec![Command::Committed { file: *file }],
            Files::Finishing => vec![Command::Finish],
            Files::Asked(_) => vec![Command::Reply(Reply::Ordered)],
            _ => Vec::new(),
        }
    }

    fn pull(&self, run: &mut Run, session: SessionId, channel: files::Channel) -> Vec<Command> {
        let mut buf = vec![0; 40_000];
        let mut stored = Vec::new();
        let Some(conn) = run.conn else { return stored };
        for _ in 0..100_000 {
            let Ok(mut handle) = run.endpoint.conn(run.now, conn) else { return stored };
            let Ok(mut transfer) = handle.files(session) else { return stored };
            match transfer.pull(channel, &mut buf) {
                Ok(Pulled::Bytes { file, piece, offset, len, last }) => {
                    assert!((1..=buf.len()).contains(&len), "{len} at {offset}");
                    if last {
                        let len = offset + len as u64 - piece * u64::from(PIECE);
                        let bytes = vec![BYTE; usize::try_from(len).unwrap_or(0)];
                        let hash = hash::piece(&bytes);
                        stored.push(Command::Stored { file, piece, hash });
                    }
                }
                Ok(Pulled::Blocked) | Err(_) => return stored,
            }
        }
        panic!("a pull that never ends");
    }
}

fn take(file: u32, entry: &Entry) -> Command {
    let known = entry.pieces().is_some_and(|pieces| pieces > 0 && file % 3 == 2);
    let haves = known.then(|| Have { first: 0, hashes: vec![[0; 32]] });
    Command::Take { file, haves: haves.into_iter().collect() }
}

/// Refusals are answers, too: only a panic is a failure.
fn give(run: &mut Run, session: SessionId, command: Command) {
    let Some(conn) = run.conn else { return };
    if let Ok(mut handle) = run.endpoint.conn(run.now, conn)
        && let Ok(mut transfer) = handle.files(session)
    {
        let _ = transfer.apply(command, &mut []);
    }
}

/// A block of bytes that are, or are not, what they should be.
fn block(input: &mut Input<'_>) -> Vec<u8> {
    let (file, piece) = (u32::from(input.u8() % 5), u64::from(input.u8() % 4));
    let (len, wrong) = match input.u8() {
        n @ 0..6 => (u32::from(n), false),
        n @ 6..128 => (PIECE, n % 8 == 7),
        n => (u32::from(n), n % 2 == 1),
    };
    let bytes = vec![BYTE; len as usize];
    let mut hash = hash::piece(&bytes);
    hash[0] ^= u8::from(wrong);
    let mut out = Vec::new();
    Head { file, piece, len, hash }.encode(&mut out);
    out.extend(bytes);
    out
}

/// A message with small numbers.
fn message(input: &mut Input<'_>) -> Message {
    let kind = input.u8() % 20;
    let (a, b, c) = (input.u8(), input.u8(), input.u8());
    let (file, count) = (u32::from(a % 6), u64::from(c % 4));
    let (reason, token) = ("why".to_owned(), Token([1; 16]));
    // That of a transfer of nothing is in reach.
    let none = hash::piece(b"anabranch transfer 1");
    let sizes = [0, 1, 5, u64::from(PIECE), u64::from(PIECE) + 1];
    let size = sizes[usize::from(b) % 5];
    match kind {
        0 => Message::Offer {
            token,
            entries: None,
            bytes: None,
            label: reason,
            target: String::new(),
            existing: Existing::default(),
        },
        1 => Message::Request { token, window: u64::from(a) << 12, names: vec![reason] },
        2 => Message::Accept { window: u64::from(a) << 12 },
        3 => {
            let entry = |n: u32| match b.wrapping_add(n as u8) % 7 {
                n @ 0..5 => {
                    let size = Some(sizes[usize::from(n)]);
                    Parsed::Known(Entry { piece: PIECE, ..Entry::file("f", size) })
                }
                5 => Parsed::Known(Entry { piece: PIECE, ..Entry::file("pipe", None) }),
                _ => Parsed::Known(Entry::folder("../d")),
            };
            let entries = (0..u32::from(c % 4)).map(entry).collect();
            Message::Entries { first: u32::from(a % 8), last: b & 128 != 0, entries }
        }
        4 => {
            let take = Verdict::Take((0..count / 3).map(|n| (n, 1, [0; 32])).collect());
            Message::Answer { file, verdict: if b % 4 == 3 { Verdict::Skip } else { take } }
        }
        5 => Message::Checked { file, have: count / 2, same: b % 2 == 0 },
        6 => {
            Message::Stored { backlog: u64::from(b), ranges: vec![(file, u64::from(b % 2), count)] }
        }
        7 => Message::Again { file, piece: count / 2 },
        8 => {
            let bytes = vec![BYTE; usize::try_from(size).unwrap_or(0)];
            Message::FileEnd { file, size, root: hash::root_of(&bytes, PIECE) }
        }
        9 => Message::FileDone { ranges: vec![(file, u32::from(c % 3))] },
        10 => Message::FileFailed { file, code: Code::Io, reason },
        11 => Message::Pause { reason },
        12 => Message::Resume,
        13 => Message::Limit { rate: u64::from(a) * 1_000 },
        14 => Message::Window { window: u64::from(a) << 12 },
        15 => Message::Cancel { code: Code::Cancelled, reason },
        16 => Message::Done { entries: file, digest: none },
        17 => Message::Got { digest: none },
        18 => Message::Query(Query::Transfers { after: None, most: 1 }),
        _ => Message::Reply(Reply::Ordered),
    }
}
