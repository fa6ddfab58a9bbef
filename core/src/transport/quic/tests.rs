//! Both ends in one process, over a link that loses nothing and takes no time.

mod certificates;
mod datagrams;
mod ends;
mod handshakes;
mod moving;
mod pair;
mod streams;
