//! What a crash leaves.

use super::*;

/// Everything that a preparation and a crash can lead to.
fn outcomes(order: Order, prepare: impl Fn(&mut Disk)) -> Vec<Vec<(String, Vec<u8>)>> {
    let outcome = |seed| {
        let mut disk = disk(seed, DiskConfig { order, ..DiskConfig::default() });
        prepare(&mut disk);
        disk.crash();
        let entries = disk.files().list(&RelPath::ROOT, 100).unwrap();
        let files = entries.into_iter().filter_map(|entry| {
            let content = content(&mut disk, &entry.name)?;
            Some((entry.name, content))
        });
        files.collect()
    };
    let mut all: Vec<_> = (0..500).map(outcome).collect();
    all.sort();
    all.dedup();
    all
}

fn named(files: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    files.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect()
}

/// A file that survives everything, still open.
fn settled(disk: &mut Disk, name: &str, content: &[u8]) -> FileId {
    let file = create(disk, name);
    disk.files().write_at(file, 0, content).unwrap();
    disk.files().sync(file).unwrap();
    disk.files().sync_dir(&RelPath::ROOT).unwrap();
    file
}

#[test]
fn what_was_synced_survives() {
    let all = outcomes(Order::Any, |disk| {
        settled(disk, "a", b"abc");
    });
    assert_eq!(all, [named(&[("a", b"abc")])]);
}

#[test]
fn content_length_and_name_are_synced_apart() {
    let all = outcomes(Order::Kept, |disk| {
        let file = create(disk, "a");
        disk.files().write_at(file, 0, b"abc").unwrap();
        disk.files().sync_dir(&RelPath::ROOT).unwrap();
    });
    let expected: [&[u8]; 3] = [b"", b"\0\0\0", b"abc"];
    assert_eq!(all, expected.map(|content| named(&[("a", content)])));
    let all = outcomes(Order::Kept, |disk| {
        let file = create(disk, "a");
        disk.files().write_at(file, 0, b"abc").unwrap();
        disk.files().sync(file).unwrap();
    });
    assert_eq!(all, [named(&[]), named(&[("a", b"abc")])]);
}

#[test]
fn writes_are_torn_between_sectors() {
    let all = outcomes(Order::Kept, |disk| {
        let file = settled(disk, "a", &[1; 1_024]);
        disk.files().write_at(file, 0, &[2; 1_024]).unwrap();
        disk.files().write_at(file, 0, &[3; 1_024]).unwrap();
    });
    let sectors = |files: &Vec<(String, Vec<u8>)>| {
        let content = &files[0].1;
        assert_eq!(content.len(), 1_024);
        assert!(content.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        (content[0], content[512])
    };
    let seen: Vec<_> = all.iter().map(sectors).collect();
    let any = [1, 2, 3].map(|a| [1, 2, 3].map(|b| (a, b))).concat();
    assert_eq!(seen, any, "each sector has seen one of the three states");
}

#[test]
fn a_file_that_was_cut_off_may_be_long_again() {
    let all = outcomes(Order::Kept, |disk| {
        let file = settled(disk, "a", b"abcdef");
        disk.files().set_len(file, 2).unwrap();
    });
    let contents: Vec<_> = all.iter().map(|files| files[0].1.as_slice()).collect();
    assert_eq!(contents, [b"ab".as_slice(), b"ab\0\0\0\0", b"abcdef"]);
}

#[test]
fn a_failed_sync_loses_what_later_syncs_do_not_bring_back() {
    let failing = DiskConfig { sync_error: Ratio::ALWAYS, ..DiskConfig::default() };
    let mut lost = 0;
    for seed in 0..100 {
        let mut disk = disk(seed, failing.clone());
        let file = create(&mut disk, "a");
        disk.files().sync_dir(&RelPath::ROOT).unwrap();
        disk.files().write_at(file, 0, b"abc").unwrap();
        assert_eq!(now(&mut disk, Op::Sync(file)), Err(EIO));
        disk.configure(DiskConfig::default());
        now(&mut disk, Op::Sync(file)).unwrap();
        assert_eq!(content(&mut disk, "a").unwrap(), b"abc", "nobody can see that it is lost");
        disk.crash();
        lost += u32::from(content(&mut disk, "a").unwrap().is_empty());
    }
    assert!((20..80).contains(&lost), "{lost} of 100");
}

#[test]
fn names_survive_in_the_order_that_was_asked_for() {
    let names = |order| -> Vec<String> {
        let all = outcomes(order, |disk| {
            create(disk, "a");
            create(disk, "b");
        });
        all.iter().map(|files| files.iter().map(|(name, _)| name.as_str()).collect()).collect()
    };
    assert_eq!(names(Order::Kept), ["", "a", "ab"]);
    assert_eq!(names(Order::Any), ["", "a", "ab", "b"]);
}

#[test]
fn a_rename_happens_at_once_or_not_at_all() {
    for order in [Order::Kept, Order::Any] {
        let all = outcomes(order, |disk| {
            settled(disk, "a", b"1");
            settled(disk, "b", b"2");
            disk.files().rename(&path("a"), &path("b"), Replace::Yes).unwrap();
        });
        assert_eq!(all, [named(&[("a", b"1"), ("b", b"2")]), named(&[("b", b"1")])]);
    }
}

#[test]
fn a_file_never_has_two_names() {
    for order in [Order::Kept, Order::Any] {
        let all = outcomes(order, |disk| {
            settled(disk, "a", b"1");
            disk.files().rename(&path("a"), &path("b"), Replace::No).unwrap();
            disk.files().rename(&path("b"), &path("c"), Replace::No).unwrap();
        });
        assert_eq!(all, ["a", "b", "c"].map(|name| named(&[(name, b"1")])));
    }
}

#[test]
fn a_removed_file_may_come_back_and_takes_no_space() {
    let all = outcomes(Order::Kept, |disk| {
        let file = settled(disk, "a", b"abc");
        disk.files().close(file).unwrap();
        disk.files().remove(&path("a")).unwrap();
        assert_eq!(disk.files().free_space(), Ok(disk.config().capacity));
    });
    assert_eq!(all, [named(&[]), named(&[("a", b"abc")])]);
}
