//! Disks with files on them, and transfers between these.

use anabranch_core::Seed;
use anabranch_core::files::Existing;
use anabranch_storage::{Access, Attributes, Kind, Modified, RelPath, Storage as _};
use anabranch_tests::disk::{Disk, DiskConfig, Shared};
use anabranch_tests::ferry::{Ferry, Outcome};
use anabranch_transfers::{Buffers, Claims, Giver, Keeper, Origin, Receive, Send, Source};

/// The size of the pieces.
pub(crate) const PIECE: usize = 64 << 10;

pub(crate) fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

/// A disk.
pub(crate) fn disk(seed: u64, config: DiskConfig) -> Shared {
    Shared::new(Disk::new(config, Seed::from_u64(seed).stream("disk")))
}

/// Bytes that are different for each seed.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Seed::from_u64(seed).stream("bytes").fill(&mut bytes);
    bytes
}

/// Puts a file on a disk, durably, with the folders above it.
pub(crate) fn put(disk: &Shared, at: &str, bytes: &[u8]) {
    disk.with(|disk| {
        let files = disk.files();
        let names: Vec<&str> = at.split('/').collect();
        for depth in 1..names.len() {
            // It may be there already.
            let _ = files.make_dir(&path(&names[..depth].join("/")));
        }
        if files.metadata(&path(at)).is_ok() {
            files.remove(&path(at)).unwrap();
        }
        let file = files.create(&path(at)).unwrap();
        files.write_at(file, 0, bytes).unwrap();
        files.close(file).unwrap();
        // Other content has another time.
        let hash = *blake3::hash(bytes).as_bytes().first_chunk().unwrap();
        let modified = Some(Modified { seconds: i64::from_be_bytes(hash) >> 32, nanos: 0 });
        files.set_attributes(&path(at), Attributes { mode: None, modified }).unwrap();
        files.sync_all().unwrap();
    });
}

/// What a file holds. `None`: it is not there.
pub(crate) fn get(disk: &Shared, at: &str) -> Option<Vec<u8>> {
    disk.with(|disk| {
        let files = disk.files();
        let file = files.open(&path(at), Access::Read).ok()?;
        let len = usize::try_from(files.stat(file).unwrap().metadata.len).unwrap();
        let mut bytes = vec![0; len];
        files.read_at(file, 0, &mut bytes).unwrap();
        files.close(file).unwrap();
        Some(bytes)
    })
}

/// All names below a path, folders with a `/` behind them.
pub(crate) fn names(disk: &Shared, at: &str) -> Vec<String> {
    let entries = disk.with(|disk| disk.files().list(&path(at), 1_000)).unwrap_or_default();
    let mut all = Vec::new();
    for entry in entries {
        let below = if at.is_empty() { entry.name.clone() } else { format!("{at}/{}", entry.name) };
        if entry.metadata.kind == Kind::Dir {
            all.push(format!("{below}/"));
            all.extend(names(disk, &below));
        } else {
            all.push(below);
        }
    }
    all
}

/// Sends what is at `name` on a disk.
pub(crate) fn giver(from: &Shared, name: &str) -> Giver {
    let origin = Origin::Disk { storage: Box::new(from.clone()), path: path(name) };
    let source = Source { name: name.to_owned(), origin };
    let send = Send { piece: Some(64 << 10), ..Send::default() };
    Giver::new(vec![source], send, Buffers::default())
}

/// Receives to the top of a disk.
pub(crate) fn keeper(to: &Shared, existing: Existing) -> Keeper {
    let receive = Receive { existing, ..Receive::default() };
    Keeper::new(Box::new(to.clone()), Claims::default(), receive)
}

/// A whole transfer.
pub(crate) fn transfer(from: &Shared, to: &Shared, name: &str, existing: Existing) -> Outcome {
    let (outcome, stopped) = Ferry::new(giver(from, name), keeper(to, existing)).run(|| false);
    assert!(!stopped);
    outcome
}
