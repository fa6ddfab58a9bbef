//! Ranges between files and streams: a thread reads or writes, and hashes; a task sends or
//! receives. Buffers go between the two.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::channel as unbounded;

use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc::channel;
use tokio::task::spawn_blocking;

use crate::Outcome;

/// Bytes that are read, hashed and written at once.
const BUFFER: usize = 256 << 10;
/// Buffers that wait between thread and task, at most.
const WAITING: usize = 4;

fn part(left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(BUFFER)
}

/// Sends a range of a file, and its hash.
pub(crate) async fn send(
    stream: &mut SendStream,
    file: Arc<File>,
    mut offset: u64,
    mut left: u64,
) -> Outcome<()> {
    let (full, mut ready) = channel(WAITING);
    let reader = spawn_blocking(move || -> Outcome<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        while left > 0 {
            let mut buffer = vec![0; part(left)];
            file.read_exact_at(&mut buffer, offset)?;
            hasher.update(&buffer);
            offset += buffer.len() as u64;
            left -= buffer.len() as u64;
            if full.blocking_send(buffer).is_err() {
                return Err("the stream has ended".into());
            }
        }
        Ok(hasher.finalize())
    });
    while let Some(buffer) = ready.recv().await {
        stream.write_chunk(buffer.into()).await?;
    }
    let hash = reader.await??;
    stream.write_all(hash.as_bytes()).await?;
    stream.finish()?;
    Ok(())
}

/// Receives a range into a file, and compares its hash.
pub(crate) async fn receive(
    stream: &mut RecvStream,
    file: Arc<File>,
    mut offset: u64,
    mut left: u64,
) -> Outcome<()> {
    let (full, mut ready) = channel::<Vec<u8>>(WAITING);
    let (used, free) = unbounded();
    let writer = spawn_blocking(move || -> Outcome<blake3::Hash> {
        let mut hasher = blake3::Hasher::new();
        while let Some(buffer) = ready.blocking_recv() {
            hasher.update(&buffer);
            file.write_all_at(&buffer, offset)?;
            offset += buffer.len() as u64;
            // Nobody takes it back when everything has come.
            let _ = used.send(buffer);
        }
        Ok(hasher.finalize())
    });
    while left > 0 {
        let mut buffer: Vec<u8> = free.try_recv().unwrap_or_default();
        buffer.resize(part(left), 0);
        stream.read_exact(&mut buffer).await?;
        left -= buffer.len() as u64;
        if full.send(buffer).await.is_err() {
            break;
        }
    }
    drop(full);
    let here = writer.await??;
    let mut there = [0; blake3::OUT_LEN];
    stream.read_exact(&mut there).await?;
    if here != blake3::Hash::from_bytes(there) {
        return Err("what arrived is not what was sent".into());
    }
    Ok(())
}
