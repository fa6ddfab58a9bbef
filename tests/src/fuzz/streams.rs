//! Everything above the transport, against a peer that does whatever the input says: control,
//! routing, and media in both roles and both dialects.

use std::time::Duration;

use anabranch_core::media;
use anabranch_core::trace::{Contents, Recorder};
use anabranch_core::{Code, Dialect, Lost, SessionId, Side, Why};
use bytes::Bytes;

use super::fake::lock;
use super::input::Input;
use super::run::{Run, replayed};

/// One endpoint, one connection, and a peer that does what the input says.
pub fn streams(data: &[u8]) {
    play(data, None);
}

/// The same, recorded; what was recorded is replayed.
pub fn replays(data: &[u8]) {
    let payload = data.first().is_some_and(|setup| setup & 16 != 0);
    let contents = Contents { transport: true, payload, datagrams: false };
    play(data, Some(contents)).iter().for_each(replayed);
}

fn play(data: &[u8], record: Option<Contents>) -> Option<Recorder> {
    let mut input = Input::new(data);
    let setup = input.u8();
    let side = if setup & 1 == 0 { Side::Server } else { Side::Client };
    let dialect = if setup & 2 == 0 { Dialect::Classic } else { Dialect::V1 };
    let room = if setup & 4 == 0 { 1 << 20 } else { usize::from(setup) };
    let mut run = Run::recorded(side, dialect, room, record);
    run.reads = setup & 8 == 0;
    run.start(side);
    let mut steps = 0;
    while !input.is_empty() && steps < 1_000 {
        steps += 1;
        run.step(&mut input);
        run.settle();
    }
    run.finish();
    run.recorder
}

impl Run {
    fn step(&mut self, input: &mut Input<'_>) {
        match input.u8() % 14 {
            0 => {
                let (at, len) = (input.u8(), usize::from(input.u16()) % 2_048);
                self.peer_sends(at, input.take(len), false);
            }
            1 | 2 => {
                let (at, pdu) = (input.u8(), pdu(input));
                self.peer_sends(at, &pdu, false);
            }
            3 => self.peer_sends(input.u8(), &[], true),
            4 => {
                let (at, code) = (input.u8(), Code::from_wire(u64::from(input.u8())));
                let mut world = lock(&self.world);
                if let Some(id) = world.stream(at) {
                    if code.to_wire() & 1 == 0 {
                        world.peer_resets(id, code);
                    } else {
                        world.peer_stops(id, code);
                    }
                }
            }
            5 => {
                let (bytes, streams) = (usize::from(input.u16()) * 16, u32::from(input.u8() & 3));
                lock(&self.world).give_room(bytes, streams);
            }
            6 => {
                let power = u32::from(input.u8() % 14);
                self.now = self.now + Duration::from_millis(5 << power);
                self.endpoint.handle_timeout(self.now);
            }
            7 => self.open(input),
            8 => self.command(input),
            9 => self.ask(input),
            10 => self.reads = !self.reads,
            11 | 12 => self.supply(input),
            _ => self.end(input),
        }
        self.knock();
    }

    fn peer_sends(&mut self, at: u8, bytes: &[u8], fin: bool) {
        let mut world = lock(&self.world);
        if let Some(id) = world.stream(at) {
            world.send(id, bytes, fin);
        }
    }

    fn open(&mut self, input: &mut Input<'_>) {
        let Some(conn) = self.conn else { return };
        let bits = input.u8();
        let request = media::Request {
            name: (bits & 1 != 0).then(|| "clip".to_owned()),
            bitrates: vec![240_000; usize::from(bits & 3)],
            start: match bits >> 2 & 3 {
                0 | 1 => media::Start::Beginning,
                2 => media::Start::Sequence(2),
                _ => media::Start::Byte(70_000),
            },
            pause: if bits & 16 == 0 { media::PausePolicy::Hold } else { media::PausePolicy::Live },
            ..media::Request::default()
        };
        let Ok(mut handle) = self.endpoint.conn(self.now, conn) else { return };
        self.sessions.extend(handle.open_media(request).ok());
    }

    fn command(&mut self, input: &mut Input<'_>) {
        let (Some(conn), what) = (self.conn, input.u8()) else { return };
        let Ok(mut handle) = self.endpoint.conn(self.now, conn) else { return };
        let which = usize::from(what >> 2) % self.sessions.len().max(1);
        let id = self.sessions.get(which).copied().unwrap_or(SessionId(0));
        let Ok(mut session) = handle.media(id) else { return };
        // Refusals are answers, too: only a panic is a failure.
        let _ = match what & 3 {
            0 => session.pause(),
            1 => session.resume(),
            2 => session.close(),
            _ => session.source_failed(),
        };
    }

    fn ask(&mut self, input: &mut Input<'_>) {
        let (Some(conn), what) = (self.conn, input.u8()) else { return };
        let Ok(mut handle) = self.endpoint.conn(self.now, conn) else { return };
        let _ = match what & 3 {
            0 => handle.ping(),
            1 => handle.list(None),
            _ => handle.list(Some("clip")),
        };
    }

    fn supply(&mut self, input: &mut Input<'_>) {
        let how = input.u8();
        let Some(conn) = self.conn else { return };
        let Some((session, offset, len)) = self.wanted.pop() else { return };
        let Ok(mut handle) = self.endpoint.conn(self.now, conn) else { return };
        let Ok(mut session) = handle.media(session) else { return };
        let short = if how & 1 == 0 { len } else { len / 2 };
        let offset = if how & 0x30 == 0x30 { offset + 1 } else { offset };
        let _ = session.supply(offset, Bytes::from(vec![how; short]), short < len || how & 2 != 0);
    }

    fn end(&mut self, input: &mut Input<'_>) {
        let what = input.u8();
        match what & 7 {
            0 => lock(&self.world).goes_down(Why::Lost(Lost::IdleTimeout)),
            1 => self.endpoint.drain(self.now, Duration::from_secs(u64::from(what))),
            2 => {
                if let Some(Ok(mut handle)) = self.conn.map(|id| self.endpoint.conn(self.now, id)) {
                    handle.close(Code::None, "enough");
                }
            }
            _ => {}
        }
    }
}

/// A PDU with a good header, and a body from the input. OPEN_STREAM and chunks without a body of
/// their own get a good one.
fn pdu(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, flags, len) = (input.u8() % 10, input.u8(), usize::from(input.u8()));
    let given = input.take(len);
    let body = match (kind, given) {
        (1, []) => b"\0\x04h264\0\x08baseline\x01\0\x07\xa1\x20\0\0".to_vec(),
        (2, []) => [500_000u32, 1_024, 5, 30].iter().flat_map(|n| n.to_be_bytes()).collect(),
        (4, payload) => {
            let mut body = u32::from(flags).to_be_bytes().to_vec();
            body.extend(u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
            body.extend(payload);
            body
        }
        (8, []) => vec![0; 8],
        (_, given) => given.to_vec(),
    };
    let mut out = vec![1, kind, flags & 0x0f, 0, 0, 0, 0x30, 0x39];
    out.extend(u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    out.extend(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use anabranch_core::Misuse;
    use anabranch_core::media::Request;

    #[test]
    fn the_control_stream_comes_first_even_if_it_has_to_wait() {
        let mut run = Run::new(Side::Client, Dialect::V1, 1 << 20);
        lock(&run.world).allow_no_streams();
        run.start(Side::Client);
        run.settle();
        let id = run.conn.expect("it was dialled");
        let ask = |run: &mut Run| {
            let mut conn = run.endpoint.conn(run.now, id).expect("it is there");
            conn.open_media(Request::default()).map(drop)
        };
        assert!(matches!(ask(&mut run), Err(Misuse::TooMuch { limit: 0, .. })));
        // Nothing but the transport's word makes it open.
        lock(&run.world).give_room(0, 1);
        assert!(run.endpoint.conn(run.now, id).is_ok());
        run.settle();
        assert_eq!(lock(&run.world).opened(), 1);
        assert!(matches!(ask(&mut run), Err(Misuse::TooMuch { limit: 0, .. })));
        lock(&run.world).give_room(0, 1);
        assert_eq!(ask(&mut run), Ok(()));
        assert_eq!(lock(&run.world).opened(), 2);
    }
}
