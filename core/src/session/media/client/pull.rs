//! How chunks get to the application.

use super::{Chunk, Client, Found, PDUS_PER_CALL, State, Turn};
use crate::error::Violation;
use crate::session::Cx;
use crate::session::media::Pulled;
use crate::session::media::reader::Item;
use crate::transport::Read;

impl Client {
    /// Takes payload bytes, at most to the end of a chunk.
    pub(crate) fn pull(&mut self, cx: &mut Cx<'_>, buf: &mut [u8]) -> Pulled {
        if self.ended || self.state == State::Closing {
            return Pulled::End;
        }
        loop {
            let Some(chunk) = self.chunk else {
                match self.find(cx) {
                    Found::Chunk => continue,
                    Found::Over => return Pulled::End,
                    Found::Blocked => {}
                    Found::Later => self.more = true,
                }
                return self.wait_for_server(cx);
            };
            return match self.reader.payload(cx.transport, self.stream, buf) {
                Ok(Read::Bytes(len)) => self.pulled(cx, chunk, len),
                Ok(Read::Blocked) => self.wait_for_server(cx),
                Ok(Read::Finished) => {
                    self.violation(cx, Violation::PduTruncated);
                    Pulled::End
                }
                Err(end) => {
                    self.on_stream_end(cx, end);
                    Pulled::End
                }
            };
        }
    }

    /// Handles PDUs up to the next chunk.
    pub(super) fn find(&mut self, cx: &mut Cx<'_>) -> Found {
        for _ in 0..PDUS_PER_CALL {
            let item = self.reader.next(cx.transport, self.stream);
            if self.reader.take_heard() {
                self.liveness.hear(cx.now);
                self.prod.restart(cx.now);
            }
            if item == Item::Blocked {
                return Found::Blocked;
            }
            self.on_item(cx, item);
            if self.ended {
                return Found::Over;
            }
            if self.chunk.is_some() {
                return Found::Chunk;
            }
        }
        Found::Later
    }

    fn pulled(&mut self, cx: &mut Cx<'_>, chunk: Chunk, len: usize) -> Pulled {
        if self.reader.take_heard() {
            self.liveness.hear(cx.now);
            self.prod.restart(cx.now);
        }
        let reached = chunk.offset.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        let last = reached >= chunk.len;
        self.chunk = (!last).then_some(Chunk { offset: reached, ..chunk });
        self.bytes += len as u64;
        self.chunks += u64::from(last);
        Pulled::Bytes { len, sequence: chunk.sequence, offset: chunk.offset, last }
    }

    /// The application has taken everything that is there: from now on the server's silence
    /// counts.
    fn wait_for_server(&mut self, cx: &mut Cx<'_>) -> Pulled {
        if self.turn == Turn::Application {
            self.turn = Turn::Server;
            self.liveness.hear(cx.now);
            self.prod.restart(cx.now);
        }
        Pulled::Blocked
    }
}
