//! An endpoint over a transport that is none, drained as a driver does.

use std::net::SocketAddr;
use std::time::Duration;

use anabranch_core::event::Entry;
use anabranch_core::id::MediaId;
use anabranch_core::limits;
use anabranch_core::media::{self, Pulled};
use anabranch_core::trace::{self, About, Contents, Recorder, Replay, Room, Verdict};
use anabranch_core::transport::{Offered, Stack, Target, Trust};
use anabranch_core::{Config, ConnId, Dialect, Endpoint, Event, Instant, Output, SessionId, Side};

use super::fake::{FakeStack, Shared, lock, path, world};

/// More outputs than this for one input step means that the drain never ends.
const MAX_OUTPUTS: usize = 4 * limits::MAX_EVENTS_QUEUED;
/// Deadlines that fall due without time going on: more means that a driver would spin.
const MAX_DUE: usize = 64;

pub(super) struct Run {
    pub(super) side: Side,
    pub(super) endpoint: Endpoint,
    pub(super) recorder: Option<Recorder>,
    pub(super) world: Shared,
    pub(super) now: Instant,
    pub(super) conn: Option<ConnId>,
    pub(super) sessions: Vec<SessionId>,
    pub(super) wanted: Vec<(SessionId, u64, usize)>,
    pub(super) reads: bool,
    out: Vec<u8>,
}

/// What was recorded is replayed, and is the same.
pub(super) fn replayed(recorder: &Recorder) {
    let mut trace = Vec::new();
    recorder.finish();
    recorder.take(&mut trace);
    let header = trace::header(&trace).expect("its own header");
    let replay = Replay::scripted(&header, trace::entries(&trace)).expect("both seams");
    match replay.run() {
        Verdict::Identical { truncated: None, .. } => {}
        Verdict::Diverged(divergence) => panic!("{divergence}"),
        other => panic!("{other:?}"),
    }
}

/// An endpoint, and where it records if it does.
fn endpoint(
    stack: Box<dyn Stack>,
    side: Side,
    record: Option<Contents>,
) -> (Endpoint, Option<Recorder>) {
    let Some(contents) = record else { return (Endpoint::new(Config::default(), stack), None) };
    let about = About {
        program: "fuzz".to_owned(),
        side,
        transport: "none".to_owned(),
        settings: Vec::new(),
        seed: None,
    };
    let room = Room { buffer: usize::MAX, length: u64::MAX };
    let (endpoint, recorder) = Endpoint::recorded(Config::default(), stack, about, contents, room);
    (endpoint, Some(recorder))
}

impl Run {
    #[cfg(test)]
    pub(super) fn new(side: Side, dialect: Dialect, room: usize) -> Self {
        Self::recorded(side, dialect, room, None)
    }

    pub(super) fn recorded(
        side: Side,
        dialect: Dialect,
        room: usize,
        record: Option<Contents>,
    ) -> Self {
        let world = world(side, dialect, room);
        let stack = Box::new(FakeStack(world.clone()));
        let (mut endpoint, recorder) = endpoint(stack, side, record);
        let entry = |name: &str, size| Entry {
            name: name.to_owned(),
            size,
            bitrate: Some(1_000_000),
            kind: "audio/wav".to_owned(),
        };
        let entries = vec![
            (MediaId(0), entry("clip", Some(300_000))),
            (MediaId(1), entry("empty", Some(0))),
            (MediaId(2), entry("unknown", None)),
        ];
        endpoint.hub().set_catalogue(entries, Some("clip")).expect("a good catalogue");
        let out = vec![0; limits::MAX_SEGMENTED];
        let now = Instant::from_nanos(1_000_000_000_000);
        let (sessions, wanted) = (Vec::new(), Vec::new());
        Self {
            side,
            endpoint,
            recorder,
            world,
            now,
            conn: None,
            sessions,
            wanted,
            reads: true,
            out,
        }
    }

    pub(super) fn start(&mut self, side: Side) {
        match side {
            Side::Server => self.endpoint.listen(true),
            Side::Client => {
                let target = Target {
                    remote: path().remote,
                    local: SocketAddr::from(([127, 0, 0, 1], 1)),
                    server_name: "localhost".to_owned(),
                    trust: Trust::Any,
                    offered: Offered::Both,
                    ticket: None,
                };
                self.conn = self.endpoint.connect(self.now, &target).ok();
            }
        }
        self.knock();
        self.conn = lock(&self.world).conn;
        self.settle();
    }

    /// A datagram: the endpoint looks at what the transport has to say.
    pub(super) fn knock(&mut self) {
        let mut datagram = [0xc0; limits::MIN_INITIAL_DATAGRAM];
        self.endpoint.handle_datagram(self.now, path(), None, &mut datagram);
    }

    /// Drains the endpoint as a driver does, and checks that the drain ends.
    pub(super) fn settle(&mut self) {
        self.settle_with(&mut |_, _| {});
    }

    /// The same, with another application beside this one.
    pub(super) fn settle_with(&mut self, app: &mut dyn FnMut(&mut Self, &Event)) {
        for _ in 0..MAX_DUE {
            let deadline = self.drain(app);
            match deadline {
                Some(at) if at <= self.now => self.endpoint.handle_timeout(self.now),
                _ => return,
            }
        }
        panic!("{MAX_DUE} deadlines were due without time going on: a driver would spin");
    }

    fn drain(&mut self, app: &mut dyn FnMut(&mut Self, &Event)) -> Option<Instant> {
        for _ in 0..MAX_OUTPUTS {
            match self.endpoint.poll_output(&mut self.out) {
                Output::Wait(deadline) => return deadline.map(|deadline| deadline.at),
                Output::Event(conn, event) => {
                    app(self, &event);
                    self.on_event(conn, event);
                }
                Output::Transmit(sent) => panic!("a datagram out of nowhere: {sent:?}"),
            }
        }
        panic!("more than {MAX_OUTPUTS} outputs for one step");
    }

    fn on_event(&mut self, conn: ConnId, event: Event) {
        let Event::Media(session, event) = event else { return };
        match event {
            media::Event::Wanted { offset, len, .. } => {
                assert!((1..=limits::MAX_WANTED).contains(&len), "wants {len} bytes");
                if self.wanted.len() < 64 {
                    self.wanted.push((session, offset, len));
                }
            }
            media::Event::Opened(_) if !self.sessions.contains(&session) => {
                self.sessions.push(session);
            }
            media::Event::Readable if self.reads => self.pull(conn, session),
            _ => {}
        }
    }

    fn pull(&mut self, conn: ConnId, session: SessionId) {
        let mut buf = [0; 1_000];
        let Ok(mut handle) = self.endpoint.conn(self.now, conn) else { return };
        // Bounded by what the input can have sent.
        for _ in 0..200_000 {
            let Ok(mut media) = handle.media(session) else { return };
            match media.pull(&mut buf) {
                Ok(Pulled::Bytes { len, offset, last, .. }) => {
                    let empty_chunk = len == 0 && offset == 0 && last;
                    assert!(empty_chunk || (1..=buf.len()).contains(&len), "{len} at {offset}");
                }
                Ok(Pulled::Blocked | Pulled::End) | Err(_) => return,
            }
        }
        panic!("a pull that never ends");
    }

    /// Whatever has happened, closing works, and leaves nothing.
    pub(super) fn finish(&mut self) {
        self.endpoint.close_all(self.now);
        self.settle();
        self.knock();
        self.settle();
        for _ in 0..4 {
            self.now = self.now + Duration::from_secs(60);
            self.endpoint.handle_timeout(self.now);
            self.settle();
        }
        assert_eq!(self.endpoint.connections(), 0, "connections that never go");
    }
}
