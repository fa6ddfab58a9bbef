//! One suite for every implementation of storage, and one against the other.

use anabranch_core::Seed;
use anabranch_core::rng::Rng;
use anabranch_storage::{
    Access, Answer, Error, FileId, Folder, Kind, MAX_LEN, Metadata, Op, RelPath, Replace, Storage,
    perform,
};
use anabranch_tests::disk::FileSystem;
use anabranch_tests::seeds;

/// Runs a test on each implementation.
fn each(test: impl Fn(&mut dyn Storage)) {
    let folder = tempfile::tempdir().unwrap();
    println!("in a folder");
    test(&mut Folder::new(folder.path()));
    println!("simulated");
    test(&mut FileSystem::new(1 << 20));
}

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn content(storage: &mut dyn Storage, at: &str) -> Result<Vec<u8>, Error> {
    let file = storage.open(&path(at), Access::Read)?;
    let mut bytes = vec![0; 10_000];
    let read = storage.read_at(file, 0, &mut bytes)?;
    bytes.truncate(read);
    storage.close(file)?;
    Ok(bytes)
}

fn put(storage: &mut dyn Storage, at: &str, bytes: &[u8]) {
    let file = storage.create(&path(at)).unwrap();
    storage.write_at(file, 0, bytes).unwrap();
    storage.close(file).unwrap();
}

fn names(storage: &mut dyn Storage, at: &str) -> Vec<String> {
    let entries = storage.list(&path(at), 100).unwrap();
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    names
}

#[test]
fn files_hold_what_was_written() {
    each(|storage| {
        let file = storage.create(&path("a")).unwrap();
        storage.write_at(file, 3, b"def").unwrap();
        storage.write_at(file, 0, b"a").unwrap();
        storage.write_at(file, 5, b"FG").unwrap();
        storage.write_at(file, 100, b"").unwrap();
        storage.sync(file).unwrap();
        storage.sync_dir(&RelPath::ROOT).unwrap();
        let mut bytes = [9; 4];
        assert_eq!(storage.read_at(file, 2, &mut bytes), Ok(4));
        assert_eq!(&bytes, b"\0deF");
        assert_eq!(storage.read_at(file, 5, &mut bytes), Ok(2));
        assert_eq!(storage.read_at(file, 7, &mut bytes), Ok(0));
        assert_eq!(storage.read_at(file, MAX_LEN, &mut bytes), Ok(0));
        assert_eq!(storage.read_at(file, u64::MAX, &mut bytes), Ok(0));
        assert_eq!(storage.write_at(file, MAX_LEN, b"x"), Err(Error::Full));
        assert_eq!(storage.write_at(file, u64::MAX, b"x"), Err(Error::Full));
        assert_eq!(storage.set_len(file, MAX_LEN + 1), Err(Error::Full));
        storage.set_len(file, 2).unwrap();
        storage.set_len(file, 4).unwrap();
        storage.close(file).unwrap();
        assert_eq!(content(storage, "a").unwrap(), b"a\0\0\0");
        let is = Metadata { kind: Kind::File, len: 4 };
        assert_eq!(storage.metadata(&path("a")), Ok(is));
        assert!(storage.free_space().unwrap() > 0);
    });
}

#[test]
fn open_files_are_what_they_are_for() {
    each(|storage| {
        put(storage, "a", b"abc");
        let file = storage.open(&path("a"), Access::Read).unwrap();
        assert_eq!(storage.write_at(file, 0, b"x"), Err(Error::Denied));
        assert_eq!(storage.set_len(file, 0), Err(Error::Denied));
        storage.close(file).unwrap();
        let again = storage.open(&path("a"), Access::Write).unwrap();
        assert_ne!(file, again, "numbers are used once");
        storage.write_at(again, 1, b"x").unwrap();
        assert_eq!(content(storage, "a").unwrap(), b"axc");
        assert_eq!(storage.close(file), Err(Error::NotOpen));
        assert_eq!(storage.read_at(file, 0, &mut [0]), Err(Error::NotOpen));
        assert_eq!(storage.write_at(file, 0, b"x"), Err(Error::NotOpen));
        assert_eq!(storage.set_len(file, 0), Err(Error::NotOpen));
        assert_eq!(storage.sync(file), Err(Error::NotOpen));
    });
}

#[test]
fn a_removed_file_stays_with_whoever_has_it_open() {
    each(|storage| {
        put(storage, "a", b"abc");
        let file = storage.open(&path("a"), Access::Write).unwrap();
        storage.remove(&path("a")).unwrap();
        put(storage, "a", b"new");
        storage.write_at(file, 3, b"d").unwrap();
        let mut bytes = [0; 4];
        assert_eq!(storage.read_at(file, 0, &mut bytes), Ok(4));
        assert_eq!(&bytes, b"abcd");
        assert_eq!(content(storage, "a").unwrap(), b"new");
    });
}

#[test]
fn directories_hold_names() {
    each(|storage| {
        storage.make_dir(&path("d")).unwrap();
        storage.make_dir(&path("d/e")).unwrap();
        put(storage, "d/f", b"1");
        assert_eq!(names(storage, "d"), ["e", "f"]);
        assert_eq!(names(storage, ""), ["d"]);
        assert_eq!(storage.list(&path("d"), 1).unwrap().len(), 1);
        storage.sync_dir(&path("d")).unwrap();
        assert_eq!(storage.remove_dir(&path("d")), Err(Error::NotEmpty));
        storage.remove_dir(&path("d/e")).unwrap();
        storage.remove(&path("d/f")).unwrap();
        storage.remove_dir(&path("d")).unwrap();
        assert!(names(storage, "").is_empty());
    });
}

#[test]
fn names_are_not_what_they_are_not() {
    each(|storage| {
        storage.make_dir(&path("d")).unwrap();
        put(storage, "f", b"1");
        let fails = |result: Result<FileId, Error>| result.unwrap_err();
        assert_eq!(fails(storage.create(&path("f"))), Error::Exists);
        assert_eq!(fails(storage.create(&path("d"))), Error::Exists);
        assert_eq!(fails(storage.create(&RelPath::ROOT)), Error::Exists);
        assert_eq!(fails(storage.create(&path("n/f"))), Error::NotFound);
        assert_eq!(fails(storage.create(&path("f/f"))), Error::NotADirectory);
        for access in [Access::Read, Access::Write] {
            assert_eq!(fails(storage.open(&path("n"), access)), Error::NotFound);
            assert_eq!(fails(storage.open(&path("d"), access)), Error::IsADirectory);
            assert_eq!(fails(storage.open(&path("f/f"), access)), Error::NotADirectory);
        }
        assert_eq!(storage.make_dir(&path("d")), Err(Error::Exists));
        assert_eq!(storage.make_dir(&path("f")), Err(Error::Exists));
        assert_eq!(storage.remove(&path("d")), Err(Error::IsADirectory));
        assert_eq!(storage.remove(&path("n")), Err(Error::NotFound));
        assert_eq!(storage.remove_dir(&path("f")), Err(Error::NotADirectory));
        assert_eq!(storage.remove_dir(&path("n")), Err(Error::NotFound));
        assert_eq!(storage.remove_dir(&RelPath::ROOT), Err(Error::Denied));
        assert_eq!(storage.list(&path("f"), 9), Err(Error::NotADirectory));
        assert_eq!(storage.sync_dir(&path("f")), Err(Error::NotADirectory));
        assert_eq!(storage.sync_dir(&path("n")), Err(Error::NotFound));
    });
}

#[test]
fn renaming_replaces_only_if_it_may() {
    each(|storage| {
        storage.make_dir(&path("d")).unwrap();
        put(storage, "a", b"1");
        put(storage, "b", b"2");
        let mut rename = |from, to, replace| storage.rename(&path(from), &path(to), replace);
        assert_eq!(rename("a", "b", Replace::No), Err(Error::Exists));
        assert_eq!(rename("a", "d", Replace::Yes), Err(Error::IsADirectory));
        assert_eq!(rename("d", "x", Replace::No), Err(Error::IsADirectory));
        assert_eq!(rename("n", "x", Replace::Yes), Err(Error::NotFound));
        assert_eq!(rename("a", "d/a", Replace::Yes), Err(Error::OtherDirectory));
        assert_eq!(rename("a", "a", Replace::Yes), Ok(()));
        assert_eq!(rename("a", "a", Replace::No), Err(Error::Exists));
        assert_eq!(rename("a", "c", Replace::No), Ok(()));
        assert_eq!(rename("c", "b", Replace::Yes), Ok(()));
        assert_eq!(content(storage, "b").unwrap(), b"1");
        assert_eq!(names(storage, ""), ["b", "d"]);
    });
}

const PATHS: [&str; 7] = ["a", "b", "d", "d/a", "d/b", "a/b", "d/d"];

fn any_path(rng: &mut Rng) -> RelPath {
    path(PATHS[usize::try_from(rng.below(PATHS.len() as u64)).unwrap()])
}

fn any_op(rng: &mut Rng, file: FileId) -> Op {
    let offset = rng.below(2_000);
    match rng.below(15) {
        0 | 1 => Op::Create(any_path(rng)),
        2 => Op::Open(any_path(rng), if rng.chance(1, 2) { Access::Read } else { Access::Write }),
        3 => Op::ReadAt { file, offset, len: 700 },
        4 | 5 => {
            let byte = u8::try_from(rng.below(256)).unwrap();
            let len = usize::try_from(rng.below(1_500)).unwrap();
            Op::WriteAt { file, offset, bytes: vec![byte; len] }
        }
        6 => Op::SetLen(file, offset),
        7 => Op::Sync(file),
        8 => Op::Close(file),
        9 => Op::MakeDir(any_path(rng)),
        10 => Op::RemoveDir(any_path(rng)),
        11 => Op::SyncDir(any_path(rng)),
        12 => {
            let replace = if rng.chance(1, 2) { Replace::Yes } else { Replace::No };
            Op::Rename { from: any_path(rng), to: any_path(rng), replace }
        }
        13 => Op::Remove(any_path(rng)),
        _ => Op::Metadata(any_path(rng)),
    }
}

fn sorted(answer: Result<Answer, Error>) -> Result<Answer, Error> {
    answer.map(|answer| match answer {
        Answer::Listed(mut entries) => {
            entries.sort();
            Answer::Listed(entries)
        }
        other => other,
    })
}

/// The simulated file system answers every operation as the real one does.
#[test]
fn the_simulation_is_like_the_real_thing() {
    seeds::each(20, |seed| {
        let mut rng = Seed::from_u64(seed).stream("operations");
        let folder = tempfile::tempdir().unwrap();
        let mut real = Folder::new(folder.path());
        let mut simulated = FileSystem::new(1 << 20);
        let mut files = 0;
        for _ in 0..800 {
            let file = FileId(rng.below(files + 1));
            let op = any_op(&mut rng, file);
            let answers = [&mut real as &mut dyn Storage, &mut simulated]
                .map(|storage| perform(storage, &op));
            assert_eq!(answers[0], answers[1], "{op:?}");
            files += u64::from(matches!(answers[0], Ok(Answer::Opened(_))));
            for dir in ["", "d"] {
                let list = Op::List(path(dir), 100);
                let lists = [&mut real as &mut dyn Storage, &mut simulated]
                    .map(|storage| sorted(perform(storage, &list)));
                assert_eq!(lists[0], lists[1], "after {op:?}");
            }
        }
        assert!(files > 10, "{files} files were opened");
    });
}

/// What a folder of a real system can hold besides.
#[test]
fn links_and_pipes_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(folder.path().join("pipe")).status();
    assert!(pipe.unwrap().success());
    let mut storage = Folder::new(folder.path());
    for access in [Access::Read, Access::Write] {
        assert_eq!(storage.open(&path("link"), access), Err(Error::NotAFile));
        assert_eq!(storage.open(&path("pipe"), access), Err(Error::NotAFile));
    }
    assert_eq!(storage.create(&path("link")), Err(Error::Exists));
    for name in ["link", "pipe"] {
        let is = Metadata { kind: Kind::Other, len: 0 };
        assert_eq!(storage.metadata(&path(name)), Ok(is));
    }
    storage.remove(&path("link")).unwrap();
    assert!(outside.path().exists());
}
