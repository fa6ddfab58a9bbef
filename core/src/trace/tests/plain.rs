//! A transport with nothing in it but its seed: a trace of seam A replays over it, byte by byte.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use super::*;
use crate::code::Code;
use crate::config::Pacing;
use crate::conn::Conn;
use crate::error::Misuse;
use crate::event::Dialect;
use crate::id::{Dir, MediaId, StreamId};
use crate::io::{Output, Path, Transmit};
use crate::limits;
use crate::media::{self, Pulled};
use crate::rng::Rng;
use crate::transport::{
    CidBytes, Dropped, Facts, Offer, Offered, Read, Route, Signal, Stack, Stats, StreamEnd, Target,
    Transport, Trust, Wrote,
};
use crate::{Endpoint, Event};

const STREAM: StreamId = StreamId(0);
/// A salt and whether the stream ends.
const HEAD: usize = 9;

/// Each path is a connection, with one stream.
struct Plain {
    rng: Rng,
    conns: BTreeMap<Path, ConnId>,
}

fn plain(seed: u64) -> Box<dyn Stack> {
    Box::new(Plain { rng: Seed::from_u64(seed).stream("plain"), conns: BTreeMap::new() })
}

impl Plain {
    fn transport(&mut self, path: Path, conn: ConnId) -> Box<dyn Transport> {
        self.conns.insert(path, conn);
        Box::new(PlainTransport {
            rng: Seed(self.rng.array()).stream("salt"),
            path,
            up: false,
            greet: true,
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            ends: [false; 2],
            signals: VecDeque::new(),
            closed: false,
        })
    }
}

impl Stack for Plain {
    fn classify(&mut self, _: Instant, path: Path, bytes: &[u8], _: &mut Vec<u8>) -> Route {
        if bytes.len() < HEAD {
            return Route::Drop(Dropped::Malformed);
        }
        let cid = CidBytes::new(&bytes[..8]).expect("short");
        let offer =
            Offer { validated: true, version: 1, dcid: cid, scid: cid, original_dcid: None };
        self.conns.get(&path).map_or(Route::New(offer), |id| Route::To(*id))
    }

    fn challenge(&mut self, _: Instant, _: Path, _: &Offer, _: &mut Vec<u8>) -> Route {
        Route::Drop(Dropped::BadToken)
    }

    fn admit(
        &mut self,
        _: Instant,
        id: ConnId,
        path: Path,
        _: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped> {
        Ok(self.transport(path, id))
    }

    fn dial(
        &mut self,
        _: Instant,
        id: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse> {
        if target.server_name.is_empty() {
            return Err(Misuse::Config("no name"));
        }
        Ok(self.transport(Path { local: target.local, remote: target.remote }, id))
    }

    fn forget(&mut self, id: ConnId) {
        self.conns.retain(|_, conn| *conn != id);
    }

    fn set_identity(&mut self, _: &[u8], _: &[u8]) -> Result<(), Misuse> {
        Err(Misuse::NotBuilt("certificates"))
    }
}

struct PlainTransport {
    rng: Rng,
    path: Path,
    up: bool,
    greet: bool,
    incoming: VecDeque<u8>,
    outgoing: VecDeque<u8>,
    /// Whether what comes in and what goes out has ended.
    ends: [bool; 2],
    signals: VecDeque<Signal>,
    closed: bool,
}

impl Transport for PlainTransport {
    fn receive(&mut self, _: Instant, _: Path, bytes: &mut [u8]) {
        if !std::mem::replace(&mut self.up, true) {
            let (alpn, remote) = (Dialect::Classic.alpn().to_vec(), self.path.remote);
            let facts = Facts { alpn, peer_key: None, resumed: false, remote };
            self.signals.push_back(Signal::Up(facts));
        }
        self.ends[0] |= bytes[8] == 1;
        self.incoming.extend(&bytes[HEAD..]);
        if bytes.len() > HEAD || self.ends[0] {
            self.signals.push_back(Signal::Readable(STREAM));
        }
    }

    fn transmit(&mut self, _: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let end = std::mem::take(&mut self.ends[1]);
        if self.outgoing.is_empty() && !end && !std::mem::take(&mut self.greet) {
            return None;
        }
        self.greet = false;
        let body: Vec<u8> = self.outgoing.drain(..self.outgoing.len().min(1_000)).collect();
        self.rng.fill(&mut buf[..8]);
        buf[8] = u8::from(end && self.outgoing.is_empty());
        self.ends[1] = end && buf[8] == 0;
        let len = HEAD + body.len();
        buf[HEAD..len].copy_from_slice(&body);
        Some(Transmit { path: self.path, ecn: None, len, segment: None, at: None })
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn expire(&mut self, _: Instant) {}

    fn poll(&mut self) -> Option<Signal> {
        self.signals.pop_front()
    }

    fn open(&mut self, _: Dir) -> Option<StreamId> {
        Some(STREAM)
    }

    fn write(&mut self, _: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        self.outgoing.extend(data.split_to(data.len()));
        self.ends[1] |= fin;
        Ok(Wrote::All)
    }

    fn read(&mut self, _: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        let len = buf.len().min(self.incoming.len());
        for (to, from) in buf.iter_mut().zip(self.incoming.drain(..len)) {
            *to = from;
        }
        match (len, self.ends[0]) {
            (0, true) => Ok(Read::Finished),
            (0, false) => Ok(Read::Blocked),
            (len, _) => Ok(Read::Bytes(len)),
        }
    }

    fn reset(&mut self, _: StreamId, _: Code) {}

    fn stop(&mut self, _: StreamId, _: Code) {}

    fn prioritize(&mut self, _: StreamId, _: u8) {}

    fn ping(&mut self) {}

    fn close(&mut self, _: Instant, _: Code, _: &str) {
        self.closed = true;
    }

    fn rebind(&mut self, _: Instant, _: SocketAddr) -> Result<(), Misuse> {
        Err(Misuse::NotBuilt("moving"))
    }

    fn is_early(&self) -> bool {
        false
    }

    fn ticket(&self) -> Option<Bytes> {
        None
    }

    fn is_over(&self, _: StreamId) -> bool {
        true
    }

    fn is_finished(&self) -> bool {
        self.closed
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}

fn address(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 9_000))
}

fn endpoint(n: u8, contents: Contents) -> (Endpoint, Recorder) {
    let mut config = Config::default();
    config.media.pacing = Pacing::Off;
    let about = About { seed: Some(Seed::from_u64(u64::from(n))), ..header().about };
    Endpoint::recorded(config, plain(u64::from(n)), about, contents, Room::default())
}

/// Everything an endpoint has to send, and what it tells.
fn drain(endpoint: &mut Endpoint) -> (Vec<Vec<u8>>, Vec<(ConnId, Event)>) {
    let (mut sent, mut told) = (Vec::new(), Vec::new());
    let mut buf = vec![0; limits::MAX_SEGMENTED];
    loop {
        match endpoint.poll_output(&mut buf) {
            Output::Transmit(transmit) => sent.push(buf[..transmit.len].to_vec()),
            Output::Event(conn, event) => told.push((conn, event)),
            Output::Wait(_) => return (sent, told),
        }
    }
}

fn react(conn: &mut Conn<'_>, event: &Event) -> bool {
    let mut buf = [0; 300];
    match event {
        Event::Connected { .. } if conn.side() == Side::Client => {
            conn.open_media(media::Request::default()).unwrap();
            assert!(conn.rebind(address(9)).is_err());
        }
        Event::Media(session, media::Event::Wanted { offset, len, .. }) => {
            let bytes = vec![7; (*len).min(3_000)];
            // It may have ended meanwhile.
            if let Ok(mut media) = conn.media(*session) {
                media.supply(*offset, bytes.into(), true).unwrap();
            }
        }
        Event::Media(session, media::Event::Readable) => {
            while let Ok(mut media) = conn.media(*session)
                && let Ok(Pulled::Bytes { .. }) = media.pull(&mut buf)
            {}
        }
        Event::Media(_, media::Event::Ended(_)) => return true,
        _ => {}
    }
    false
}

/// Plays one clip from one endpoint to another, and gives their traces.
fn play(contents: Contents) -> [Vec<u8>; 2] {
    let (mut server, of_server) = endpoint(1, contents);
    let (mut client, of_client) = endpoint(2, contents);
    let entry = crate::event::Entry {
        name: "clip".to_owned(),
        size: None,
        bitrate: None,
        kind: String::new(),
    };
    server.hub().set_catalogue(vec![(MediaId(1), entry)], None).unwrap();
    server.listen(true);
    assert!(server.set_identity(b"", b"").is_err());
    let mut target = Target {
        remote: address(1),
        local: address(2),
        server_name: String::new(),
        trust: Trust::Any,
        offered: Offered::Classic,
        ticket: None,
    };
    assert!(client.connect(at(1), &target).is_err());
    target.server_name.push('x');
    client.connect(at(1), &target).unwrap();
    let mut ended = 0;
    for turn in 2..200 {
        let now = at(turn * 1_000_000);
        for n in [0u8, 1] {
            let (from, to) =
                if n == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            let (sent, told) = drain(from);
            for (conn, event) in told {
                if let Ok(mut conn) = from.conn(now, conn) {
                    ended += u32::from(react(&mut conn, &event));
                }
            }
            let path = Path { local: address(1 + n), remote: address(2 - n) };
            for mut bytes in sent {
                to.handle_datagram(now, path, None, &mut bytes);
            }
        }
    }
    assert_eq!(ended, 2, "both sides were told of the end");
    [of_server, of_client].map(|recorder| {
        let mut bytes = Vec::new();
        recorder.finish();
        recorder.take(&mut bytes);
        bytes
    })
}

fn replay_over(bytes: &[u8], seed: u64) -> Result<Verdict, Unfit> {
    let header = super::super::header(bytes).unwrap();
    Ok(Replay::over(&header, plain(seed), entries(bytes))?.run())
}

const BYTES: Contents = Contents { transport: false, payload: true, datagrams: true };

#[test]
fn seam_a_alone_replays_over_a_transport_of_the_same_seed() {
    for transport in [false, true] {
        for payload in [false, true] {
            let traces = play(Contents { transport, payload, ..BYTES });
            for (bytes, seed) in traces.iter().zip([1, 2]) {
                let verdict = replay_over(bytes, seed).unwrap();
                let Verdict::Identical { counts, truncated: None } = verdict else {
                    panic!("{verdict:?}")
                };
                assert!(counts.inputs > 10 && counts.outputs > 200, "{counts:?}");
                assert_eq!(counts.calls > 0, transport);
                let header = super::super::header(bytes).unwrap();
                assert_eq!(header.about.seed, Some(Seed::from_u64(seed)));
            }
        }
    }
}

#[test]
fn another_seed_is_another_run() {
    for bytes in play(BYTES) {
        let Verdict::Diverged(divergence) = replay_over(&bytes, 77).unwrap() else {
            panic!("two seeds, the same bytes")
        };
        assert!(matches!(divergence.expected.entry, Entry::Transmit { .. }), "{divergence}");
    }
}

#[test]
fn without_the_bytes_of_datagrams_there_is_nothing_to_give_to_a_transport() {
    let [server, _] = play(Contents { datagrams: false, ..BYTES });
    assert_eq!(replay_over(&server, 1), Err(Unfit::NoDatagrams));
}

#[test]
fn the_script_passes_refusals_on_in_the_words_of_the_transport() {
    for bytes in play(Contents { transport: true, ..BYTES }) {
        let header = super::super::header(&bytes).unwrap();
        let verdict = Replay::scripted(&header, entries(&bytes)).unwrap().run();
        assert!(matches!(verdict, Verdict::Identical { truncated: None, .. }), "{verdict:?}");
    }
}

#[test]
fn two_runs_of_the_same_seed_have_the_same_hash() {
    let hashes = [play(BYTES), play(Contents::default())].map(|traces| {
        traces.map(|bytes| {
            let mut hash = RunHash::default();
            entries(&bytes).flatten().for_each(|record| hash.entry(record.at, &record.entry));
            hash.to_string()
        })
    });
    assert_eq!(hashes[0], hashes[1]);
    assert_ne!(hashes[0][0], hashes[0][1]);
}
