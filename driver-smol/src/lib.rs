//! Runs an [`anabranch_core::Endpoint`] on smol. Nothing is spawned behind the caller's back: a
//! [`Driver`] is a future, to be run wherever the caller likes.
//!
//! A turn has six steps: (1) collect datagrams from the sockets, (2) take commands from the
//! bounded inbox, (3) tell the endpoint if its deadline has come, (4) drain its output, events
//! to the application and datagrams to the sockets, (5) keep what a socket did not take, (6)
//! sleep until there is something to do. Each step is bounded, and other tasks get their turn
//! between two of ours. `anabranch-driver` has the first five; this crate awaits.
//!
//! Any [`App`](anabranch_core::App) runs on a [`Driver`]. For the client's role there is a
//! ready-made one: [`Client`], with async handles.
//!
//! ```no_run
//! use anabranch_core::transport::{Offered, Target, Trust};
//! use anabranch_core::{Code, Config, Endpoint, media};
//! use anabranch_driver_smol::{Client, Clock, SocketOptions, Sockets, seed};
//!
//! # use anabranch_core::{Seed, transport::Stack};
//! # fn stack(_: &Seed) -> Box<dyn Stack> { unimplemented!() }
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let clock = Clock::start();
//!     let config = Config { epoch: clock.epoch(), ..Config::default() };
//!     let endpoint = Endpoint::new(config, stack(&seed()?));
//!     let sockets = Sockets::bind(&["0.0.0.0:0".parse()?], SocketOptions::default())?;
//!     let (client, driver) = Client::new(clock, endpoint, sockets)?;
//!
//!     smol::block_on(async {
//!         let driver = smol::spawn(driver);
//!         let remote = "127.0.0.1:9000".parse()?;
//!         let connection = client
//!             .connect(Target {
//!                 remote,
//!                 local: client.local_for(remote)?,
//!                 server_name: "localhost".to_owned(),
//!                 trust: Trust::Any,
//!                 offered: Offered::Both,
//!                 ticket: None,
//!             })
//!             .await?;
//!         let (mut stream, grant) = connection.open_media(media::Request::default()).await?;
//!         println!("{} bit/s", grant.bitrate);
//!         while let Some(piece) = stream.next().await {
//!             println!("{} bytes", piece.bytes.len());
//!         }
//!         println!("{:?}", stream.ended().await);
//!         connection.close(Code::None, "done").await;
//!         // The driver ends when the last handle is gone and the last datagram is sent.
//!         drop((stream, connection, client));
//!         driver.await?;
//!         Ok(())
//!     })
//! }
//! ```
#![forbid(unsafe_code)]

pub mod client;
mod driver;
mod inbox;

pub use anabranch_driver::{
    Bound, Clock, Counters, Gone, SocketOptions, Sockets, TrySendError, seed,
};
pub use client::Client;
pub use driver::Driver;
pub use inbox::Handle;
