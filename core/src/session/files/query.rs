//! One question and its answer, on a stream of their own.

use super::line::{Item, Line};
use super::message::{Message, Query, Reply};
use super::types::{End, Ended, Stats};
use super::{Event, tell};
use crate::code::Code;
use crate::error::{Misuse, Violation};
use crate::session::Cx;

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has asked, and waits for the answer.
    Asking,
    /// It was asked, and the application has to answer.
    Answering,
}

/// One end of a question.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(super) line: Line,
    role: Role,
    /// The answer has come, or was given.
    answered: bool,
}

impl Inquiry {
    /// Asks.
    pub(super) fn ask(mut line: Line, query: Query) -> Self {
        line.say(&Message::Query(query));
        line.finish();
        Self { line, role: Role::Asking, answered: false }
    }

    /// Was asked.
    pub(super) fn asked(line: Line, query: Query, cx: &mut Cx<'_>) -> Self {
        tell(cx, line.id, Event::Asked(query));
        Self { line, role: Role::Answering, answered: false }
    }

    /// Answers.
    pub(crate) fn reply(&mut self, cx: &mut Cx<'_>, reply: Reply) -> Result<(), Misuse> {
        if self.role == Role::Asking {
            return Err(Misuse::WrongRole("answering a question"));
        }
        if self.line.has_ended() {
            return Err(Misuse::WrongState { command: "answering a question", state: "answered" });
        }
        self.answered = true;
        self.line.say(&Message::Reply(reply.fit()));
        self.line.finish();
        self.close(cx, End::Complete);
        Ok(())
    }

    /// Wants no answer, or refuses to give one.
    pub(crate) fn cancel(&mut self, cx: &mut Cx<'_>, code: Code, reason: &str) {
        if self.line.has_ended() {
            return;
        }
        match self.role {
            Role::Asking => self.line.cut(cx, code),
            Role::Answering => {
                let reason = super::shorten(reason);
                self.line.say(&Message::Reply(Reply::Refused { code, reason }));
                self.line.finish();
            }
        }
        self.close(cx, End::Local(code));
    }

    fn close(&mut self, cx: &mut Cx<'_>, how: End) {
        if self.line.has_ended() {
            return;
        }
        self.line.end(cx.now);
        let stats = Stats { state: "closed", ..Stats::default() };
        tell(cx, self.line.id, Event::Ended(Box::new(Ended { how, stats })));
        self.line.wind_down(cx);
    }

    /// Something has come, or there is more to do.
    pub(super) fn on_readable(&mut self, cx: &mut Cx<'_>) {
        self.line.more = false;
        while !self.line.has_ended() {
            match self.line.next(cx) {
                Item::Message(Message::Reply(reply))
                    if self.role == Role::Asking && !self.answered =>
                {
                    self.answered = true;
                    tell(cx, self.line.id, Event::Replied(reply));
                    self.close(cx, End::Complete);
                }
                Item::Message(message) => {
                    self.broken(cx, Violation::FileOrder(message.kind()));
                }
                Item::Skipped => {}
                Item::Blocked => break,
                // The end of a question belongs to it; an answer has to come before its end.
                Item::Finished if self.role == Role::Answering => break,
                Item::Finished => self.broken(cx, Violation::FileTruncated),
                Item::Ended(code) => {
                    self.line.cut(cx, Code::Cancelled);
                    self.close(cx, End::Peer(code, String::new()));
                }
                Item::Broken(rule) => self.broken(cx, rule),
            }
        }
        self.on_writable(cx);
    }

    fn broken(&mut self, cx: &mut Cx<'_>, rule: Violation) {
        self.line.cut(cx, rule.code());
        self.close(cx, End::Violation(rule));
    }

    /// The stream takes bytes again.
    pub(super) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        if self.line.has_ended() {
            self.line.wind_down(cx);
        } else if let Err(code) = self.line.flush(cx) {
            self.line.cut(cx, Code::Cancelled);
            self.close(cx, End::Peer(code, String::new()));
        }
    }

    /// The connection is gone.
    pub(super) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        self.line.drop_all();
        self.close(cx, End::ConnectionLost);
    }
}
