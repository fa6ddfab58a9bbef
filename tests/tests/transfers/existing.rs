//! What becomes of files that are there.

use anabranch_core::Code;
use anabranch_core::files::Existing;
use anabranch_storage::Storage as _;
use anabranch_tests::disk::{DiskConfig, Shared};
use anabranch_tests::ferry::Outcome;
use anabranch_transfers::{How, Report};

use super::common::{PIECE, bytes, disk, get, names, put, transfer};

fn sent(new: &[u8], old: &[u8], existing: Existing) -> (Shared, Outcome) {
    let (from, to) = (disk(1, DiskConfig::default()), disk(2, DiskConfig::default()));
    put(&from, "a.txt", new);
    put(&to, "a.txt", old);
    let outcome = transfer(&from, &to, "a.txt", existing);
    assert!(names(&to, "").iter().all(|name| !name.contains(".anab-")), "{:?}", names(&to, ""));
    (to, outcome)
}

fn placed(outcome: &Outcome) -> Option<(String, How)> {
    outcome.reports.iter().find_map(|report| match report {
        Report::Placed { path, how, .. } => Some((path.clone(), how.clone())),
        _ => None,
    })
}

#[test]
fn the_same_file_is_not_sent_again_whatever_is_wanted() {
    for len in [0, 1, PIECE, 5 * PIECE + 3] {
        let same = bytes(1, len);
        for existing in [Existing::Refuse, Existing::Overwrite, Existing::Rename] {
            let (to, outcome) = sent(&same, &same, existing);
            assert!(outcome.complete && outcome.sent.is_empty(), "{len} {existing:?}: {outcome:?}");
            assert_eq!(outcome.failed, []);
            assert_eq!(placed(&outcome), Some(("a.txt".to_owned(), How::Same)), "{existing:?}");
            assert_eq!((get(&to, "a.txt").unwrap(), names(&to, "").len()), (same.clone(), 1));
        }
    }
}

#[test]
fn another_file_is_kept_replaced_or_joined_by_the_new_one() {
    for len in [1, PIECE, 5 * PIECE + 3] {
        for old_len in [0, len, len + 1, 3 * PIECE] {
            let (new, mut old) = (bytes(1, len), bytes(1, old_len));
            if old == new {
                old[0] ^= 1;
            }
            let text = format!("{len} over {old_len}");
            let (to, outcome) = sent(&new, &old, Existing::Refuse);
            assert!(outcome.complete, "{text}");
            assert_eq!((outcome.failed.len(), outcome.failed[0].1), (1, Code::Exists), "{text}");
            assert!(get(&to, "a.txt").as_ref() == Some(&old));

            let (to, outcome) = sent(&new, &old, Existing::Skip);
            assert!(outcome.complete && outcome.failed.is_empty() && outcome.sent.is_empty());
            assert!(get(&to, "a.txt").as_ref() == Some(&old));

            let (to, outcome) = sent(&new, &old, Existing::Overwrite);
            assert!(outcome.complete && outcome.failed.is_empty(), "{text}: {outcome:?}");
            assert_eq!(placed(&outcome), Some(("a.txt".to_owned(), How::Replaced)), "{text}");
            assert!(get(&to, "a.txt").as_ref() == Some(&new), "{text}");

            let (to, outcome) = sent(&new, &old, Existing::Rename);
            assert!(outcome.complete && outcome.failed.is_empty(), "{text}: {outcome:?}");
            assert!(get(&to, "a.txt").as_ref() == Some(&old), "{text}");
            assert!(get(&to, "a (1).txt").as_ref() == Some(&new), "{text}");
        }
    }
}

#[test]
fn only_the_part_that_has_changed_is_sent() {
    let old = bytes(1, 100 * PIECE);
    let mut new = old.clone();
    new[50 * PIECE] ^= 1;
    for existing in [Existing::Overwrite, Existing::Rename] {
        let (_, outcome) = sent(&new, &old, existing);
        // One wrong piece spoils its range, and there are 32 of them.
        assert!((1..=4).contains(&outcome.sent.len()), "{:?}", outcome.sent);
    }
    let longer = [old.clone(), bytes(2, 10)].concat();
    let (_, outcome) = sent(&longer, &old, Existing::Overwrite);
    assert_eq!(outcome.sent, [(0, 100)]);
}

#[test]
fn the_third_of_a_name_gets_another_number() {
    let (from, to) = (disk(1, DiskConfig::default()), disk(2, DiskConfig::default()));
    put(&to, "a.txt", b"first");
    for n in 1..4 {
        put(&from, "a.txt", format!("number {n}").as_bytes());
        transfer(&from, &to, "a.txt", Existing::Rename);
    }
    assert_eq!(names(&to, ""), ["a (1).txt", "a (2).txt", "a (3).txt", "a.txt"]);
    assert_eq!(get(&to, "a (3).txt").unwrap(), b"number 3");
}

#[test]
fn folders_and_files_do_not_take_each_others_names() {
    let (from, to) = (disk(1, DiskConfig::default()), disk(2, DiskConfig::default()));
    put(&from, "a/b/c", b"c");
    put(&from, "a/d", b"d");
    put(&to, "a/b", b"a file");
    put(&to, "a/d/e", b"a folder");
    for existing in [Existing::Refuse, Existing::Overwrite, Existing::Rename] {
        let outcome = transfer(&from, &to, "a", existing);
        assert!(outcome.complete, "{outcome:?}");
        let failed: Vec<_> = outcome.failed.iter().map(|(_, code, _)| *code).collect();
        assert_eq!(failed, [Code::Exists; 3], "{existing:?}: {outcome:?}");
        assert_eq!(names(&to, ""), ["a/", "a/b", "a/d/", "a/d/e"]);
    }
}

#[test]
fn attributes_come_along() {
    let (from, to) = (disk(1, DiskConfig::default()), disk(2, DiskConfig::default()));
    put(&from, "a/b", b"bytes");
    let attributes = anabranch_storage::Attributes {
        mode: Some(0o4751),
        modified: Some(anabranch_storage::Modified { seconds: -5, nanos: 7 }),
    };
    for name in ["a", "a/b"] {
        let at = super::common::path(name);
        from.with(|disk| disk.files().set_attributes(&at, attributes)).unwrap();
    }
    assert!(transfer(&from, &to, "a", Existing::Refuse).complete);
    for name in ["a", "a/b"] {
        let at = super::common::path(name);
        let status = to.with(|disk| disk.files().status(&at)).unwrap();
        assert_eq!((status.mode, Some(status.modified)), (0o751, attributes.modified), "{name}");
    }
}
