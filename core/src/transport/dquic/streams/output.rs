//! What goes into packets, and what becomes of it.

use std::time::Duration;

use super::Streams;
use super::openings::DIRS;
use crate::id::StreamId;
use crate::time::Instant;
use crate::transport::dquic::frame::Frame;
use crate::transport::dquic::out::Out;
use crate::transport::dquic::recovery::{Carried, Item};

/// The packet is full.
struct Full;

/// A packet that is being filled.
struct Packet<'p, 'o> {
    out: &'p mut Out<'o>,
    carried: &'p mut Carried,
}

impl Packet<'_, '_> {
    fn write(&mut self, frame: &Frame<'_>, item: Item) -> Result<(), Full> {
        if !frame.write(self.out) {
            return Err(Full);
        }
        self.carried.items.push(item);
        Ok(())
    }
}

impl Streams {
    /// Whether [`Streams::write_frames`] would write something, given room.
    pub(crate) fn wants_to_send(&self) -> bool {
        let pending = &self.pending;
        pending.max_data
            || pending.data_blocked
            || self.window.is_low()
            || !self.schedule.is_empty()
            || !pending.max_stream_data.is_empty()
            || !pending.resets.is_empty()
            || !pending.stops.is_empty()
            || !pending.stream_data_blocked.is_empty()
            || DIRS.into_iter().any(|dir| {
                self.openings.max_streams(dir).is_some()
                    || self.openings.streams_blocked(dir).is_some()
            })
    }

    /// Fills a packet: what is about credit and ends first, then the data of streams by rank.
    /// What was written is added to `carried`.
    pub(crate) fn write_frames(
        &mut self,
        now: Instant,
        smoothed_rtt: Duration,
        out: &mut Out<'_>,
        carried: &mut Carried,
    ) {
        let mut packet = Packet { out, carried };
        // What does not fit goes into the next packet.
        let _ = self.write_credit(now, smoothed_rtt, &mut packet);
        let _ = self.write_ends(&mut packet);
        let _ = self.write_blocked(&mut packet);
        self.write_data(&mut packet);
    }

    fn write_credit(
        &mut self,
        now: Instant,
        rtt: Duration,
        packet: &mut Packet<'_, '_>,
    ) -> Result<(), Full> {
        if self.pending.max_data || self.window.is_low() {
            self.pending.max_data = true;
            packet.write(&Frame::MaxData(self.window.renew(now, rtt)), Item::MaxData)?;
            self.pending.max_data = false;
        }
        for dir in DIRS {
            if let Some(max) = self.openings.max_streams(dir) {
                packet.write(&Frame::MaxStreams { dir, max }, Item::MaxStreams(dir))?;
                self.openings.on_max_streams_sent(dir, max);
            }
        }
        while let Some(id) = self.pending.max_stream_data.first().copied() {
            if let Some(recv) = self.recv_half(id) {
                let max = recv.window.renew(now, rtt);
                packet.write(&Frame::MaxStreamData { id, max }, Item::MaxStreamData(id))?;
            }
            self.pending.max_stream_data.remove(&id);
        }
        Ok(())
    }

    fn write_ends(&mut self, packet: &mut Packet<'_, '_>) -> Result<(), Full> {
        while let Some(id) = self.pending.resets.first().copied() {
            if let Some(frame) = self.send_half(id).and_then(|send| send.reset_frame(id)) {
                packet.write(&frame, Item::ResetStream(id))?;
            }
            self.pending.resets.remove(&id);
        }
        while let Some(id) = self.pending.stops.first().copied() {
            if let Some(frame) = self.recv_half(id).and_then(|recv| recv.stop_frame(id)) {
                packet.write(&frame, Item::StopSending(id))?;
            }
            self.pending.stops.remove(&id);
        }
        Ok(())
    }

    fn write_blocked(&mut self, packet: &mut Packet<'_, '_>) -> Result<(), Full> {
        let max = self.peer.max_data;
        if self.pending.data_blocked && self.written >= max {
            packet.write(&Frame::DataBlocked(max), Item::DataBlocked)?;
            self.pending.told_blocked = Some(max);
        }
        self.pending.data_blocked = false;
        while let Some(id) = self.pending.stream_data_blocked.first().copied() {
            if let Some(send) = self.send_half(id)
                && send.credit_left() == 0
            {
                let max = send.credit;
                packet.write(&Frame::StreamDataBlocked { id, max }, Item::StreamDataBlocked(id))?;
                send.told_blocked = Some(max);
            }
            self.pending.stream_data_blocked.remove(&id);
        }
        for dir in DIRS {
            if let Some(max) = self.openings.streams_blocked(dir) {
                packet.write(&Frame::StreamsBlocked { dir, max }, Item::StreamsBlocked(dir))?;
                self.openings.on_streams_blocked_sent(dir, max);
            }
        }
        Ok(())
    }

    fn write_data(&mut self, packet: &mut Packet<'_, '_>) {
        while let Some((rank, id)) = self.schedule.pop() {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            stream.is_scheduled = false;
            let Some(send) = &mut stream.send else { continue };
            let Some(item) = send.write_frame(id, packet.out) else {
                if send.is_pending() {
                    stream.is_scheduled = true;
                    self.schedule.put_back(rank, id);
                    return;
                }
                continue;
            };
            packet.carried.items.push(item);
            self.schedule_pending(id);
        }
    }

    /// A packet with this has arrived.
    pub(crate) fn on_acked(&mut self, carried: &Carried) {
        for item in &carried.items {
            match *item {
                Item::Stream { id, ref range, fin } => {
                    let freed =
                        self.send_half(id).map_or(0, |send| send.on_acked(range.clone(), fin));
                    self.held -= freed;
                    self.look = true;
                    self.tidy(id);
                }
                Item::ResetStream(id) => {
                    if let Some(send) = self.send_half(id) {
                        send.on_reset_acked();
                    }
                    self.tidy(id);
                }
                Item::StopSending(_)
                | Item::MaxData
                | Item::MaxStreamData(_)
                | Item::MaxStreams(_)
                | Item::DataBlocked
                | Item::StreamDataBlocked(_)
                | Item::StreamsBlocked(_)
                | Item::NewConnectionId(_)
                | Item::RetireConnectionId(_) => {}
            }
        }
    }

    /// After an acknowledgement there may be nothing left to send, and nothing of the stream.
    fn tidy(&mut self, id: StreamId) {
        if self.send_half(id).is_some_and(|send| !send.is_pending()) {
            self.unschedule(id);
        }
        self.remove_if_over(id);
    }

    /// A packet with this has to be sent again: limits and states as they are by then, and of
    /// data what has not arrived otherwise.
    pub(crate) fn on_lost(&mut self, carried: &Carried) {
        for item in &carried.items {
            match *item {
                Item::Stream { id, ref range, fin } => {
                    if let Some(send) = self.send_half(id) {
                        send.on_lost(range.clone(), fin);
                    }
                    self.schedule_pending(id);
                }
                Item::ResetStream(id) => {
                    if self.send_half(id).is_some_and(|send| send.reset_frame(id).is_some()) {
                        self.pending.resets.insert(id);
                    }
                }
                Item::StopSending(id) => {
                    if self.recv_half(id).is_some_and(|recv| recv.stop_frame(id).is_some()) {
                        self.pending.stops.insert(id);
                    }
                }
                Item::MaxData => self.pending.max_data = true,
                Item::MaxStreamData(id) => {
                    if self.recv_half(id).is_some_and(|recv| recv.takes_credit()) {
                        self.pending.max_stream_data.insert(id);
                    }
                }
                Item::MaxStreams(dir) => self.openings.on_max_streams_lost(dir),
                Item::DataBlocked => self.pending.data_blocked = self.written >= self.peer.max_data,
                Item::StreamDataBlocked(id) => {
                    if self.send_half(id).is_some_and(|send| send.lacks_credit()) {
                        self.pending.stream_data_blocked.insert(id);
                    }
                }
                Item::StreamsBlocked(dir) => self.openings.on_streams_blocked_lost(dir),
                Item::NewConnectionId(_) | Item::RetireConnectionId(_) => {}
            }
        }
    }
}
