//! TLS secrets for Wireshark, in the file that `SSLKEYLOGFILE` names.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anabranch_core::transport::quic::KeyLog;

use crate::exit::Failure;

/// Opens the file that `SSLKEYLOGFILE` names, and warns about it through `warn`.
///
/// # Errors
/// If the file cannot be opened.
pub fn from_env(warn: impl FnOnce(&str)) -> Result<Option<KeyLog>, Failure> {
    let Some(path) = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()) else {
        return Ok(None);
    };
    let path = PathBuf::from(path);
    let file = std::fs::File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| Failure::creating(&path, &error).hint("or unset SSLKEYLOGFILE"))?;
    warn(&format!(
        "SSLKEYLOGFILE IS SET: the secrets of every connection go to {}, and whoever reads them \
         can decrypt everything",
        path.display()
    ));
    let file = Mutex::new(file);
    Ok(Some(Arc::new(move |line: &str| {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{line}") {
            log::debug!("cannot write to the key log: {error}");
        }
    })))
}
