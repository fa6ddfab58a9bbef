//! What a client's PDUs do to a session.

use std::time::Duration;

use super::play::Play;
use super::{Input, Server, State};
use crate::error::Violation;
use crate::limits;
use crate::planted::{self, Bug};
use crate::session::Cx;
use crate::session::media::pdu::{Kind, OpenStream, Pdu};
use crate::session::media::reader::Item;
use crate::session::media::{EndReason, Event, Nack};

impl Server {
    /// Whether to go on reading.
    pub(super) fn on_item(&mut self, cx: &mut Cx<'_>, item: Item) -> bool {
        match item {
            Item::Pdu(Pdu::OpenStream(open)) => self.on_open(cx, &open),
            Item::Malformed(Kind::OpenStream, why) => {
                log::warn!("{}: malformed OPEN_STREAM: {why}", self.id);
                self.refuse(cx, Nack::ProtocolViolation);
            }
            Item::Malformed(kind, why) => {
                self.violation(cx, Violation::PduMalformed { kind: kind.to_wire(), why });
            }
            Item::Pdu(Pdu::OpenAck(_)) => self.expect(cx, Input::OpenAck),
            Item::Pdu(Pdu::OpenNack(_)) => self.expect(cx, Input::OpenNack),
            Item::Pdu(Pdu::Heartbeat(_)) => self.expect(cx, Input::Heartbeat),
            Item::Pdu(Pdu::PauseStream) => self.on_pause(cx),
            Item::Pdu(Pdu::ResumeStream) => self.on_resume(cx),
            Item::Pdu(Pdu::CloseStream) => {
                self.say_close(cx, Input::CloseStream, EndReason::Peer);
            }
            Item::Chunk(_) => {
                self.reader.skip_payload();
                self.expect(cx, Input::StreamChunk);
            }
            Item::Unknown(_) => {
                self.apply(Input::Unknown);
                self.ignore(cx);
            }
            Item::Skipped => {}
            Item::Blocked => return false,
            Item::Finished => {
                self.read_done = true;
                self.say_close(cx, Input::Fin, EndReason::Peer);
            }
            Item::Broken(rule) => self.violation(cx, rule),
            Item::Ended(end) => self.on_stream_end(cx, end),
        }
        true
    }

    fn on_open(&mut self, cx: &mut Cx<'_>, open: &OpenStream) {
        if self.state != State::Idle {
            return self.refuse(cx, Nack::ProtocolViolation);
        }
        if cx.draining {
            return self.refuse(cx, Nack::GoingAway);
        }
        match cx.hub.grant(open, cx.policy) {
            Err(nack) => self.refuse(cx, nack),
            Ok((media, grant)) => {
                self.apply(Input::OpenStream);
                self.liveness.grant(cx.now, grant.keepalive, grant.timeout);
                self.say(&Pdu::OpenAck(grant.clone()));
                cx.events.push_back(crate::Event::Media(self.id, Event::Opened(grant.clone())));
                self.play = Some(Play::new(media, grant, cx.policy.startup_burst, cx.dialect));
            }
        }
    }

    /// Says no to an OPEN_STREAM; the state stays.
    fn refuse(&mut self, cx: &mut Cx<'_>, nack: Nack) {
        log::debug!("{}: OPEN_STREAM in {} refused: {nack:?}", self.id, self.state.name());
        self.say(&Pdu::OpenNack(nack));
        self.apply(Input::OpenRefused);
        self.ignore(cx);
    }

    fn on_pause(&mut self, cx: &mut Cx<'_>) {
        let before = self.state;
        self.expect(cx, Input::PauseStream);
        if before != State::Paused && self.state == State::Paused {
            self.paused_at = Some(cx.now);
            self.prod.restart(cx.now);
            // A pause may be long, and there may be many: they hold no media.
            let leaks = planted::is(Bug::PauseLeaks) && !self.outbox.is_empty();
            if let Some(play) = self.play.as_mut().filter(|_| !leaks) {
                play.source.rest();
            }
            cx.events.push_back(crate::Event::Media(self.id, Event::Paused));
        }
    }

    fn on_resume(&mut self, cx: &mut Cx<'_>) {
        let before = self.state;
        self.expect(cx, Input::ResumeStream);
        if before == State::Paused && self.state == State::Streaming {
            let pause = self.paused_at.take().map_or(Duration::ZERO, |at| cx.now.since(at));
            self.paused += pause;
            let skipped = self.play.as_mut().map_or(0, |play| play.resume(cx.now, pause));
            cx.events.push_back(crate::Event::Media(self.id, Event::Resumed { skipped }));
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
