//! What a server's PDUs do to a session.

use super::{Chunk, Client, Input, State};
use crate::error::Violation;
use crate::limits;
use crate::session::Cx;
use crate::session::media::pdu::{ChunkHead, Kind, Pdu};
use crate::session::media::reader::Item;
use crate::session::media::{EndReason, Event, Grant};

impl Client {
    pub(super) fn on_item(&mut self, cx: &mut Cx<'_>, item: Item) {
        match item {
            Item::Pdu(Pdu::OpenAck(grant)) => self.on_ack(cx, grant),
            Item::Pdu(Pdu::OpenNack(nack)) => {
                let asked = self.state == State::OpenSent;
                self.expect(cx, Input::OpenNack);
                if asked {
                    cx.events.push_back(crate::Event::Media(self.id, Event::Refused(nack)));
                    self.finish(cx, EndReason::Peer);
                }
            }
            Item::Pdu(Pdu::OpenStream(_)) | Item::Malformed(Kind::OpenStream, _) => {
                self.expect(cx, Input::OpenStream);
            }
            Item::Malformed(kind, why) => {
                self.violation(cx, Violation::PduMalformed { kind: kind.to_wire(), why });
            }
            Item::Pdu(Pdu::PauseStream) => self.expect(cx, Input::PauseStream),
            Item::Pdu(Pdu::ResumeStream) => self.expect(cx, Input::ResumeStream),
            Item::Pdu(Pdu::Heartbeat(_)) => self.expect(cx, Input::Heartbeat),
            Item::Pdu(Pdu::CloseStream) => {
                let reason = self.reason_of_close();
                self.apply(Input::CloseStream);
                self.finish(cx, reason);
            }
            Item::Chunk(head) => self.on_chunk(cx, head),
            Item::Unknown(_) => {
                self.apply(Input::Unknown);
                self.ignore(cx);
            }
            Item::Skipped | Item::Blocked => {}
            Item::Finished => {
                let local = self.state == State::Closing;
                self.read_done = true;
                self.apply(Input::Fin);
                self.finish(cx, if local { EndReason::Local } else { EndReason::Peer });
            }
            Item::Broken(rule) => self.violation(cx, rule),
            Item::Ended(end) => self.on_stream_end(cx, end),
        }
    }

    fn on_ack(&mut self, cx: &mut Cx<'_>, grant: Grant) {
        let asked = self.state == State::OpenSent;
        self.expect(cx, Input::OpenAck);
        if asked {
            self.session = self.reader.session();
            self.liveness.grant(cx.now, grant.keepalive, grant.timeout);
            self.position = grant.start;
            cx.events.push_back(crate::Event::Media(self.id, Event::Opened(grant.clone())));
            self.grant = Some(grant);
        }
    }

    fn on_chunk(&mut self, cx: &mut Cx<'_>, head: ChunkHead) {
        if !matches!(self.state, State::Streaming | State::Paused) {
            self.reader.skip_payload();
            return self.expect(cx, Input::StreamChunk);
        }
        self.expect(cx, Input::StreamChunk);
        let got = u64::from(head.sequence);
        let expected = self.next_sequence.unwrap_or(got.max(1));
        if got < expected {
            let expected = u32::try_from(expected).unwrap_or(u32::MAX);
            return self.violation(cx, Violation::ChunkSequence { expected, got: head.sequence });
        }
        self.missed += got - expected;
        self.next_sequence = Some(got + 1);
        if let Some(grant) = &self.grant {
            let begin = ((got - 1) * u64::from(grant.chunk)).max(grant.start);
            self.position = begin.saturating_add(u64::from(head.len));
        }
        self.chunk = Some(Chunk { sequence: head.sequence, len: head.len, offset: 0 });
    }

    /// CLOSE_STREAM says that the media is at its end. Where its length is known, it is believed
    /// only if everything has come.
    fn reason_of_close(&self) -> EndReason {
        match (self.state, &self.grant) {
            (State::Closing, _) => EndReason::Local,
            (_, Some(grant)) if grant.size.is_none_or(|size| self.position >= size) => {
                EndReason::Complete
            }
            (_, _) => EndReason::Peer,
        }
    }

    /// A PDU of a known type: where it is out of place it is ignored.
    fn expect(&mut self, cx: &mut Cx<'_>, input: Input) {
        if !self.apply(input) {
            log::warn!("{}: {input:?} ignored in {}", self.id, self.state.name());
            self.ignore(cx);
        }
    }

    fn ignore(&mut self, cx: &mut Cx<'_>) {
        self.ignored = self.ignored.saturating_add(1);
        if self.ignored > limits::MAX_IGNORED {
            self.violation(cx, Violation::TooManyIgnored);
        }
    }
}
