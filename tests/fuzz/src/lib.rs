//! What every target runs: the bodies of `anabranch-tests`, compiled here with nothing but the
//! core, so that only what is fuzzed is instrumented.

#[path = "../../src/fuzz.rs"]
pub mod bodies;
#[path = "../../src/cert.rs"]
pub mod cert;
