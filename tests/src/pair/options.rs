//! What a test network is made of.

use anabranch_core::Config;
use anabranch_core::trace::Contents;

use crate::content::Clip;
use crate::link::LinkConfig;
use crate::stack;
use crate::virtual_clock::EPOCH;

/// What a test network is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's configuration.
    pub server: Config,
    /// The clients' configuration.
    pub client: Config,
    /// The links from clients to the server.
    pub up: LinkConfig,
    /// The links from the server to clients.
    pub down: LinkConfig,
    /// How many clients.
    pub clients: usize,
    /// The server's catalogue.
    pub clips: Vec<Clip>,
    /// The transport of all hosts, and its settings.
    pub stack: stack::Knobs,
    /// What every host records. What is recorded is replayed when the host goes away. By default
    /// nothing, or what is needed for that if `ANABRANCH_REPLAY` is set.
    pub record: Option<Contents>,
}

impl Default for Options {
    fn default() -> Self {
        let config = Config { epoch: EPOCH, ..Config::default() };
        Self {
            server: config.clone(),
            client: config,
            up: LinkConfig::default(),
            down: LinkConfig::default(),
            clients: 1,
            clips: vec![Clip::new("clip", 1, 1 << 20)],
            stack: stack::Knobs::default(),
            record: std::env::var_os("ANABRANCH_REPLAY").map(|_| Contents::default()),
        }
    }
}

impl Options {
    /// The default over this transport.
    #[must_use]
    pub fn on(kind: stack::Kind) -> Self {
        let mut options = Self::default();
        options.stack.kind = kind;
        options
    }

    /// The default with one clip of this length.
    #[must_use]
    pub fn with_clip(len: u64) -> Self {
        Self { clips: vec![Clip::new("clip", 1, len)], ..Self::default() }
    }

    /// The same link in both directions.
    #[must_use]
    pub fn over(self, link: &LinkConfig) -> Self {
        Self { up: link.clone(), down: link.clone(), ..self }
    }
}
