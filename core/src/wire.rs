//! Bytes to messages and back. Parsing gives a value that can always be written again; every
//! length is capped before anything is allocated.

pub mod varint;
