//! A program that receives files and keeps a journal survives every crash if it syncs what it
//! must, and a program that forgets one of these syncs is found out.

use super::*;

/// What a program may forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forgets {
    Nothing,
    SyncFile,
    SyncName,
    SyncJournal,
    /// After a failed sync it does not write again, and only syncs again.
    WriteAgain,
}

/// Blocks on each operation, and begins again where the disk fails.
struct Program<'a> {
    disk: &'a mut Disk,
    forgets: Forgets,
    /// Files that the journal says are there: what it has told its user.
    told: Vec<u64>,
    journal: FileId,
    journaled: u64,
    /// The disk has stopped the program in the middle: after so many operations.
    left: u64,
}

/// The power is gone.
struct Dead;

/// Length of an entry of the journal: a number twice, so that a torn entry is noticed.
const ENTRY: u64 = 16;

fn file_name(n: u64) -> String {
    format!("file {n}")
}

fn body(n: u64) -> Vec<u8> {
    (n..).map(|i| u8::try_from(i % 251).unwrap()).take(1_500).collect()
}

fn entry(n: u64) -> Vec<u8> {
    n.to_be_bytes().repeat(2)
}

impl Program<'_> {
    fn once(&mut self, op: Op) -> Result<Result<Answer, Error>, Dead> {
        self.left = self.left.checked_sub(1).ok_or(Dead)?;
        Ok(now(self.disk, op))
    }

    /// Until it succeeds.
    fn must(&mut self, op: &Op) -> Result<Answer, Dead> {
        loop {
            if let Ok(answer) = self.once(op.clone())? {
                return Ok(answer);
            }
        }
    }

    /// Writes, and makes it last.
    fn store(&mut self, op: &Op, file: FileId, forget: bool) -> Result<(), Dead> {
        self.must(op)?;
        while !forget && self.once(Op::Sync(file))?.is_err() {
            if self.forgets != Forgets::WriteAgain {
                self.must(op)?;
            }
        }
        Ok(())
    }

    fn create(&mut self, name: &str) -> Result<FileId, Dead> {
        match self.must(&Op::Create(path(name)))? {
            Answer::Opened(file) => Ok(file),
            other => panic!("{other:?}"),
        }
    }

    fn start(&mut self) -> Result<(), Dead> {
        self.journal = self.create("journal")?;
        self.must(&Op::MakeDir(path("in")))?;
        self.must(&Op::SyncDir(RelPath::ROOT)).map(drop)
    }

    fn receive(&mut self, n: u64) -> Result<(), Dead> {
        let (part, whole) = (format!("in/{}.part", file_name(n)), format!("in/{}", file_name(n)));
        let file = self.create(&part)?;
        self.store(&write(file, 0, &body(n)), file, self.forgets == Forgets::SyncFile)?;
        self.must(&Op::Close(file))?;
        let (from, to) = (path(&part), path(&whole));
        self.must(&Op::Rename { from, to, replace: Replace::No })?;
        if self.forgets != Forgets::SyncName {
            self.must(&Op::SyncDir(path("in")))?;
        }
        let entry = write(self.journal, self.journaled * ENTRY, &entry(n));
        self.store(&entry, self.journal, self.forgets == Forgets::SyncJournal)?;
        self.journaled += 1;
        self.told.push(n);
        Ok(())
    }
}

/// What is wrong after a crash, if anything is.
fn check(disk: &mut Disk, told: &[u64]) -> Result<(), String> {
    let journal = content(disk, "journal").unwrap_or_default();
    let entries: Vec<u64> = journal
        .chunks(ENTRY as usize)
        .take_while(|entry| entry.len() == ENTRY as usize && entry[..8] == entry[8..])
        .map(|entry| u64::from_be_bytes(*entry.first_chunk().unwrap()))
        .collect();
    if !entries.starts_with(told) {
        return Err(format!("told {told:?}, and the journal says {entries:?}"));
    }
    for n in told {
        if content(disk, &format!("in/{}", file_name(*n))) != Some(body(*n)) {
            return Err(format!("file {n} is not what it was"));
        }
    }
    Ok(())
}

/// One program on one disk, and a crash in the middle of it.
fn run(seed: u64, config: DiskConfig, forgets: Forgets) -> Result<usize, String> {
    let mut disk = disk(seed, config);
    let left = Seed::from_u64(seed).stream("crash").below(120);
    let mut program = Program {
        disk: &mut disk,
        forgets,
        told: Vec::new(),
        journal: FileId(0),
        journaled: 0,
        left,
    };
    let dead = program.start().and_then(|()| (1..).try_for_each(|n| program.receive(n)));
    assert!(dead.is_err(), "it only ends with the power");
    let told = program.told;
    disk.crash();
    check(&mut disk, &told).map(|()| told.len())
}

fn sound() -> [DiskConfig; 3] {
    let any = DiskConfig { order: Order::Any, ..DiskConfig::default() };
    [DiskConfig::default(), any, DiskConfig::failing(5)]
}

#[test]
fn a_careful_program_keeps_its_word() {
    let mut told = 0;
    for config in sound() {
        for seed in 0..300 {
            let outcome = run(seed, config.clone(), Forgets::Nothing);
            told += outcome.unwrap_or_else(|what| panic!("seed {seed}, {config:?}: {what}"));
        }
    }
    assert!(told > 1_000, "{told} files");
}

#[test]
fn a_careless_program_is_found_out() {
    let careless =
        [Forgets::SyncFile, Forgets::SyncName, Forgets::SyncJournal, Forgets::WriteAgain];
    for forgets in careless {
        let config = DiskConfig { sync_error: Ratio::percent(5), ..DiskConfig::default() };
        let found = (0..300).filter(|seed| run(*seed, config.clone(), forgets).is_err()).count();
        assert!(found > 5, "{forgets:?} was found out by {found} of 300 seeds");
    }
}
