//! Gets a file from a server, or sends one to it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quinn::rustls::pki_types::CertificateDer;
use quinn::{Connection, Endpoint, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::net::Options;
use crate::wire::{self, Request};
use crate::{Outcome, disk, net};

/// Enough to send the last packet.
const CLOSING: Duration = Duration::from_millis(5);

/// A connection, with the endpoint that it needs.
#[derive(Debug)]
pub(crate) struct Connected {
    endpoint: Endpoint,
    connection: Connection,
}

impl Connected {
    /// Closes the connection when everything has been done. Waits until that has been sent, but
    /// not for three probe timeouts, as `wait_idle` does for what may still arrive.
    pub(crate) async fn finish(self) {
        self.connection.close(VarInt::from_u32(0), b"done");
        let _ = timeout(CLOSING, self.endpoint.wait_idle()).await;
    }
}

pub(crate) async fn connect(
    server: SocketAddr,
    cert: &Path,
    options: Options,
) -> Outcome<Connected> {
    let cert = CertificateDer::from(fs::read(cert)?);
    let endpoint = net::client(server, cert, options)?;
    let connection = endpoint.connect(server, net::NAME)?.await?;
    Ok(Connected { endpoint, connection })
}

/// Gets a file over so many streams.
pub(crate) async fn get(on: &Connected, name: &str, dest: &Path, streams: u64) -> Outcome<()> {
    let file = Arc::new(File::create(dest)?);
    let mut tasks = JoinSet::new();
    for index in 0..streams {
        let request = Request::Get { index, count: streams, name: name.to_owned() };
        tasks.spawn(get_range(on.connection.clone(), request, Arc::clone(&file)));
    }
    all(tasks).await
}

async fn get_range(connection: Connection, request: Request, file: Arc<File>) -> Outcome<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    request.write(&mut send).await?;
    send.finish()?;
    let offset = wire::read_u64(&mut receive).await?;
    let len = wire::read_u64(&mut receive).await?;
    disk::receive(&mut receive, file, offset, len).await
}

/// Sends a file over so many streams.
pub(crate) async fn put(on: &Connected, file: &Path, name: &str, streams: u64) -> Outcome<()> {
    let file = Arc::new(File::open(file)?);
    let size = file.metadata()?.len();
    let mut tasks = JoinSet::new();
    for index in 0..streams {
        let (offset, len) = wire::range(size, index, streams)?;
        let request = Request::Put { offset, len, name: name.to_owned() };
        let range = (offset, len);
        tasks.spawn(put_range(on.connection.clone(), request, Arc::clone(&file), range));
    }
    all(tasks).await
}

async fn put_range(
    connection: Connection,
    request: Request,
    file: Arc<File>,
    (offset, len): (u64, u64),
) -> Outcome<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    request.write(&mut send).await?;
    disk::send(&mut send, file, offset, len).await?;
    let mut answer = [0];
    receive.read_exact(&mut answer).await?;
    if answer == [wire::STORED] { Ok(()) } else { Err("the server has not stored it".into()) }
}

async fn all(mut tasks: JoinSet<Outcome<()>>) -> Outcome<()> {
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}
