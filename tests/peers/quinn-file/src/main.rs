//! Sends and receives one file over QUIC with quinn: what a good small program does with a
//! library, to compare with.
//!
//! ```text
//! quinn-file serve DIR --cert FILE --port-file FILE [--listen 127.0.0.1]
//! quinn-file get NAME DEST  ADDRESS:PORT --cert FILE [--streams N]
//! quinn-file put FILE NAME  ADDRESS:PORT --cert FILE [--streams N]
//! ```
//!
//! A file is cut into as many ranges as there are streams. Each range is hashed with BLAKE3 where
//! it is read and where it is written, and the hashes are compared. Nothing is synced to the disk.

mod client;
mod disk;
mod net;
mod server;
mod wire;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// What went wrong, for people.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(name = "quinn-file", version, about = "Sends and receives a file with quinn")]
struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: net::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the files of a folder, and take files into it
    Serve {
        dir: PathBuf,
        /// Where to write the certificate (DER), which clients need
        #[arg(long)]
        cert: PathBuf,
        /// Where to write the port
        #[arg(long)]
        port_file: PathBuf,
        #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
        listen: IpAddr,
    },
    /// Get a file
    Get {
        name: String,
        dest: PathBuf,
        server: SocketAddr,
        #[command(flatten)]
        how: How,
    },
    /// Send a file
    Put {
        file: PathBuf,
        name: String,
        server: SocketAddr,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, clap::Args)]
struct How {
    /// The server's certificate (DER)
    #[arg(long)]
    cert: PathBuf,
    /// How many streams carry the file
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    streams: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Outcome<()> {
    let Args { command, options } = Args::parse();
    match command {
        Command::Serve { dir, cert, port_file, listen } => {
            server::run(dir, &cert, &port_file, listen, options).await
        }
        Command::Get { name, dest, server, how } => {
            let connection = client::connect(server, &how.cert, options).await?;
            client::get(&connection, &name, &dest, how.streams).await?;
            connection.finish().await;
            Ok(())
        }
        Command::Put { file, name, server, how } => {
            let connection = client::connect(server, &how.cert, options).await?;
            client::put(&connection, &file, &name, how.streams).await?;
            connection.finish().await;
            Ok(())
        }
    }
}
