//! Packing datagrams into runs of equal segments.

use std::net::SocketAddr;

use super::buffers::Chunks;
use super::paths::{Paths, SMALL};
use crate::io::Path;
use crate::limits::{MAX_SEGMENTED, MAX_SEGMENTS};

/// A run of datagrams.
pub(super) struct Batch {
    /// As quiche knows it.
    pub(super) path: Path,
    /// Bytes written.
    pub(super) len: usize,
    /// The size of each datagram but the last, if there are several.
    pub(super) segment: Option<usize>,
    /// What quiche says about the first one, with the time at which it should go out.
    pub(super) info: quiche::SendInfo,
}

/// The connection cannot send, and cannot say so.
pub(super) struct Broken;

/// Writes one run.
pub(super) fn batch(
    conn: &mut quiche::Connection<Chunks>,
    paths: &mut Paths,
    buf: &mut [u8],
) -> Result<Option<Batch>, Broken> {
    let unproved = paths.unproved(conn);
    let room = unproved.unwrap_or(MAX_SEGMENTED).min(buf.len());
    if room == 0 {
        return Ok(None);
    }
    let buf = &mut buf[..room];
    let Some((first, info)) = first(conn, paths, buf)? else { return Ok(None) };
    let mut batch =
        Batch { path: Path { local: info.from, remote: info.to }, len: first, segment: None, info };
    // A probe may be lost for its size, and others must not be lost with it. Before the
    // handshake is complete there is little to send, in datagrams of different sizes.
    if !conn.is_established() || paths.is_probe(first) || unproved.is_some() {
        return Ok(Some(batch));
    }
    let room = buf.len().min(MAX_SEGMENTED);
    for _ in 1..MAX_SEGMENTS {
        let end = batch.len + first;
        if end > room {
            break;
        }
        // What goes wrong here shows again, as the first datagram of the next run.
        let Ok(len) = on_path(conn, &mut buf[batch.len..end], info.from, info.to) else { break };
        batch.len += len;
        batch.segment = Some(first);
        if len < first {
            break;
        }
    }
    Ok(Some(batch))
}

/// The first datagram decides on path and size.
fn first(
    conn: &mut quiche::Connection<Chunks>,
    paths: &Paths,
    buf: &mut [u8],
) -> Result<Option<(usize, quiche::SendInfo)>, Broken> {
    let room = paths.room().min(buf.len());
    let buf = &mut buf[..room];
    // The second try is for the packet that tells the peer about the first one's failure.
    for _ in 0..2 {
        let sent = if paths.are_several() {
            on_each_path(conn, paths, buf)
        } else {
            conn.send_on_path(buf, None, None)
        };
        match sent {
            Ok(sent) => return Ok(Some(sent)),
            Err(quiche::Error::Done) => return Ok(None),
            Err(_) if conn.local_error().is_none() => return Err(Broken),
            Err(_) => {}
        }
    }
    Err(Broken)
}

/// quiche serves paths that are to be probed before the one in use, and one before the other.
/// Where it cannot (a path that was left may have its window full of what was lost), the others
/// must not wait for it. And challenges on such paths are kept small, since quiche may send only
/// so much to an address that has not been proved.
fn on_each_path(
    conn: &mut quiche::Connection<Chunks>,
    paths: &Paths,
    buf: &mut [u8],
) -> quiche::Result<(usize, quiche::SendInfo)> {
    let active = conn.path_stats().find(|path| path.active);
    if let Some(active) = active {
        match conn.send_on_path(buf, Some(active.local_addr), Some(active.peer_addr)) {
            Err(quiche::Error::Done) => {}
            sent => return sent,
        }
    }
    // Until the address in use is proved, it may be dead as well: challenges that are lost there
    // would make the paths that were left useless to fall back to.
    if paths.is_unproved(conn) {
        return Err(quiche::Error::Done);
    }
    for path in paths.left() {
        let room = SMALL.min(buf.len());
        let sent = conn.send_on_path(&mut buf[..room], Some(path.local), Some(path.remote));
        if let Ok(sent) = sent {
            return Ok(sent);
        }
    }
    let room = if paths.are_tight(conn) { SMALL.min(buf.len()) } else { buf.len() };
    conn.send_on_path(&mut buf[..room], None, None)
}

fn on_path(
    conn: &mut quiche::Connection<Chunks>,
    buf: &mut [u8],
    from: SocketAddr,
    to: SocketAddr,
) -> quiche::Result<usize> {
    conn.send_on_path(buf, Some(from), Some(to)).map(|(len, _)| len)
}
