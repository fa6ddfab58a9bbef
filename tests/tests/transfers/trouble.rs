//! Disks that are full, fail, or vanish, and sources that change.

use anabranch_core::Code;
use anabranch_core::files::Existing;
use anabranch_storage::{Access, RelPath, Storage as _};
use anabranch_tests::disk::{DiskConfig, Shared};
use anabranch_tests::ferry::Ferry;
use anabranch_tests::link::Ratio;
use anabranch_tests::seeds;
use anabranch_transfers::{Buffers, Claims, Giver, Keeper, Origin, Quota, Receive, Send, Source};

use super::common::{PIECE, bytes, disk, get, giver, keeper, names, path, put, transfer};

fn sender(len: usize) -> (Shared, Vec<u8>) {
    let (from, content) = (disk(1, DiskConfig::default()), bytes(1, len));
    put(&from, "a", &content);
    (from, content)
}

#[test]
fn a_disk_that_fills_up_keeps_what_it_has_and_goes_on_later() {
    fills_up(false);
}

#[test]
fn a_disk_that_fills_up_under_several_threads_keeps_what_it_has() {
    fills_up(true);
}

fn fills_up(helped: bool) {
    let (from, content) = sender(5 * PIECE + 17);
    for room in (0..content.len() + 5_000).step_by(PIECE / 4) {
        let to = disk(2, DiskConfig::default());
        if helped {
            to.allow_writers();
        }
        // The room shrinks when the transfer has begun.
        let mut ferry = Ferry::new(giver(&from, "a"), keeper(&to, Existing::Refuse));
        for _ in 0..3 {
            assert!(ferry.step());
        }
        let small = DiskConfig { capacity: room as u64, ..DiskConfig::default() };
        to.with(|disk| disk.configure(small));
        let (first, _) = ferry.run(|| false);
        if !first.complete {
            let (code, reason) = first.cancelled.clone().expect("it is told");
            assert_eq!(code, Code::NoSpace, "{room}: {reason}");
            assert!(reason.starts_with("a: "), "{reason}");
            assert_eq!(get(&to, "a"), None);
        }
        to.with(|disk| disk.configure(DiskConfig::default()));
        let second = transfer(&from, &to, "a", Existing::Refuse);
        assert!(second.complete && get(&to, "a").as_ref() == Some(&content), "{room}");
        let again = second.sent.iter().any(|piece| first.stored.contains(piece));
        assert!(!again, "{room}: acknowledged, and sent again");
    }
}

#[test]
fn too_little_room_is_noticed_before_anything_is_sent() {
    let (from, _) = sender(5 * PIECE);
    let to = disk(2, DiskConfig { capacity: 4 * PIECE as u64, ..DiskConfig::default() });
    let outcome = transfer(&from, &to, "a", Existing::Refuse);
    assert!(outcome.complete && outcome.sent.is_empty());
    assert_eq!(outcome.failed[0].1, Code::NoSpace);
    assert_eq!(outcome.failed[0].2, "262144 bytes are free on the disk, 327680 are needed");
}

#[test]
fn a_quota_is_for_everything_together() {
    let from = disk(1, DiskConfig::default());
    for name in ["d/a", "d/b", "d/c"] {
        put(&from, name, &bytes(1, 1_000));
    }
    let quota = Quota::new(2_500, 0);
    let to = disk(2, DiskConfig::default());
    for existing in [Existing::Refuse, Existing::Overwrite] {
        let receive = Receive { quota: Some(quota.clone()), existing, ..Receive::default() };
        let keeper = Keeper::new(Box::new(to.clone()), Claims::default(), receive);
        let (outcome, _) = Ferry::new(giver(&from, "d"), keeper).run(|| false);
        let failed: Vec<_> = outcome.failed.iter().map(|(_, code, _)| *code).collect();
        assert_eq!((failed, quota.used()), (vec![Code::NoSpace], 2_000), "{outcome:?}");
    }
    put(&from, "d/a", &bytes(2, 500));
    let existing = Existing::Overwrite;
    let receive = Receive { quota: Some(quota.clone()), existing, ..Receive::default() };
    let keeper = Keeper::new(Box::new(to), Claims::default(), receive);
    Ferry::new(giver(&from, "d/a"), keeper).run(|| false);
    assert_eq!(quota.used(), 1_500);
}

#[test]
fn a_disk_that_fails_now_and_then_never_holds_a_wrong_file() {
    let from = disk(1, DiskConfig::default());
    let files: Vec<_> = (0..6).map(|n| (format!("d/{n}"), bytes(n, n as usize * 40_000))).collect();
    for (name, bytes) in &files {
        put(&from, name, bytes);
    }
    let complete = std::cell::Cell::new(0);
    seeds::each(40, |seed| {
        let to = disk(seed, DiskConfig { stall: Ratio::NEVER, ..DiskConfig::failing(2) });
        for _ in 0..4 {
            let outcome = transfer(&from, &to, "d", Existing::Refuse);
            complete.set(complete.get() + u32::from(outcome.complete && outcome.failed.is_empty()));
            for (name, bytes) in &files {
                let there = get(&to, name);
                assert!(there.is_none() || there.as_ref() == Some(bytes), "seed {seed}: {name}");
            }
        }
        to.with(|disk| disk.configure(DiskConfig::default()));
        let outcome = transfer(&from, &to, "d", Existing::Refuse);
        assert!(outcome.complete && outcome.failed.is_empty(), "seed {seed}: {outcome:?}");
        for (name, bytes) in &files {
            assert!(get(&to, name).as_ref() == Some(bytes), "seed {seed}: {name}");
        }
    });
    assert!(seeds::count(40) < 40 || complete.get() > 10, "{complete:?} were complete at once");
}

#[test]
fn a_folder_that_vanishes_or_cannot_be_written_to_ends_the_transfer() {
    let (from, _) = sender(3 * PIECE);
    for read_only in [true, false] {
        for steps in 0..5 {
            let to = disk(2, DiskConfig::default());
            let mut ferry = Ferry::new(giver(&from, "a"), keeper(&to, Existing::Refuse));
            for _ in 0..steps {
                ferry.step();
            }
            to.with(|disk| match read_only {
                true => disk.configure(DiskConfig { read_only, ..DiskConfig::default() }),
                false => disk.vanish(&RelPath::ROOT).unwrap(),
            });
            let (outcome, _) = ferry.run(|| false);
            let (code, _) = outcome.cancelled.clone().unwrap_or_else(|| panic!("{outcome:?}"));
            let expected = if read_only { Code::Denied } else { Code::Io };
            assert_eq!(code, expected, "after {steps} steps: {outcome:?}");
        }
    }
}

#[test]
fn a_source_that_changes_is_noticed_at_every_step() {
    type Change = fn(&Shared);
    let changes: [Change; 4] = [
        |from| put(from, "a", &bytes(9, 3 * PIECE)),
        |from| from.with(|disk| write(disk.files(), 3 * PIECE as u64, b"more")),
        |from| {
            from.with(|disk| write(disk.files(), 2 * PIECE as u64 + 5, b"other"));
            from.with(|disk| write(disk.files(), 5, b"other"));
        },
        |from| from.with(|disk| disk.files().remove(&path("a"))).unwrap(),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        for steps in 0.. {
            let (from, old) = sender(3 * PIECE);
            let to = disk(2, DiskConfig::default());
            let mut ferry = Ferry::new(giver(&from, "a"), keeper(&to, Existing::Refuse));
            let ended = (0..steps).any(|_| !ferry.step());
            if ended {
                assert!(steps > 8, "it takes more steps than that");
                break;
            }
            change(&from);
            let new = get(&from, "a");
            let (outcome, _) = ferry.run(|| false);
            let there = get(&to, "a");
            let text = format!("change {n} after {steps} steps: {outcome:?}");
            match outcome.failed.first() {
                Some((_, code, _)) => {
                    assert_eq!((*code, there), (Code::SourceChanged, None), "{text}");
                }
                // It was not there when it was looked for.
                None if there.is_none() => assert!(steps == 0 && n == 3, "{text}"),
                None => assert!(there == Some(old) || there == new, "{text}"),
            }
        }
    }
}

fn write(files: &mut anabranch_tests::disk::FileSystem, at: u64, bytes: &[u8]) {
    let file = files.open(&path("a"), Access::Write).unwrap();
    files.write_at(file, at, bytes).unwrap();
    files.close(file).unwrap();
}

#[test]
fn a_partial_file_of_another_version_is_not_used() {
    let (from, _) = sender(5 * PIECE);
    let to = disk(2, DiskConfig::default());
    to.die_after(20);
    let (first, stopped) =
        Ferry::new(giver(&from, "a"), keeper(&to, Existing::Refuse)).run(|| to.is_dead());
    assert!(stopped && !first.stored.is_empty());
    to.revive(anabranch_tests::disk::Death::Kill);
    let new = bytes(5, 5 * PIECE);
    put(&from, "a", &new);
    let outcome = transfer(&from, &to, "a", Existing::Refuse);
    assert!(outcome.complete && outcome.sent.len() == 5, "{outcome:?}");
    let outdated = |report: &anabranch_transfers::Report| {
        matches!(report, anabranch_transfers::Report::Outdated { .. })
    };
    assert!(outcome.reports.iter().any(outdated));
    assert!(get(&to, "a") == Some(new));
}

#[test]
fn what_was_damaged_on_the_disk_is_sent_again_and_nothing_else() {
    let (from, content) = sender(5 * PIECE);
    let to = disk(2, DiskConfig::default());
    to.die_after(24);
    Ferry::new(giver(&from, "a"), keeper(&to, Existing::Refuse)).run(|| to.is_dead());
    to.revive(anabranch_tests::disk::Death::Kill);
    let part = path(".a.anab-part");
    to.with(|disk| {
        let file = disk.files().open(&part, Access::Write).unwrap();
        disk.files().write_at(file, 70_000, b"x").unwrap();
        disk.files().close(file).unwrap();
    });
    let outcome = transfer(&from, &to, "a", Existing::Refuse);
    assert!(outcome.sent.contains(&(0, 1)) && !outcome.sent.contains(&(0, 0)), "{outcome:?}");
    assert!(get(&to, "a") == Some(content));
}

#[test]
fn holes_take_no_room_and_are_holes_again() {
    let from = disk(1, DiskConfig::default());
    let mut content = vec![0; 8 * PIECE];
    content[5 * PIECE..5 * PIECE + 4].copy_from_slice(b"here");
    put(&from, "a", &content);
    let to = disk(2, DiskConfig::default());
    assert!(transfer(&from, &to, "a", Existing::Refuse).complete);
    assert!(get(&to, "a") == Some(content));
}

#[test]
fn a_pipe_is_sent_to_its_end_and_no_further() {
    for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
        let content = bytes(1, len);
        let pipe = Origin::Pipe(Box::new(std::io::Cursor::new(content.clone())));
        let source = Source { name: "from a pipe".to_owned(), origin: pipe };
        let send = Send { piece: Some(64 << 10), ..Send::default() };
        let giver = Giver::new(vec![source], send, Buffers::default());
        let to = disk(2, DiskConfig::default());
        let (outcome, _) = Ferry::new(giver, keeper(&to, Existing::Refuse)).run(|| false);
        assert!(outcome.complete, "{len}: {outcome:?}");
        assert!(get(&to, "from a pipe") == Some(content), "{len}");
    }
}

#[test]
fn names_of_partial_files_are_neither_sent_nor_taken() {
    let from = disk(1, DiskConfig::default());
    put(&from, "d/.a.anab-part", b"part");
    put(&from, "d/b", b"b");
    let to = disk(2, DiskConfig::default());
    assert!(transfer(&from, &to, "d", Existing::Refuse).complete);
    assert_eq!(names(&to, ""), ["d/", "d/b"]);
    let outcome = transfer(&from, &to, "d/.a.anab-part", Existing::Refuse);
    assert_eq!(outcome.failed[0].1, Code::BadName);
    assert_eq!(names(&to, ""), ["d/", "d/b"]);
}
