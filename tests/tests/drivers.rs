//! Both drivers over real loopback sockets, with both transports, from one source: the tests are
//! a module of `quic` and of `dquic`, and ask the one above them which transport it is to be.

#[path = "drivers/apps.rs"]
mod apps;
#[path = "drivers/dquic.rs"]
mod dquic;
#[path = "drivers/quic.rs"]
mod quic;
