//! What goes out.

use super::Connection;
use crate::io::{Path, Transmit};
use crate::limits::{MAX_SEGMENTED, MAX_SEGMENTS, MIN_INITIAL_DATAGRAM};
use crate::time::Instant;
use crate::transport::dquic::frame::Frame;
use crate::transport::dquic::out::Out;
use crate::transport::dquic::packet::{self, DATA_OVERHEAD, TAG};
use crate::transport::dquic::recovery::{Carried, Item};
use crate::transport::dquic::state::State;

/// The smallest packet worth sending.
pub(super) const MIN_PACKET: usize = 64;
const _: () = assert!(MIN_PACKET > DATA_OVERHEAD);

impl Connection {
    /// The next datagram, or run of datagrams.
    pub(super) fn next_run(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        match self.state {
            State::Idle | State::Draining | State::Closed => None,
            State::Connecting => {
                let hello = self.hello(now)?;
                self.whole(&hello, buf)
            }
            State::Accepting => {
                let welcome = self.welcome(now)?;
                self.whole(&welcome, buf)
            }
            State::Established => {
                let run = self.established_run(now, buf);
                // What an address that is not proved has no room for waits for more from there,
                // and not for the time at which it might leave.
                let waits = run.is_none() && self.has_more() && self.recovery.may_send(now) == 0;
                self.timing.release = if waits { self.recovery.release() } else { None };
                run
            }
            State::Closing => self.say_close(now, buf),
        }
    }

    fn on_path(path: Path, len: usize) -> Transmit {
        Transmit { path, ecn: None, len, segment: None, at: None }
    }

    fn whole(&mut self, datagram: &[u8], buf: &mut [u8]) -> Option<Transmit> {
        if self.paths.allowance() < datagram.len() as u64 {
            return None;
        }
        buf.get_mut(..datagram.len())?.copy_from_slice(datagram);
        Some(Self::on_path(self.paths.current(), datagram.len()))
    }

    fn established_run(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        if let Some(transmit) = self.path_answer(now, buf) {
            return Some(transmit);
        }
        if let Some(transmit) = self.path_challenge(now, buf) {
            return Some(transmit);
        }
        if self.allowed() < MIN_PACKET {
            return None;
        }
        if let Some(transmit) = self.mtu_probe(now, buf) {
            return Some(transmit);
        }
        let size = self.allowed().min(self.mtu.current());
        let first = self.data(now, buf.get_mut(..size)?, true)?;
        let mut transmit = Self::on_path(self.paths.current(), first);
        if !self.paths.is_validated() {
            return Some(transmit);
        }
        let room = buf.len().min(MAX_SEGMENTED);
        for _ in 1..MAX_SEGMENTS {
            let end = transmit.len + first;
            // Runs are for bulk: whatever does not fill its packets is soon complete.
            if end > room || !self.streams.wants_to_send() {
                break;
            }
            let Some(len) = self.data(now, &mut buf[transmit.len..end], false) else { break };
            transmit.len += len;
            transmit.segment = Some(first);
            if len < first {
                break;
            }
        }
        Some(transmit)
    }

    /// Bytes that may be sent on the path in use.
    fn allowed(&self) -> usize {
        usize::try_from(self.paths.allowance()).unwrap_or(usize::MAX)
    }

    /// Bytes that a challenge or its answer may have: they show that the path carries packets
    /// of the smallest size everywhere (RFC 9000 section 8.2.1).
    fn padded(&self) -> usize {
        self.allowed().min(MIN_INITIAL_DATAGRAM)
    }

    fn path_answer(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let (path, data, large) = self.paths.answer()?;
        let here = path == self.paths.current();
        // Elsewhere it is no longer than what asked for it.
        let size = match (large, here) {
            (true, true) => self.padded(),
            (true, false) => MIN_INITIAL_DATAGRAM,
            (false, true) => self.allowed().min(MIN_PACKET),
            (false, false) => MIN_PACKET,
        };
        let len =
            self.frame_packet(now, buf.get_mut(..size)?, &Frame::PathResponse(data), large)?;
        Some(Self::on_path(path, len))
    }

    fn path_challenge(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let last = self.paths.current();
        let data = self.paths.challenge(now, self.recovery.pto());
        let path = self.paths.current();
        if path != last {
            // The new one was given up.
            self.path_changed(now, last.remote, path.remote);
        }
        // One that finds no room counts as lost. A part of a datagram is worth no more than none.
        let large = self.allowed() >= MIN_INITIAL_DATAGRAM;
        let size = if large { MIN_INITIAL_DATAGRAM } else { self.allowed().min(MIN_PACKET) };
        let frame = Frame::PathChallenge(data?);
        let len = self.frame_packet(now, buf.get_mut(..size)?, &frame, large)?;
        Some(Self::on_path(path, len))
    }

    fn mtu_probe(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        // Only bulk data is worth a search.
        if !self.paths.is_validated() || !self.streams.wants_to_send() {
            return None;
        }
        let size = self.mtu.probe(now)?;
        if self.recovery.may_send(now) < size {
            return None;
        }
        let packet = buf.get_mut(..size)?;
        let mut out = self.begin(packet)?;
        Frame::Ping.write(&mut out);
        out.pad_to(size - TAG);
        let len = out.len();
        packet::seal(packet, len);
        self.recovery.on_probe_sent(now, size);
        self.timing.asked(now);
        self.mtu.probed(size);
        Some(Self::on_path(self.paths.current(), size))
    }

    fn begin<'a>(&self, packet: &'a mut [u8]) -> Option<Out<'a>> {
        let room = packet.len().checked_sub(TAG)?;
        let mut out = Out::new(&mut packet[..room]);
        let dcid = self.peer.current().cid;
        let number = self.recovery.next_number();
        packet::begin_data(&mut out, dcid.as_slice(), number).then_some(out)
    }

    /// A packet with one frame that is never sent again by itself.
    fn frame_packet(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        frame: &Frame<'_>,
        fill: bool,
    ) -> Option<usize> {
        let mut out = self.begin(packet)?;
        if !frame.write(&mut out) {
            return None;
        }
        if fill {
            out.pad_to(usize::MAX);
        }
        let len = out.len();
        let len = packet::seal(packet, len);
        if frame.is_ack_eliciting() {
            self.timing.asked(now);
        }
        self.recovery.on_sent(now, len, frame.is_ack_eliciting(), Carried::default());
        Some(len)
    }

    /// A packet with whatever there is to send; `first` of its run.
    fn data(&mut self, now: Instant, packet: &mut [u8], first: bool) -> Option<usize> {
        let probes = self.recovery.probes_owed();
        // A probe has to arrive, whatever the path has become.
        let size = if probes > 0 { packet.len().min(MIN_INITIAL_DATAGRAM) } else { packet.len() };
        let packet = &mut packet[..size];
        let may = probes > 0 || self.recovery.may_send(now) >= size;
        let mut out = self.begin(packet)?;
        let empty = out.len();
        let mut carried = Carried::default();
        let news = self.received.is_wanted() || first && self.received.is_unconfirmed();
        if self.received.is_due(now) || may && news && self.has_more() {
            carried.ack = self.received.write(now, &mut out);
        }
        let quiet = out.len();
        if may {
            self.control_frames(&mut out, &mut carried);
            let rtt = self.recovery.smoothed_rtt();
            self.streams.write_frames(now, rtt, &mut out, &mut carried);
            if (self.ping || probes > 0) && out.len() == quiet {
                Frame::Ping.write(&mut out);
            }
            self.ping &= out.len() == quiet;
        }
        let len = out.len();
        if len == empty {
            if may {
                self.recovery.on_app_limited();
            }
            return None;
        }
        let eliciting = len > quiet;
        let len = packet::seal(packet, len);
        if eliciting {
            self.timing.asked(now);
        }
        self.recovery.on_sent(now, len, eliciting, carried);
        Some(len)
    }

    /// Whether there is something to send besides an acknowledgement.
    fn has_more(&self) -> bool {
        self.ping
            || self.recovery.probes_owed() > 0
            || self.own.untold().is_some()
            || self.peer.untold().is_some()
            || self.streams.wants_to_send()
    }

    fn control_frames(&mut self, out: &mut Out<'_>, carried: &mut Carried) {
        while let Some((sequence, frame)) = self.own.untold() {
            if !frame.write(out) {
                return;
            }
            self.own.told(sequence);
            carried.items.push(Item::NewConnectionId(sequence.into()));
        }
        while let Some(sequence) = self.peer.untold() {
            if !Frame::RetireConnectionId(sequence).write(out) {
                return;
            }
            self.peer.told(sequence);
            carried.items.push(Item::RetireConnectionId(sequence));
        }
    }

    fn say_close(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        if !std::mem::take(&mut self.close_owed) {
            return None;
        }
        let close = self.close.clone()?;
        let frame = Frame::ConnectionClose {
            code: close.code,
            frame_type: (!close.is_app).then_some(0),
            reason: &close.reason,
        };
        let size = self.padded();
        let len = self.frame_packet(now, buf.get_mut(..size)?, &frame, false)?;
        Some(Self::on_path(self.paths.current(), len))
    }
}
