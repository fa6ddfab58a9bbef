//! Transfers of files that clients want to be done, over as many connections as that takes.

use anabranch_core::files::{End, Event as Files, Kind, Token};
use anabranch_core::{Code, ConnId, SessionId};

use super::draw::Draw;
use super::world::{HostId, World};
use crate::apps::{FilesApp, Source};
use crate::oracle::Key;

/// When so many bytes of files are to be transferred in a world, ...
const MUCH: u64 = 1 << 20;
/// ... only files below this are added.
const SMALL: u64 = 70_000;
/// Errands of one client.
const MOST: usize = 8;

/// Bytes of the largest piece.
const PIECE: u64 = 64 << 10;

/// Which way files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client to the server.
    Push,
    /// From the server to the client.
    Pull,
}

/// A folder that a client wants to be somewhere else.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    pub(super) client: HostId,
    pub(super) server: HostId,
    pub(super) way: Way,
    /// No other errand has a folder of this name.
    pub(super) folder: String,
    pub(super) token: Token,
    /// What it is being tried with.
    pub(super) session: Option<Key>,
    /// Both sides have said that it is complete.
    pub(super) done: bool,
}

impl Errand {
    /// Who sends, and who receives.
    pub(super) const fn ends(&self) -> (HostId, HostId) {
        match self.way {
            Way::Push => (self.client, self.server),
            Way::Pull => (self.server, self.client),
        }
    }
}

/// All errands of a world.
#[derive(Debug, Default)]
pub(super) struct Errands {
    all: Vec<Errand>,
    /// Bytes of all files.
    bytes: u64,
}

impl Errands {
    /// The errands of a client that are not done and not being tried.
    pub(super) fn waiting(&self, client: HostId) -> Vec<usize> {
        let waits = |e: &Errand| e.client == client && !e.done && e.session.is_none();
        (0..self.all.len()).filter(|n| waits(&self.all[*n])).collect()
    }

    /// The errand that a client tries with this session.
    fn find(&mut self, client: HostId, key: Key) -> Option<&mut Errand> {
        self.all.iter_mut().find(|e| e.client == client && e.session == Some(key))
    }

    pub(super) fn get(&self, number: usize) -> &Errand {
        &self.all[number]
    }

    pub(super) fn tried_with(&mut self, number: usize, key: Key) {
        self.all[number].session = Some(key);
    }

    /// A client's process has died.
    pub(super) fn forget(&mut self, host: HostId) {
        for errand in self.all.iter_mut().filter(|errand| errand.client == host) {
            errand.session = None;
        }
    }

    /// Errands that are done.
    pub(super) fn done(&self) -> usize {
        self.all.iter().filter(|errand| errand.done).count()
    }

    /// Those that are not.
    pub(super) fn left(&self) -> Vec<&Errand> {
        self.all.iter().filter(|errand| !errand.done).collect()
    }
}

/// Files of all sizes that make a difference.
fn sources(draw: &mut Draw, folder: &str, largest: u64) -> Vec<Source> {
    let sizes = [0, 1, 1_000, 65_535, 65_536, 65_537, 200_000, 500_000];
    let mut sources = vec![Source::folder(folder)];
    for n in 0..draw.size(1, 4) {
        let (name, seed) = (format!("{folder}/{n}"), draw.number());
        let size = draw.pick(&sizes).min(largest);
        sources.push(match draw.percent(15) {
            true => Source::open_ended(&name, seed, size),
            false => Source::file(&name, seed, size),
        });
    }
    sources
}

impl World {
    /// A client wants something new to be transferred. `None`: there is enough to do.
    pub(super) fn new_errand(&mut self, client: HostId, server: HostId) -> Option<usize> {
        let of_client = self.errands.all.iter().filter(|errand| errand.client == client);
        if of_client.count() >= MOST {
            return None;
        }
        let draw = &mut self.hosts[client].draw;
        let way = draw.pick(&[Way::Push, Way::Pull]);
        let number = self.errands.all.len();
        let folder = format!("errand {number}");
        let largest = if self.errands.bytes > MUCH { SMALL } else { u64::MAX };
        let sources = sources(draw, &folder, largest);
        let mut token = [0; 16];
        token[..8].copy_from_slice(&(number as u64).to_be_bytes());
        token[8..].copy_from_slice(&draw.bytes(8));
        self.errands.bytes += sources.iter().map(|source| source.clip.len).sum::<u64>();
        let (token, session) = (Token(token), None);
        let errand = Errand { client, server, way, folder, token, session, done: false };
        let files = &mut self.hosts[errand.ends().0].files;
        files.sources.extend(sources.into_iter().map(|s| (s.entry.name.clone(), s)));
        self.errands.all.push(errand);
        Some(number)
    }

    /// A file of an errand that is not being tried gets another content, of the same size.
    pub(super) fn change_source(&mut self, number: usize) {
        let errand = self.errands.get(number).clone();
        let files = &mut self.hosts[errand.ends().0].files;
        let below = format!("{}/", errand.folder);
        let names: Vec<String> =
            files.sources.keys().filter(|name| name.starts_with(&below)).cloned().collect();
        let draw = &mut self.hosts[errand.client].draw;
        let (name, seed) = (draw.pick(&names), draw.number());
        let files = &mut self.hosts[errand.ends().0].files;
        files.sources.get_mut(&name).expect("a source").change(seed);
        self.count("change a file");
    }

    /// A transfer has ended at a host.
    pub(super) fn errand_ended(&mut self, host: HostId, key: (ConnId, SessionId), how: &End) {
        let complete = *how == End::Complete;
        let Some(errand) = self.errands.find(host, key) else { return };
        errand.session = None;
        errand.done = complete;
        let errand = errand.clone();
        match how {
            End::Complete => {
                self.count("(transfers complete)");
                self.assert_exact(&errand);
            }
            End::ConnectionLost => self.count("(transfers lost with their connection)"),
            End::Local(_) | End::Peer(..) => self.count("(transfers cancelled)"),
            End::Violation(_) => {}
        }
    }

    /// What is complete is there, and is what was sent.
    fn assert_exact(&self, errand: &Errand) {
        let (from, to) = errand.ends();
        let sources = self.hosts[from].files.sources.values();
        let disk = &self.hosts[to].files.disk;
        for source in sources.filter(|source| source.is_below(&errand.folder)) {
            let name = &source.entry.name;
            if source.entry.kind == Kind::Folder {
                assert!(disk.folders.contains(name), "files: complete, and {name} is not there");
                continue;
            }
            let file = disk.files.get(name);
            let file = file.unwrap_or_else(|| panic!("files: complete, and {name} is not there"));
            let placed = file.placed.as_ref();
            let placed = placed.unwrap_or_else(|| panic!("files: {name} is not in its place"));
            assert!(*placed == source.bytes(), "files: {name} is not what was sent");
        }
    }

    /// Everything that was done is still there.
    pub(super) fn assert_all_exact(&self) {
        for errand in &self.errands.all {
            assert!(errand.done, "liveness: {errand:?} is not done");
            self.assert_exact(errand);
        }
    }
}

/// A piece that was acknowledged comes again only if that was on its way while a transfer was
/// taken up again: within one window for each time.
fn judge_repeats(files: &FilesApp) {
    let window = files.habits.accept.window;
    for (name, repeats) in &files.repeats {
        let most = repeats.taken.saturating_sub(1) * (window + repeats.piece);
        assert!(
            repeats.bytes <= most,
            "files: {} bytes of {name} came again, of at most {most}: taken {} times",
            repeats.bytes,
            repeats.taken
        );
    }
}

impl World {
    /// The endpoint of a host tells this about a transfer.
    pub(super) fn judge_files(
        &mut self,
        host: HostId,
        conn: ConnId,
        session: SessionId,
        event: &Files,
    ) {
        if !self.is_honest(host, conn) {
            return;
        }
        let what = || format!("files: {host} {conn} {session}: {event:?} between honest hosts");
        match event {
            Files::Ended(ended) => {
                let fair = match &ended.how {
                    End::Complete | End::ConnectionLost => true,
                    End::Local(code) | End::Peer(code, _) => is_fair(*code),
                    End::Violation(_) => false,
                };
                assert!(fair, "{}", what());
                // Streams bring everything once.
                assert_eq!(ended.stats.again, 0, "{}", what());
                judge_repeats(&self.hosts[host].files);
            }
            Files::Failed { code, .. } => assert!(is_fair(*code), "{}", what()),
            Files::Unusable { .. } | Files::Wrong { .. } | Files::Stale { .. } => {
                panic!("{}", what());
            }
            Files::Offered(_)
            | Files::Requested { .. }
            | Files::Accepted
            | Files::WantedEntries { .. }
            | Files::Wanted { .. }
            | Files::Check { .. }
            | Files::Entries { .. }
            | Files::Readable { .. }
            | Files::Complete { .. }
            | Files::Done { .. }
            | Files::Skipped { .. }
            | Files::Paused { .. }
            | Files::Resumed
            | Files::Finishing
            | Files::Asked(_)
            | Files::Replied(_) => {}
        }
    }

    /// No transfer has more on its way than it may.
    pub(super) fn judge_transfer(&mut self, host: HostId, conn: ConnId, session: SessionId) {
        let most = self.swarm.file_window + PIECE;
        let Some(process) = self.hosts[host].process() else { return };
        let Some(stats) = process.node.endpoint.file_stats(conn, session) else { return };
        let fits = stats.outstanding <= most || !self.is_honest(host, conn);
        assert!(fits, "memory: {host} {conn} {session}: {stats:?}, of at most {most}");
    }
}

/// Reasons for which a transfer or a file may end between honest hosts.
fn is_fair(code: Code) -> bool {
    match code {
        // Somebody wanted it, or a half was not ended for too long.
        Code::Cancelled | Code::Refused | Code::GoingAway | Code::Timeout | Code::Exists => true,
        Code::None
        | Code::Internal
        | Code::Violation
        | Code::UnknownStream
        | Code::Limit
        | Code::SourceFailed
        | Code::SourceChanged
        | Code::Integrity
        | Code::BadName
        | Code::NoSpace
        | Code::NotFound
        | Code::Denied
        | Code::Io
        | Code::Unsupported
        | Code::TooLarge
        | Code::Other(_) => false,
    }
}
