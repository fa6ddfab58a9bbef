//! Resumption tickets of earlier connections, so that the next one starts faster.
//!
//! A ticket lets its holder resume without showing a certificate again, so each file (0600)
//! names the key or the authorities that were checked when it was issued, and a ticket whose
//! binding is not today's is deleted instead of used.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::known_hosts::{host_key, replace};

/// Longer tickets are not kept.
const MAX_TICKET: usize = 16 << 10;
const BINDING: usize = 32;

/// The folder of tickets.
#[derive(Clone, Debug)]
pub struct Tickets {
    folder: PathBuf,
}

impl Tickets {
    /// Tickets in this folder, which need not exist.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn file(&self, host: &str, port: u16) -> PathBuf {
        let name = blake3::hash(host_key(host, port).as_bytes()).to_hex();
        self.folder.join(format!("{}.ticket", &name[..32]))
    }

    /// The ticket of a server, if it is bound to `binding`. One that is not is deleted.
    /// A ticket is used once: it is taken out of the folder.
    #[must_use]
    pub fn take(&self, host: &str, port: u16, binding: Option<[u8; 32]>) -> Option<Bytes> {
        let path = self.file(host, port);
        let stored = read_small(&path).ok()?;
        if let Err(error) = fs::remove_file(&path) {
            log::debug!("cannot remove {}: {error}", path.display());
        }
        let (bound, ticket) = stored.split_at_checked(BINDING)?;
        (Some(bound) == binding.as_ref().map(<[u8; 32]>::as_slice) && !ticket.is_empty())
            .then(|| Bytes::copy_from_slice(ticket))
    }

    /// Keeps a ticket for the next connection. Failing to is not worth a word to the user.
    pub fn keep(&self, host: &str, port: u16, binding: [u8; 32], ticket: &[u8]) {
        if ticket.is_empty() || ticket.len() > MAX_TICKET {
            return;
        }
        let bytes = [binding.as_slice(), ticket].concat();
        let path = self.file(host, port);
        let kept = private_folder(&self.folder).and_then(|()| replace(&path, &self.folder, &bytes));
        if let Err(error) = kept {
            log::debug!("cannot keep a ticket in {}: {error}", path.display());
        }
    }

    /// Forgets the ticket of a server.
    pub fn forget(&self, host: &str, port: u16) {
        drop(fs::remove_file(self.file(host, port)));
    }
}

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    let limit = (BINDING + MAX_TICKET) as u64;
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_ticket_is_used_once_and_only_for_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let tickets = Tickets::new(dir.path().join("tickets"));
        assert_eq!(tickets.take("h", 1, Some([1; 32])), None);
        tickets.keep("h", 1, [1; 32], b"ticket");
        assert_eq!(tickets.take("h", 2, Some([1; 32])), None);
        assert_eq!(tickets.take("h", 1, Some([1; 32])).as_deref(), Some(b"ticket".as_slice()));
        assert_eq!(tickets.take("h", 1, Some([1; 32])), None);

        tickets.keep("h", 1, [1; 32], b"ticket");
        assert_eq!(tickets.take("h", 1, Some([2; 32])), None);
        assert_eq!(tickets.take("h", 1, Some([1; 32])), None, "deleted with the changed key");
        tickets.keep("h", 1, [1; 32], b"ticket");
        assert_eq!(tickets.take("h", 1, None), None);
    }

    #[test]
    fn only_the_owner_reads_it_and_long_ones_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let tickets = Tickets::new(dir.path().join("tickets"));
        tickets.keep("h", 1, [1; 32], b"ticket");
        let mode = fs::metadata(tickets.file("h", 1)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        tickets.keep("i", 1, [1; 32], &vec![0; MAX_TICKET + 1]);
        assert!(!tickets.file("i", 1).exists());
    }
}
