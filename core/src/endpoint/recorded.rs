//! Endpoints that record what happens to them.

use std::sync::Arc;

use super::Endpoint;
use crate::config::Config;
use crate::trace::{self, About, Contents, Header, Recorder, Room, Trace};
use crate::transport::Stack;

impl Endpoint {
    /// An endpoint that records everything that happens to it ([`crate::trace`]). The trace says
    /// which program this is; what was recorded is to be taken from the [`Recorder`].
    #[must_use]
    pub fn recorded(
        config: Config,
        stack: Box<dyn Stack>,
        about: About,
        contents: Contents,
        room: Room,
    ) -> (Self, Recorder) {
        let header = Header { about, config, contents };
        let recorder = Recorder::new(&header, room);
        let trace = Trace::new(Arc::new(recorder.clone()), contents);
        let stack = if contents.transport { trace::tap(stack, trace.clone()) } else { stack };
        (Self::traced(header.config, stack, trace), recorder)
    }
}
