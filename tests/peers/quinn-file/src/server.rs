//! Serves the files of a folder, and takes files into it.

use std::fs::{self, File, OpenOptions};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream};

use crate::net::Options;
use crate::wire::{self, Request};
use crate::{Outcome, disk, net};

/// Serves until it is killed.
pub(crate) async fn run(
    dir: PathBuf,
    cert_file: &Path,
    port_file: &Path,
    listen: IpAddr,
    options: Options,
) -> Outcome<()> {
    let (endpoint, cert) = net::server((listen, 0).into(), options)?;
    fs::write(cert_file, &cert)?;
    // Renamed, so that nobody reads half a number.
    let new = port_file.with_extension("new");
    fs::write(&new, endpoint.local_addr()?.port().to_string())?;
    fs::rename(new, port_file)?;
    while let Some(incoming) = endpoint.accept().await {
        let dir = dir.clone();
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                serve(&connection, &dir).await;
            }
        });
    }
    Ok(())
}

async fn serve(connection: &Connection, dir: &Path) {
    // An error is the end of the connection, which is how all of them end.
    while let Ok((send, receive)) = connection.accept_bi().await {
        let dir = dir.to_owned();
        tokio::spawn(async move {
            if let Err(error) = answer(send, receive, &dir).await {
                eprintln!("quinn-file: {error}");
            }
        });
    }
}

async fn answer(mut send: SendStream, mut receive: RecvStream, dir: &Path) -> Outcome<()> {
    match Request::read(&mut receive).await? {
        Request::Get { index, count, name } => {
            let file = File::open(dir.join(name))?;
            let (offset, len) = wire::range(file.metadata()?.len(), index, count)?;
            send.write_all(&offset.to_be_bytes()).await?;
            send.write_all(&len.to_be_bytes()).await?;
            disk::send(&mut send, Arc::new(file), offset, len).await
        }
        Request::Put { offset, len, name } => {
            // Other streams may have made it, and written their ranges.
            let file =
                OpenOptions::new().write(true).create(true).truncate(false).open(dir.join(name))?;
            disk::receive(&mut receive, Arc::new(file), offset, len).await?;
            send.write_all(&[wire::STORED]).await?;
            Ok(send.finish()?)
        }
    }
}
