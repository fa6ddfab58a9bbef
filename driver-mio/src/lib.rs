//! Runs an [`anabranch_core::Endpoint`] on a mio poll loop, in one thread.
//!
//! A turn has six steps: (1) collect datagrams from the sockets, (2) take commands from the
//! bounded inbox, (3) tell the endpoint if its deadline has come, (4) drain its output, events
//! to the application and datagrams to the sockets, (5) keep what a socket did not take, (6)
//! sleep until there is something to do. Each step is bounded, so that no peer and no thread can
//! keep the loop from the others. `anabranch-driver` has the first five; this crate sleeps.
//!
//! ```no_run
//! use anabranch_core::{App, Config, ConnId, Endpoint, Event, Instant};
//! use anabranch_driver_mio::{Clock, Driver, SocketOptions, Sockets, seed};
//!
//! /// Accepts connections until it is told to stop.
//! struct Server {
//!     stopping: bool,
//! }
//!
//! impl App for Server {
//!     type Command = ();
//!
//!     fn on_event(&mut self, _: &mut Endpoint, _: Instant, conn: ConnId, event: Event) {
//!         println!("{conn}: {event:?}");
//!     }
//!
//!     fn on_command(&mut self, endpoint: &mut Endpoint, now: Instant, (): ()) {
//!         self.stopping = true;
//!         endpoint.close_all(now);
//!     }
//!
//!     fn is_done(&self, _: &Endpoint) -> bool {
//!         self.stopping
//!     }
//! }
//!
//! # use anabranch_core::{Seed, transport::Stack};
//! # fn stack(_: &Seed) -> Box<dyn Stack> { unimplemented!() }
//! fn main() -> std::io::Result<()> {
//!     let clock = Clock::start();
//!     let config = Config { epoch: clock.epoch(), ..Config::default() };
//!     let mut endpoint = Endpoint::new(config, stack(&seed()?));
//!     endpoint.listen(true);
//!
//!     let addresses = ["0.0.0.0:9000".parse().unwrap(), "[::]:9000".parse().unwrap()];
//!     let sockets = Sockets::bind(&addresses, SocketOptions::default())?;
//!     let server = Server { stopping: false };
//!     let (mut driver, handle) = Driver::new(clock, endpoint, sockets, server)?;
//!
//!     // Any thread may send commands: this one ends the server when standard input ends.
//!     std::thread::spawn(move || {
//!         let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
//!         let _ = handle.send(());
//!     });
//!     driver.run()
//! }
//! ```
//!
//! # Signals
//!
//! The loop needs no signal source of its own: a thread that waits for signals (with
//! `signal_hook::iterator::Signals`, say) sends them as commands through a [`Handle`]. The same
//! goes for file reads, name look-ups, and whatever else would block the loop.
#![forbid(unsafe_code)]

mod driver;
mod inbox;

pub use anabranch_driver::{
    Bound, Clock, Counters, Gone, SocketOptions, Sockets, TrySendError, seed,
};
pub use driver::Driver;
pub use inbox::Handle;
