//! Each fault happens, and a crash keeps what it has to and nothing that cannot be.

use anabranch_core::Seed;
use anabranch_storage::{Access, FileId, Replace, Storage};

use super::*;
use crate::link::Ratio;

mod crash;
mod receiver;

const MICROS: fn(u64) -> Duration = Duration::from_micros;

fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn disk(seed: u64, config: DiskConfig) -> Disk {
    Disk::new(config, Seed::from_u64(seed).stream("disk"))
}

/// Does it now, however long it takes.
fn now(disk: &mut Disk, op: Op) -> Result<Answer, Error> {
    disk.submit(Instant::ZERO, op);
    let at = disk.next_time().unwrap();
    disk.poll(at).unwrap().result
}

fn create(disk: &mut Disk, at: &str) -> FileId {
    disk.files().create(&path(at)).unwrap()
}

fn write(file: FileId, offset: u64, bytes: &[u8]) -> Op {
    Op::WriteAt { file, offset, bytes: bytes.to_vec() }
}

fn content(disk: &mut Disk, at: &str) -> Option<Vec<u8>> {
    let file = disk.files().open(&path(at), Access::Read).ok()?;
    let mut bytes = vec![0; 100_000];
    let read = disk.files().read_at(file, 0, &mut bytes).unwrap();
    disk.files().close(file).unwrap();
    Some(bytes[..read].to_vec())
}

#[test]
fn operations_take_their_time_and_overtake_each_other() {
    let config = DiskConfig {
        latency: MICROS(100),
        jitter: MICROS(50),
        stall: Ratio::percent(10),
        stall_for: Duration::from_secs(2),
        ..DiskConfig::default()
    };
    let mut disk = disk(1, config);
    let tickets: Vec<_> = (0..1_000).map(|_| disk.submit(Instant::ZERO, Op::FreeSpace)).collect();
    assert_eq!(disk.poll(Instant::ZERO + MICROS(99)), None);
    let (mut done, mut slow) = (Vec::new(), 0);
    while let Some(at) = disk.next_time() {
        let mut takes = at.since(Instant::ZERO);
        if let Some(rest) = takes.checked_sub(Duration::from_secs(2)) {
            (takes, slow) = (rest, slow + 1);
        }
        assert!((MICROS(100)..=MICROS(150)).contains(&takes), "{takes:?}");
        done.push(disk.poll(at).unwrap());
    }
    assert!(done.iter().all(|done| done.op == Op::FreeSpace && done.result.is_ok()));
    let mut order: Vec<_> = done.iter().map(|done| done.ticket).collect();
    assert_ne!(order, tickets);
    order.sort();
    assert_eq!(order, tickets);
    let counts = disk.counts();
    assert_eq!((counts.submitted, counts.done, counts.failed), (1_000, 1_000, 0));
    assert!(counts.stalled == slow && (70..130).contains(&slow), "{slow} were slow, {counts:?}");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let mut disk = disk(1, DiskConfig { capacity: 10, ..DiskConfig::default() });
    let file = create(&mut disk, "a");
    assert_eq!(now(&mut disk, write(file, 0, b"12345678")), Ok(Answer::Done));
    assert_eq!(now(&mut disk, Op::FreeSpace), Ok(Answer::Free(2)));
    assert_eq!(now(&mut disk, write(file, 6, b"ABCDEF")), Err(Error::Full));
    assert_eq!(content(&mut disk, "a").unwrap(), b"123456ABCD");
    assert_eq!(now(&mut disk, write(file, 0, b"x")), Ok(Answer::Done), "no space is needed");
    assert_eq!(now(&mut disk, Op::SetLen(file, 11)), Err(Error::Full));
    assert_eq!(now(&mut disk, Op::SetLen(file, 4)), Ok(Answer::Done));
    assert_eq!(now(&mut disk, write(file, 20, b"x")), Err(Error::Full), "there are no holes");
    assert_eq!(now(&mut disk, Op::FreeSpace), Ok(Answer::Free(6)));
    // Who has a removed file open keeps its space.
    assert_eq!(now(&mut disk, Op::Remove(path("a"))), Ok(Answer::Done));
    assert_eq!(now(&mut disk, Op::FreeSpace), Ok(Answer::Free(6)));
    assert_eq!(now(&mut disk, Op::Close(file)), Ok(Answer::Done));
    assert_eq!(now(&mut disk, Op::FreeSpace), Ok(Answer::Free(10)));
    disk.configure(DiskConfig { capacity: 1 << 20, ..DiskConfig::default() });
    assert_eq!(now(&mut disk, Op::FreeSpace), Ok(Answer::Free(1 << 20)));
}

#[test]
fn a_read_only_disk_can_be_read() {
    let mut disk = disk(1, DiskConfig::default());
    let file = create(&mut disk, "a");
    now(&mut disk, write(file, 0, b"abc")).unwrap();
    disk.configure(DiskConfig { read_only: true, ..DiskConfig::default() });
    let refused = [
        write(file, 0, b"x"),
        Op::SetLen(file, 0),
        Op::Create(path("b")),
        Op::MakeDir(path("d")),
        Op::Remove(path("a")),
        Op::Rename { from: path("a"), to: path("b"), replace: Replace::Yes },
        Op::Open(path("a"), Access::Write),
    ];
    for op in refused {
        assert_eq!(now(&mut disk, op.clone()), Err(Error::ReadOnly), "{op:?}");
    }
    assert_eq!(content(&mut disk, "a").unwrap(), b"abc");
}

#[test]
fn faults_at_their_rates() {
    let config = DiskConfig {
        read_error: Ratio::percent(10),
        write_error: Ratio::percent(20),
        sync_error: Ratio::percent(30),
        ..DiskConfig::default()
    };
    let mut disk = disk(1, config);
    let file = create(&mut disk, "a");
    let mut torn = 0;
    for n in 0..1_000u64 {
        let byte = u8::try_from(n % 251).unwrap();
        if now(&mut disk, write(file, 0, &[byte; 10])).is_err() {
            let content = content(&mut disk, "a").unwrap();
            let new = content.iter().filter(|b| **b == byte).count();
            torn += usize::from((1..10).contains(&new));
        }
        let _ = now(&mut disk, Op::ReadAt { file, offset: 0, len: 10 });
        let _ = now(&mut disk, Op::Sync(file));
        now(&mut disk, Op::FreeSpace).unwrap();
    }
    let counts = disk.counts();
    let near = |count: u64, of: u64| count.abs_diff(of) < 50;
    assert!(near(counts.read_errors, 100) && near(counts.write_errors, 200), "{counts:?}");
    assert!(near(counts.sync_errors, 300) && torn > 100, "{counts:?}, {torn} torn");
    assert_eq!(counts.failed, counts.read_errors + counts.write_errors + counts.sync_errors);
}

#[test]
fn a_directory_can_vanish() {
    let mut disk = disk(1, DiskConfig::default());
    disk.files().make_dir(&path("d")).unwrap();
    let file = create(&mut disk, "d/a");
    disk.files().sync_dir(&RelPath::ROOT).unwrap();
    disk.vanish(&path("d")).unwrap();
    assert_eq!(disk.vanish(&path("d")), Err(Error::NotFound));
    assert_eq!(now(&mut disk, Op::Create(path("d/b"))), Err(Error::NotFound));
    assert_eq!(now(&mut disk, Op::SyncDir(path("d"))), Err(Error::NotFound));
    assert_eq!(now(&mut disk, write(file, 0, b"x")), Ok(Answer::Done), "it is open");
    disk.crash();
    assert_eq!(disk.files().list(&RelPath::ROOT, 9), Ok(vec![]), "it does not come back");
    disk.vanish(&RelPath::ROOT).unwrap();
    assert_eq!(now(&mut disk, Op::List(RelPath::ROOT, 9)), Err(Error::NotFound));
    assert_eq!(now(&mut disk, Op::Create(path("a"))), Err(Error::NotFound));
}

#[test]
fn a_killed_program_leaves_what_it_wrote() {
    let mut happened = 0;
    for seed in 0..100 {
        let mut disk = disk(seed, DiskConfig::default());
        let file = create(&mut disk, "a");
        now(&mut disk, write(file, 0, b"abc")).unwrap();
        disk.submit(Instant::ZERO, write(file, 0, b"x"));
        disk.kill();
        assert_eq!(disk.next_time(), None);
        assert_eq!(now(&mut disk, write(file, 0, b"y")), Err(Error::NotOpen));
        let content = content(&mut disk, "a").unwrap();
        happened += u32::from(content == b"xbc");
        assert!(content == b"xbc" || content == b"abc");
        assert_eq!(disk.counts().interrupted, 1);
    }
    assert!((20..80).contains(&happened), "{happened} of 100");
}

#[test]
fn a_seed_says_everything() {
    let run = |seed| {
        let mut disk = disk(seed, DiskConfig::failing(20));
        let file = create(&mut disk, "a");
        let ops = (0..100u8).map(|n| write(file, u64::from(n) * 10, &[n; 1_000]));
        for op in ops {
            disk.submit(Instant::ZERO, op);
        }
        let mut done = Vec::new();
        while let Some(at) = disk.next_time().filter(|_| done.len() < 80) {
            done.push((at, disk.poll(at)));
        }
        disk.files().sync_dir(&RelPath::ROOT).unwrap();
        disk.crash();
        (done, content(&mut disk, "a"))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
