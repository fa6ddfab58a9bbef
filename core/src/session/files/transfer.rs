//! A session on a file control stream: which role it has shows with the first message.

use super::line::{Item, Line};
use super::message::{Message, Query, Reply};
use super::query::Inquiry;
use super::receiver::Receiver;
use super::sender::Sender;
use super::types::{Accept, Offer, Request, Stats};
use super::{Event, tell};
use crate::code::Code;
use crate::conn::streams::kind;
use crate::error::{Misuse, Violation};
use crate::id::{SessionId, StreamId};
use crate::session::Cx;
use crate::time::{Deadline, Instant};
use crate::wire::varint;

/// A session on a file control stream.
#[derive(Debug)]
pub(crate) enum Transfer {
    /// The peer has opened it, and said nothing.
    Fresh(Line),
    /// This side sends. After a request: what the peer allows.
    Sender(Box<Sender>, Option<u64>),
    /// This side receives.
    Receiver(Box<Receiver>),
    /// A question.
    Inquiry(Inquiry),
}

/// What a stream begins with.
fn prefix() -> Vec<u8> {
    let mut prefix = Vec::new();
    varint::put(&mut prefix, kind::FILE_CONTROL);
    prefix
}

impl Transfer {
    /// On a stream that the peer has opened.
    pub(crate) fn accepted(id: SessionId, stream: StreamId, cx: &Cx<'_>) -> Self {
        Self::Fresh(Line::new(id, stream, &[], cx))
    }

    /// Offers files, on a stream that was just opened.
    ///
    /// # Errors
    /// The offer breaks a limit.
    pub(crate) fn offer(
        id: SessionId,
        stream: StreamId,
        offer: &Offer,
        cx: &mut Cx<'_>,
    ) -> Result<Self, Misuse> {
        let line = Line::new(id, stream, &prefix(), cx);
        let mut sender = Sender::new(line, offer.token, cx.now);
        sender.offer(cx, offer, None)?;
        Ok(Self::Sender(Box::new(sender), None))
    }

    /// Asks for files, on a stream that was just opened.
    pub(crate) fn request(
        id: SessionId,
        stream: StreamId,
        request: &Request,
        cx: &mut Cx<'_>,
    ) -> Self {
        let line = Line::new(id, stream, &prefix(), cx);
        let mut receiver = Receiver::new(line, request.token, request.accept, cx.now);
        receiver.request(request);
        Self::Receiver(Box::new(receiver))
    }

    /// Asks a question, on a stream that was just opened.
    pub(crate) fn ask(id: SessionId, stream: StreamId, query: Query, cx: &mut Cx<'_>) -> Self {
        Self::Inquiry(Inquiry::ask(Line::new(id, stream, &prefix(), cx), query))
    }

    /// The control stream.
    pub(crate) fn stream(&self) -> StreamId {
        match self {
            Self::Fresh(line) => line.stream,
            Self::Sender(sender, _) => sender.stream(),
            Self::Receiver(receiver) => receiver.stream(),
            Self::Inquiry(inquiry) => inquiry.line.stream,
        }
    }

    /// A data stream that names this transfer.
    pub(crate) fn adopt(&mut self, stream: StreamId, cx: &mut Cx<'_>) {
        match self {
            Self::Receiver(receiver) => receiver.adopt(cx, stream),
            Self::Fresh(_) | Self::Sender(..) | Self::Inquiry(_) => {
                cx.transport.stop(stream, Code::Violation);
                cx.streams.push(crate::session::Claim::Free(stream));
            }
        }
    }

    /// A stream has something to read, or there is more to do.
    pub(crate) fn on_readable(&mut self, stream: StreamId, cx: &mut Cx<'_>) {
        if let Self::Fresh(_) = self {
            self.begin(cx);
        }
        match self {
            Self::Fresh(_) => {}
            Self::Sender(sender, _) => sender.on_readable(cx),
            Self::Receiver(receiver) => receiver.on_readable(cx, stream),
            Self::Inquiry(inquiry) => inquiry.on_readable(cx),
        }
    }

    /// A stream takes bytes again; `None`: one can be opened.
    pub(crate) fn on_writable(&mut self, stream: Option<StreamId>, cx: &mut Cx<'_>) {
        match self {
            Self::Fresh(line) => {
                line.unblock();
                if line.has_ended() {
                    line.wind_down(cx);
                }
            }
            Self::Sender(sender, _) => sender.on_writable(cx, stream),
            Self::Receiver(receiver) if stream.is_some() => receiver.on_writable(cx),
            Self::Receiver(_) => {}
            Self::Inquiry(inquiry) => {
                inquiry.line.unblock();
                inquiry.on_writable(cx);
            }
        }
    }

    /// Its deadline has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Fresh(line) => line.expire(cx),
            Self::Sender(sender, _) => sender.on_timer(cx),
            Self::Receiver(receiver) => receiver.on_timer(cx),
            Self::Inquiry(inquiry) => inquiry.line.expire(cx),
        }
    }

    /// The connection is gone.
    pub(crate) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Fresh(line) => line.drop_all(),
            Self::Sender(sender, _) => sender.on_connection_lost(cx),
            Self::Receiver(receiver) => receiver.on_connection_lost(cx),
            Self::Inquiry(inquiry) => inquiry.on_connection_lost(cx),
        }
    }

    /// When [`Transfer::on_timer`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Fresh(line) => line.deadline(),
            Self::Sender(sender, _) => sender.deadline(),
            Self::Receiver(receiver) => receiver.deadline(),
            Self::Inquiry(inquiry) => inquiry.line.deadline(),
        }
    }

    /// Wants to be called again although no signal will come.
    pub(crate) fn is_runnable(&self) -> bool {
        match self {
            Self::Fresh(line) => line.more,
            Self::Sender(sender, _) => sender.is_runnable(),
            Self::Receiver(receiver) => receiver.is_runnable(),
            Self::Inquiry(inquiry) => inquiry.line.more && !inquiry.line.is_over(),
        }
    }

    /// Its end has been told, or was never worth telling: for the application it is gone.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::Fresh(line) => line.has_ended(),
            Self::Sender(sender, _) => sender.has_ended(),
            Self::Receiver(receiver) => receiver.has_ended(),
            Self::Inquiry(inquiry) => inquiry.line.has_ended(),
        }
    }

    /// The application has been told of the end, and nothing is left to do.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Fresh(line) => line.is_over(),
            Self::Sender(sender, _) => sender.is_over(),
            Self::Receiver(receiver) => receiver.is_over(),
            Self::Inquiry(inquiry) => inquiry.line.is_over(),
        }
    }

    /// The first message of a stream that the peer has opened.
    fn begin(&mut self, cx: &mut Cx<'_>) {
        let Self::Fresh(line) = self else { return };
        if line.has_ended() {
            return line.wind_down(cx);
        }
        line.more = false;
        let message = loop {
            match line.next(cx) {
                Item::Message(message) => break message,
                Item::Skipped => {}
                Item::Blocked => return,
                Item::Finished | Item::Ended(_) => return fresh_end(line, cx, Code::None),
                Item::Broken(rule) => {
                    log::info!("{}: the peer broke a rule: {rule}", line.id);
                    return fresh_end(line, cx, rule.code());
                }
            }
        };
        let is_first =
            matches!(message, Message::Offer { .. } | Message::Request { .. } | Message::Query(_));
        if !is_first {
            return fresh_end(line, cx, Violation::FileOrder(message.kind()).code());
        }
        let (id, stream) = (line.id, line.stream);
        // The bytes that were read with the first message go on with whoever takes it.
        let mut line = std::mem::replace(line, Line::new(id, stream, &[], cx));
        if cx.draining {
            let (code, reason) = (Code::GoingAway, String::new());
            line.say(&match message {
                Message::Query(_) => Message::Reply(Reply::Refused { code, reason }),
                _ => Message::Cancel { code, reason },
            });
            line.finish();
            line.end(cx.now);
            line.wind_down(cx);
            *self = Self::Fresh(line);
            return;
        }
        *self = match message {
            Message::Offer { token, .. } => {
                let mut receiver = Receiver::new(line, token, Accept::default(), cx.now);
                // An offer is legal in front of everything.
                let _ = receiver.on_word(cx, message);
                Self::Receiver(Box::new(receiver))
            }
            Message::Request { token, window, names } => {
                tell(cx, id, Event::Requested { token, names });
                Self::Sender(Box::new(Sender::requested(line, token, cx.now)), Some(window))
            }
            Message::Query(query) => Self::Inquiry(Inquiry::asked(line, query, cx)),
            _ => Self::Fresh(line),
        };
    }
}

/// Nobody was told that it began, so nobody is told that it ends.
fn fresh_end(line: &mut Line, cx: &mut Cx<'_>, code: Code) {
    line.cut(cx, code);
    line.end(cx.now);
}

/// Commands, each for one role.
impl Transfer {
    fn role(&self) -> &'static str {
        match self {
            Self::Fresh(_) => "nobody",
            Self::Sender(..) => "the receiver",
            Self::Receiver(_) => "the sender",
            Self::Inquiry(_) => "a transfer",
        }
    }

    /// The sender.
    pub(crate) fn sender(&mut self) -> Result<&mut Sender, Misuse> {
        match self {
            Self::Sender(sender, _) => Ok(sender),
            Self::Fresh(_) | Self::Receiver(_) | Self::Inquiry(_) => {
                log::debug!("a command for the sender, given to {}", self.role());
                Err(Misuse::WrongRole("sending files"))
            }
        }
    }

    /// The receiver.
    pub(crate) fn receiver(&mut self) -> Result<&mut Receiver, Misuse> {
        match self {
            Self::Receiver(receiver) => Ok(receiver),
            Self::Fresh(_) | Self::Sender(..) | Self::Inquiry(_) => {
                log::debug!("a command for the receiver, given to {}", self.role());
                Err(Misuse::WrongRole("receiving files"))
            }
        }
    }

    /// Answers a request with an offer.
    pub(crate) fn answer(&mut self, offer: &Offer, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        match self {
            Self::Sender(sender, window) => sender.offer(cx, offer, *window),
            Self::Fresh(_) | Self::Receiver(_) | Self::Inquiry(_) => {
                Err(Misuse::WrongRole("offering files"))
            }
        }
    }

    /// Answers a question.
    pub(crate) fn reply(&mut self, reply: Reply, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        match self {
            Self::Inquiry(inquiry) => inquiry.reply(cx, reply),
            Self::Fresh(_) | Self::Sender(..) | Self::Receiver(_) => {
                Err(Misuse::WrongRole("answering a question"))
            }
        }
    }

    /// Pauses.
    pub(crate) fn pause(&mut self, reason: &str, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        match self {
            Self::Sender(sender, _) => sender.pause(cx, reason),
            Self::Receiver(receiver) => receiver.pause(reason),
            Self::Fresh(_) | Self::Inquiry(_) => Err(Misuse::WrongRole("pausing")),
        }
    }

    /// Resumes.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        match self {
            Self::Sender(sender, _) => sender.resume(cx),
            Self::Receiver(receiver) => receiver.resume(),
            Self::Fresh(_) | Self::Inquiry(_) => Err(Misuse::WrongRole("resuming")),
        }
    }

    /// Cancels, or refuses.
    pub(crate) fn cancel(
        &mut self,
        code: Code,
        reason: &str,
        cx: &mut Cx<'_>,
    ) -> Result<(), Misuse> {
        match self {
            Self::Sender(sender, _) => sender.cancel(cx, code, reason),
            Self::Receiver(receiver) => receiver.cancel(cx, code, reason),
            Self::Inquiry(inquiry) => {
                inquiry.cancel(cx, code, reason);
                Ok(())
            }
            Self::Fresh(_) => Err(Misuse::WrongRole("cancelling")),
        }
    }

    /// Gives a file up.
    pub(crate) fn fail(
        &mut self,
        file: u32,
        code: Code,
        reason: &str,
        cx: &mut Cx<'_>,
    ) -> Result<(), Misuse> {
        match self {
            Self::Sender(sender, _) => sender.fail(cx, file, code, reason),
            Self::Receiver(receiver) => receiver.fail(cx, file, code, reason),
            Self::Fresh(_) | Self::Inquiry(_) => Err(Misuse::WrongRole("giving a file up")),
        }
    }

    /// Limits the rate.
    pub(crate) fn set_limit(&mut self, rate: Option<u64>, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        match self {
            Self::Sender(sender, _) => sender.set_limit(cx, rate),
            Self::Receiver(receiver) => receiver.set_limit(rate),
            Self::Fresh(_) | Self::Inquiry(_) => return Err(Misuse::WrongRole("limiting")),
        }
        Ok(())
    }

    /// Numbers.
    pub(crate) fn stats(&self, now: Instant) -> Stats {
        match self {
            Self::Sender(sender, _) => sender.stats(now),
            Self::Receiver(receiver) => receiver.stats(now),
            Self::Fresh(_) | Self::Inquiry(_) => Stats::default(),
        }
    }
}
