//! A server and its clients over emulated links, in virtual time. One binary, since each links
//! all of QUIC.
//!
//! Every test runs over both transports, `net::quic` and `net::dquic`, from one source: each file
//! is a module of both, and asks the one above it which transport it is to use.

anabranch_tests::answer_clocks!();

/// The modules that run over any transport, and what they use.
macro_rules! suite {
    ($kind:expr) => {
        use anabranch_tests::pair::{Options, Pair};
        use anabranch_tests::stack::Kind;

        /// The transport of these tests.
        const ON: Kind = $kind;

        /// The default over that transport.
        fn options() -> Options {
            Options::on(ON)
        }

        /// The same with one clip of this length.
        fn with_clip(len: u64) -> Options {
            Options { clips: Options::with_clip(len).clips, ..options() }
        }

        /// A network that differs from the default only in its catalogue.
        fn pair_with_clip(seed: u64, len: u64) -> Pair {
            Pair::new(seed, with_clip(len))
        }

        #[path = "control.rs"]
        mod control;
        #[path = "faults.rs"]
        mod faults;
        #[path = "files.rs"]
        mod files;
        #[path = "files_limits.rs"]
        mod files_limits;
        #[path = "files_pace.rs"]
        mod files_pace;
        #[path = "files_resume.rs"]
        mod files_resume;
        #[path = "files_rogue.rs"]
        mod files_rogue;
        #[path = "files_trouble.rs"]
        mod files_trouble;
        #[path = "flood.rs"]
        mod flood;
        #[path = "handshake.rs"]
        mod handshake;
        #[path = "lifetime.rs"]
        mod lifetime;
        #[path = "media.rs"]
        mod media;
        #[path = "paths.rs"]
        mod paths;
        #[path = "rogue.rs"]
        mod rogue;
        #[path = "sessions.rs"]
        mod sessions;
        #[path = "traces.rs"]
        mod traces;
    };
}

#[expect(clippy::duplicate_mod, reason = "one source, and two transports")]
mod net {
    mod dquic;
    mod quic;
}
