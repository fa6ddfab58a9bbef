//! A client that writes its packets by hand, and a server that does.

use super::pair::{CLIENT, SERVER, addr, server_config, target};
use crate::error::{Lost, Why};
use crate::io::Path;
use crate::limits::MAX_SEGMENTED;
use crate::rng::Seed;
use crate::time::Instant;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::{Frame, Frames};
use crate::transport::dquic::out::Out;
use crate::transport::dquic::packet::{self, Header, Packet, VERSION};
use crate::transport::dquic::params::Params;
use crate::transport::dquic::{DquicConfig, stack};
use crate::transport::{CidBytes, Offered, Route, Signal, Stack, Transport};

/// One end that is ours, and the other by hand.
pub(super) struct Raw {
    pub(super) now: Instant,
    pub(super) stack: Box<dyn Stack>,
    pub(super) conn: Box<dyn Transport>,
    /// The path as our end sees it.
    pub(super) path: Path,
    /// The id that packets go to.
    pub(super) dcid: CidBytes,
    pub(super) number: u64,
    pub(super) said: Vec<Signal>,
}

pub(super) fn cid(n: u8) -> CidBytes {
    CidBytes::new(&[n; 8]).unwrap()
}

pub(super) fn params(protocol: &[u8]) -> Params {
    let max_data = 1 << 30;
    Params {
        max_data,
        max_stream_data: max_data,
        streams_bidi: 10,
        streams_uni: 10,
        protocols: vec![protocol.to_vec()],
        ..Params::default()
    }
}

pub(super) fn encode(params: &Params) -> Vec<u8> {
    let mut out = Vec::new();
    params.write(&mut out);
    out
}

/// A DATA packet.
pub(super) fn data(dcid: CidBytes, number: u64, frames: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 70_000];
    let mut out = Out::new(&mut packet);
    assert!(packet::begin_data(&mut out, dcid.as_slice(), number) && out.put(frames));
    let len = out.len();
    let len = packet::seal(&mut packet, len);
    packet.truncate(len);
    packet
}

pub(super) fn written(frame: &Frame<'_>) -> Vec<u8> {
    let mut buf = vec![0; 2_000];
    let mut out = Out::new(&mut buf);
    assert!(frame.write(&mut out));
    let len = out.len();
    buf.truncate(len);
    buf
}

/// A HELLO with these parameters, from an id of 1s to one of 2s.
pub(super) fn hello(params: &[u8]) -> Vec<u8> {
    let header = Header { version: VERSION, dcid: cid(2), scid: cid(1) };
    let mut out = Vec::new();
    packet::hello(&mut out, &header, b"", params);
    out
}

impl Raw {
    /// A server that has a HELLO with these parameters.
    pub(super) fn asked(params: &[u8]) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let path = Path { local: addr(9_000), remote: addr(7) };
        let mut stack = stack(server_config(), &Seed::from_u64(1)).unwrap();
        let mut first = hello(params);
        let Route::New(offer) = stack.classify(now, path, &first, &mut Vec::new()) else {
            panic!("no offer")
        };
        let mut conn = stack.admit(now, SERVER, path, &offer).unwrap();
        conn.receive(now, path, &mut first);
        Self { now, stack, conn, path, dcid: cid(2), number: 0, said: Vec::new() }
    }

    /// A server with a connection that is up.
    pub(super) fn server() -> Self {
        let mut raw = Self::asked(&encode(&params(b"anabranch/1")));
        let welcome = raw.datagrams().remove(0);
        let Some(Packet::Welcome { header, .. }) = Packet::read(&welcome) else {
            panic!("no WELCOME")
        };
        assert_eq!(header.dcid, cid(1));
        raw.dcid = header.scid;
        raw.say(&[Frame::Ping]);
        assert!(matches!(raw.said[..], [Signal::Up(_)]), "{:?}", raw.said);
        raw
    }

    /// A client that has said HELLO, and that HELLO's header.
    pub(super) fn dialled() -> (Self, Header) {
        let now = Instant::from_nanos(1_000_000_000);
        let mut stack = stack(DquicConfig::default(), &Seed::from_u64(1)).unwrap();
        let conn = stack.dial(now, CLIENT, &target(addr(1), Offered::Both)).unwrap();
        let path = Path { local: addr(1), remote: addr(9_000) };
        let dcid = CidBytes::empty();
        let mut raw = Self { now, stack, conn, path, dcid, number: 0, said: Vec::new() };
        let hello = raw.datagrams().remove(0);
        let Some(Packet::Hello { header, .. }) = Packet::read(&hello) else { panic!("no HELLO") };
        raw.dcid = header.scid;
        (raw, header)
    }

    /// A client with a connection that is up; the server is `cid(3)`.
    pub(super) fn client() -> Self {
        let (mut raw, hello) = Self::dialled();
        let header = Header { version: VERSION, dcid: hello.scid, scid: cid(3) };
        let mut params = params(b"anabranch/1");
        params.reset_token = Some([3; 16]);
        let mut welcome = Vec::new();
        packet::welcome(&mut welcome, &header, &encode(&params));
        raw.receive(&welcome);
        assert!(matches!(raw.said[..], [Signal::Up(_)]), "{:?}", raw.said);
        raw
    }

    /// A datagram comes in.
    pub(super) fn receive(&mut self, datagram: &[u8]) {
        self.conn.receive(self.now, self.path, &mut datagram.to_vec());
        while let Some(signal) = self.conn.poll() {
            self.said.push(signal);
        }
    }

    /// A packet with these bytes for frames comes in.
    pub(super) fn say_bytes(&mut self, frames: &[u8]) {
        let packet = data(self.dcid, self.number, frames);
        self.number += 1;
        self.receive(&packet);
    }

    /// A packet with these frames comes in.
    pub(super) fn say(&mut self, frames: &[Frame<'_>]) {
        let bytes: Vec<u8> = frames.iter().flat_map(written).collect();
        self.say_bytes(&bytes);
    }

    /// What goes out, until nothing more does.
    pub(super) fn datagrams(&mut self) -> Vec<Vec<u8>> {
        self.sent().into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The same, with the paths.
    pub(super) fn sent(&mut self) -> Vec<(Path, Vec<u8>)> {
        let mut buf = vec![0; MAX_SEGMENTED];
        let mut sent = Vec::new();
        while let Some(transmit) = self.conn.transmit(self.now, &mut buf) {
            let size = transmit.segment.unwrap_or(transmit.len);
            let run = buf[..transmit.len].chunks(size);
            sent.extend(run.map(|bytes| (transmit.path, bytes.to_vec())));
            assert!(sent.len() < 1_000, "it never stops sending");
        }
        sent
    }

    /// The frames that go out, as text.
    pub(super) fn frames(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        for datagram in self.datagrams() {
            let Some(Packet::Data { frames, .. }) = Packet::read(&datagram) else { continue };
            found.extend(Frames::new(frames).map(|frame| format!("{:?}", frame.unwrap())));
        }
        found
    }

    /// Why the connection ended, if it has.
    pub(super) fn down(&self) -> Option<&Why> {
        match self.said.last() {
            Some(Signal::Down(why)) => Some(why),
            _ => None,
        }
    }

    /// The connection was closed for this, and the peer is told.
    #[track_caller]
    pub(super) fn expect(&mut self, error: TransportError, what: &str) {
        let code = error.to_wire();
        let why = Why::Lost(Lost::Transport { code, by_peer: false });
        assert_eq!(self.down(), Some(&why), "{what}");
        let told = self.frames();
        let close = format!("ConnectionClose {{ code: {code}, frame_type: Some(0), reason: [] }}");
        assert_eq!(told, [close], "{what}");
    }

    /// The connection is as it was.
    #[track_caller]
    pub(super) fn expect_alive(&mut self, what: &str) {
        assert_eq!(self.down(), None, "{what}");
        self.datagrams();
        self.say(&[Frame::Ping]);
        self.say(&[Frame::Ping]);
        assert!(self.frames().iter().any(|frame| frame.contains("Ack")), "{what}: no answer");
    }
}
