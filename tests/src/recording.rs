//! What a host of a test network records, and the check that it can be replayed.

use anabranch_core::trace::{self, About, Contents, Counts, Recorder, Replay, Room, Verdict};
use anabranch_core::transport::Stack;
use anabranch_core::{Config, Endpoint, Side};

/// A recording that grows while its host runs. When it is dropped it is replayed (if it has the
/// calls of the transport), and has to be identical.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    bytes: Vec<u8>,
    /// It is to be replayed.
    due: bool,
}

impl Recording {
    /// An endpoint that records.
    #[must_use]
    pub fn begin(
        config: &Config,
        stack: Box<dyn Stack>,
        side: Side,
        contents: Contents,
    ) -> (Endpoint, Self) {
        let about = About {
            program: "anabranch-tests".to_owned(),
            side,
            transport: "quic".to_owned(),
            settings: Vec::new(),
            seed: None,
        };
        let (endpoint, recorder) =
            Endpoint::recorded(config.clone(), stack, about, contents, Room::default());
        (endpoint, Self { recorder, bytes: Vec::new(), due: contents.transport })
    }

    /// Takes what was recorded since the last time.
    pub fn take(&mut self) {
        self.recorder.take(&mut self.bytes);
    }

    /// Ends it, and gives it all.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.recorder.finish();
        self.take();
        self.due = false;
        std::mem::take(&mut self.bytes)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.due && !std::thread::panicking() {
            self.recorder.finish();
            self.take();
            assert_identical(&self.bytes);
        }
    }
}

/// Replays a trace over a script.
///
/// # Panics
/// If its header cannot be read, or it has no calls of the transport.
#[must_use]
pub fn replay(bytes: &[u8]) -> Verdict {
    let header = trace::header(bytes).expect("a header");
    Replay::scripted(&header, trace::entries(bytes)).expect("a trace with both seams").run()
}

/// A trace replays to its end.
///
/// # Panics
/// If it does not.
pub fn assert_identical(bytes: &[u8]) -> Counts {
    match replay(bytes) {
        Verdict::Identical { counts, truncated: None } => counts,
        Verdict::Diverged(divergence) => panic!("{divergence}"),
        other => panic!("{other:?}"),
    }
}
