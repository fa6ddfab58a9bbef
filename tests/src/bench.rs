//! Benchmarks: real programs over loopback, beside plain quiche (`docs/benchmarks.md`).

pub mod args;
pub mod client;
pub mod handshakes;
pub mod idle;
pub mod machine;
pub mod play;
pub mod proc;
pub mod programs;
pub mod recording;
pub mod report;
pub mod samples;
pub mod server;

/// What a benchmark comes to. There is nobody to handle an error but the person who reads it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
