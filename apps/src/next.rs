//! Waiting for what may never come.

use smol::channel::Receiver;

/// What comes next. Nothing ever comes from a channel that is closed, or is not there.
pub(crate) async fn next<T>(from: Option<&Receiver<T>>) -> T {
    if let Some(from) = from
        && let Ok(item) = from.recv().await
    {
        return item;
    }
    smol::future::pending().await
}
