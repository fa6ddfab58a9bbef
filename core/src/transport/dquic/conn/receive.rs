//! What comes in.

use super::Connection;
use crate::error::{Lost, Why};
use crate::id::Side;
use crate::io::Path;
use crate::limits;
use crate::time::Instant;
use crate::transport::Signal;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::{Frame, Frames};
use crate::transport::dquic::ids::PeerId;
use crate::transport::dquic::packet::Packet;
use crate::transport::dquic::paths::Proof;
use crate::transport::dquic::recovery::{Carried, Item};
use crate::transport::dquic::state::{Input, State};
use crate::transport::dquic::why;

/// A DATA packet, and where it came from.
#[derive(Clone, Copy)]
struct Data<'a> {
    path: Path,
    /// Bytes of the whole datagram.
    len: usize,
    /// The sequence number of the id it was sent to. `None`: a client's first id.
    used: Option<u32>,
    number: u64,
    frames: &'a [u8],
}

impl Connection {
    pub(super) fn take_datagram(&mut self, now: Instant, path: Path, bytes: &[u8]) {
        if !self.paths.accepts(path) {
            return;
        }
        let Some(packet) = Packet::read(bytes) else { return };
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes.len() as u64;
        self.paths.received(path, bytes.len());
        match packet {
            Packet::Hello { header, params, .. } if self.side == Side::Server => {
                self.on_hello(now, (path, bytes.len()), &header, params);
                self.speak_up();
            }
            Packet::Retry { header, token } => self.on_retry(now, &header, token),
            Packet::Version { header, versions } => self.on_version(&header, versions),
            Packet::Welcome { header, params } => self.on_welcome(now, &header, params),
            Packet::Data { dcid, number, frames } => {
                let used = self.own.sequence(dcid);
                self.on_data(now, &Data { path, len: bytes.len(), used, number, frames });
            }
            Packet::Reset { token } => {
                if self.believed == Some(token) {
                    self.end(Input::Reset, Why::Lost(Lost::StatelessReset));
                }
            }
            Packet::Hello { .. } | Packet::OtherVersion(_) => {}
        }
    }

    fn on_data(&mut self, now: Instant, data: &Data<'_>) {
        if self.received.is_duplicate(data.number) {
            return;
        }
        if self.state == State::Accepting && data.used.is_some() {
            self.on_confirmed(now, data.number);
        }
        match self.state {
            State::Established if data.used.is_some() => self.on_frames(now, data),
            State::Established | State::Idle | State::Draining | State::Closed => {}
            // Nothing else makes sense yet, or any more.
            State::Connecting | State::Accepting | State::Closing => {
                self.look_for_close(now, data);
                self.speak_up();
            }
        }
    }

    /// To a peer that has not heard our close we say it again, ever less often
    /// (RFC 9000 section 10.2.1).
    fn speak_up(&mut self) {
        if self.state == State::Closing {
            self.late += 1;
            self.close_owed |= self.late.is_power_of_two();
        }
    }

    fn look_for_close(&mut self, now: Instant, data: &Data<'_>) {
        for frame in Frames::new(data.frames) {
            if let Ok(frame @ Frame::ConnectionClose { .. }) = frame {
                self.on_close(now, &frame);
            }
        }
    }

    fn on_frames(&mut self, now: Instant, data: &Data<'_>) {
        self.timing.heard(now);
        let (mut eliciting, mut probing, mut empty) = (false, true, true);
        for frame in Frames::new(data.frames) {
            let done = frame.and_then(|frame| {
                eliciting |= frame.is_ack_eliciting();
                probing &= frame.is_probing();
                empty = false;
                self.on_frame(now, data, &frame)
            });
            if let Err(error) = done {
                self.violated(now, error);
            }
            if self.state.is_over() {
                return;
            }
        }
        if empty {
            // RFC 9000 section 12.4.
            self.violated(now, TransportError::ProtocolViolation);
            return;
        }
        let newest = self.received.largest().is_none_or(|largest| data.number > largest);
        self.received.on_packet(now, data.number, eliciting);
        if newest && !probing {
            self.follow(now, data);
        }
    }

    /// The peer's newest packet shows where it is (RFC 9000 section 9.3).
    fn follow(&mut self, now: Instant, data: &Data<'_>) {
        let last = self.paths.current();
        let moved = self.paths.follow(now, data.path, data.len);
        // A client that changes its id with its address gets the same courtesy; one whose NAT
        // changed its mind does not know that it has moved.
        if moved && self.used != data.used {
            self.peer.advance();
        }
        self.used = data.used;
        if moved {
            self.path_changed(now, last.remote, data.path.remote);
        }
    }

    fn on_frame(
        &mut self,
        now: Instant,
        data: &Data<'_>,
        frame: &Frame<'_>,
    ) -> Result<(), TransportError> {
        match frame {
            Frame::Padding(_) | Frame::Ping => {}
            Frame::Ack(ack) => {
                let outcome = self.recovery.on_ack(now, ack)?;
                self.apply(now, &outcome);
            }
            Frame::NewConnectionId { sequence, retire_prior_to, cid, token } => {
                let new = PeerId { cid: *cid, token: Some(*token) };
                let added = self.peer.add(*sequence, *retire_prior_to, new);
                self.believe();
                added?;
            }
            Frame::RetireConnectionId(sequence) => self.own.retired(*sequence, data.used)?,
            Frame::PathChallenge(bytes) => {
                let large = data.len >= limits::MIN_INITIAL_DATAGRAM;
                self.paths.asked(data.path, *bytes, large);
            }
            Frame::PathResponse(bytes) => self.on_path_response(*bytes),
            Frame::ConnectionClose { .. } => self.on_close(now, frame),
            Frame::ResetStream { .. }
            | Frame::StopSending { .. }
            | Frame::Stream(_)
            | Frame::MaxData(_)
            | Frame::MaxStreamData { .. }
            | Frame::MaxStreams { .. }
            | Frame::DataBlocked(_)
            | Frame::StreamDataBlocked { .. }
            | Frame::StreamsBlocked { .. } => self.streams.on_frame(frame)?,
        }
        Ok(())
    }

    fn on_path_response(&mut self, bytes: [u8; 8]) {
        match self.paths.answered(bytes) {
            Proof::None => {}
            Proof::Validated(path) => {
                if path != self.told {
                    self.told = path;
                    self.signals.push_back(Signal::Moved(path));
                }
            }
        }
    }

    fn on_close(&mut self, now: Instant, frame: &Frame<'_>) {
        let Frame::ConnectionClose { code, frame_type, reason } = frame else { return };
        let why = why::by_peer(*code, frame_type.is_none(), reason);
        self.end(Input::PeerClosed, why);
        self.timing.drain(now, self.recovery.pto());
    }

    pub(super) fn ids_acked(&mut self, carried: &Carried) {
        for item in &carried.items {
            if let Item::RetireConnectionId(sequence) = item {
                self.peer.acked(*sequence);
            }
        }
    }

    pub(super) fn ids_lost(&mut self, carried: &Carried) {
        for item in &carried.items {
            match item {
                Item::NewConnectionId(sequence) => {
                    self.own.lost(u32::try_from(*sequence).unwrap_or(u32::MAX));
                }
                Item::RetireConnectionId(sequence) => self.peer.lost(*sequence),
                Item::Stream { .. }
                | Item::ResetStream(_)
                | Item::StopSending(_)
                | Item::MaxData
                | Item::MaxStreamData(_)
                | Item::MaxStreams(_)
                | Item::DataBlocked
                | Item::StreamDataBlocked(_)
                | Item::StreamsBlocked(_) => {}
            }
        }
    }
}
