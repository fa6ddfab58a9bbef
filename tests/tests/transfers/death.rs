//! The receiver dies at every step.

use anabranch_core::files::Existing;
use anabranch_storage::Storage as _;
use anabranch_tests::disk::{Death, DiskConfig, Order, Shared};
use anabranch_tests::ferry::{Ferry, Outcome};
use anabranch_tests::seeds;
use anabranch_transfers::Report;

use super::common::{PIECE, bytes, disk, get, giver, keeper, names, put, transfer};

/// What is sent: the name, and whether something is there before.
struct Scene {
    from: Shared,
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    old: Option<Vec<u8>>,
    existing: Existing,
    /// Everything is sent before anything is stored.
    at_once: bool,
    /// Several threads write.
    helped: bool,
}

fn scene(files: &[(&'static str, usize)], old: bool, existing: Existing) -> Scene {
    let from = disk(1, DiskConfig::default());
    let make = |(n, (name, len)): (usize, &(&'static str, usize))| (*name, bytes(n as u64, *len));
    let files: Vec<_> = files.iter().enumerate().map(make).collect();
    for (name, bytes) in &files {
        put(&from, name, bytes);
    }
    let name = files[0].0.split('/').next().unwrap();
    // Half of it is right.
    let old = old.then(|| {
        let mut old = files[0].1.clone();
        let half = old.len() / 2;
        old[half..].fill(7);
        old
    });
    Scene { from, name, files, old, existing, at_once: false, helped: false }
}

/// Runs a transfer that dies at its `k`th operation of the receiver's disk. `None`: it ended
/// before.
fn dies_at(scene: &Scene, to: &Shared, k: u64) -> Option<Outcome> {
    if let Some(old) = &scene.old {
        put(to, scene.files[0].0, old);
    }
    to.die_after(k);
    let ferry = Ferry::new(giver(&scene.from, scene.name), keeper(to, scene.existing));
    let ferry = if scene.at_once { ferry.giver_first() } else { ferry };
    let (outcome, stopped) = ferry.run(|| to.is_dead());
    stopped.then_some(outcome)
}

/// Under its name there is the whole file, or what was there before, or nothing.
fn check_names(scene: &Scene, to: &Shared, what: &str) {
    for (n, (name, bytes)) in scene.files.iter().enumerate() {
        let before = scene.old.as_ref().filter(|_| n == 0);
        match get(to, name) {
            Some(there) => {
                assert!(there == *bytes || Some(&there) == before, "{what}: {name} is torn");
            }
            None => assert_eq!(before, None, "{what}: {name} is gone"),
        }
    }
}

fn every_step(scene: &Scene, death: Death, order: Order, seed: u64) -> u64 {
    for k in 0.. {
        let what = format!("{death:?} at operation {k}, {order:?}, seed {seed}");
        let to = disk(seed.wrapping_mul(10_000) + k, DiskConfig { order, ..DiskConfig::default() });
        if scene.helped {
            to.allow_writers();
        }
        let Some(before) = dies_at(scene, &to, k) else {
            assert!(!scene.helped || one_core() || to.helped() > 0, "{what}: nobody helped");
            return k;
        };
        to.revive(death);
        check_names(scene, &to, &what);
        let after = transfer(&scene.from, &to, scene.name, scene.existing);
        assert!(after.complete, "{what}: {after:?}");
        assert_eq!(after.failed, [], "{what}");
        for (name, bytes) in &scene.files {
            assert!(get(&to, name).as_ref() == Some(bytes), "{what}: {name} is another");
        }
        if death == Death::Kill {
            let again = after.sent.iter().filter(|piece| before.stored.contains(piece));
            // Files without a journal are one piece: those may come again, until they have a name.
            let large = after.reports.iter().filter_map(|report| match report {
                Report::Entry { file, size, .. } if *size > Some(PIECE as u64) => Some(*file),
                _ => None,
            });
            let large: Vec<u32> = large.collect();
            let again: Vec<_> = again.filter(|(file, _)| large.contains(file)).collect();
            assert!(again.is_empty(), "{what}: acknowledged, and sent again: {again:?}");
        }
        let mut left = names(&to, "");
        left.retain(|name| name.contains(".anab-"));
        assert_eq!(left, [""; 0], "{what}");
    }
    unreachable!()
}

/// Then there are no threads beside the transfer's own.
fn one_core() -> bool {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get) == 1
}

const LARGE: (&str, usize) = ("large", 5 * PIECE + 17);

#[test]
fn whenever_the_program_is_killed_the_file_is_whole_or_goes_on() {
    let steps = every_step(&scene(&[LARGE], false, Existing::Refuse), Death::Kill, Order::Kept, 0);
    assert!(steps > 25, "{steps} operations");
    every_step(&scene(&[LARGE], true, Existing::Overwrite), Death::Kill, Order::Kept, 1);
    every_step(&scene(&[("empty", 0)], false, Existing::Refuse), Death::Kill, Order::Kept, 2);
    every_step(&scene(&[("small", 100)], true, Existing::Overwrite), Death::Kill, Order::Kept, 3);
}

const TREE: [(&str, usize); 8] = [
    ("tree/a/one", 100),
    ("tree/a/two", 2 * PIECE),
    ("tree/b/c/three", 3 * PIECE + 1),
    ("tree/b/empty", 0),
    ("tree/four", 4_000),
    ("tree/six", 5_000),
    ("tree/seven", 6_000),
    ("tree/z", PIECE),
];

#[test]
fn whenever_it_is_killed_a_tree_is_whole_or_goes_on() {
    every_step(&tree(), Death::Kill, Order::Kept, 4);
}

fn tree() -> Scene {
    let mut scene = scene(&TREE, false, Existing::Refuse);
    scene.name = "tree";
    scene
}

#[test]
fn whenever_the_power_fails_the_file_is_whole_or_goes_on() {
    for order in [Order::Kept, Order::Any] {
        seeds::each(4, |seed| {
            every_step(&scene(&[LARGE], false, Existing::Refuse), Death::Crash, order, seed);
            every_step(&scene(&[LARGE], true, Existing::Overwrite), Death::Crash, order, seed);
            every_step(
                &scene(&[("small", 700)], false, Existing::Refuse),
                Death::Crash,
                order,
                seed,
            );
            every_step(&tree(), Death::Crash, order, seed);
            every_step(&Scene { at_once: true, ..tree() }, Death::Crash, order, seed);
        });
    }
}

#[test]
fn a_file_that_several_threads_write_is_whole_or_goes_on() {
    let scene = scene(&[("large", 12 * PIECE + 17)], false, Existing::Refuse);
    let mut scene = Scene { helped: true, at_once: true, ..scene };
    // Some of it need not be written, and the file has to become as long.
    for hole in [2, 5, 8] {
        scene.files[0].1[hole * PIECE..(hole + 1) * PIECE].fill(0);
    }
    put(&scene.from, "large", &scene.files[0].1);
    for (death, order) in
        [(Death::Kill, Order::Kept), (Death::Crash, Order::Kept), (Death::Crash, Order::Any)]
    {
        seeds::each(3, |seed| {
            every_step(&scene, death, order, seed);
        });
    }
}

#[test]
fn what_another_thread_has_written_is_not_sent_again() {
    let pieces = 12;
    let scene = scene(&[("large", pieces * PIECE)], false, Existing::Refuse);
    for _ in 0..20 {
        let to = disk(1, DiskConfig::default());
        to.allow_writers();
        // The connection is lost when somebody else has begun to write.
        let ferry = Ferry::new(giver(&scene.from, scene.name), keeper(&to, scene.existing));
        let (first, stopped) = ferry.giver_first().run(|| to.helped() > 0);
        assert!(stopped || one_core(), "{first:?}");
        let written = to.helped() as usize;
        let second = transfer(&scene.from, &to, scene.name, scene.existing);
        assert!(second.complete && get(&to, "large").as_ref() == Some(&scene.files[0].1));
        let most = pieces - written.max(first.stored.len());
        assert!(second.sent.len() <= most, "{written} were written: {:?}", second.sent);
    }
}

#[test]
fn what_was_confirmed_survives_the_power() {
    for order in [Order::Kept, Order::Any] {
        seeds::each(16, |seed| {
            for scene in [tree(), scene(&[LARGE], false, Existing::Refuse)] {
                let to = disk(seed, DiskConfig { order, ..DiskConfig::default() });
                assert!(transfer(&scene.from, &to, scene.name, scene.existing).complete);
                to.revive(Death::Crash);
                for (name, bytes) in &scene.files {
                    assert!(get(&to, name).as_ref() == Some(bytes), "seed {seed}: {name} is lost");
                }
            }
        });
    }
}

#[test]
fn it_may_die_again_and_again() {
    let scene = scene(&[LARGE], false, Existing::Refuse);
    seeds::each(8, |seed| {
        let to = disk(seed, DiskConfig::default());
        let mut sent = 0;
        let mut last = None;
        for k in (3..).step_by(2) {
            match dies_at(&scene, &to, k) {
                Some(outcome) => sent += outcome.sent.len(),
                None => break,
            }
            let death = if seed.is_multiple_of(2) { Death::Kill } else { Death::Crash };
            to.revive(death);
            last = to.with(|disk| disk.files().free_space().ok());
            check_names(&scene, &to, &format!("seed {seed}, operation {k}"));
        }
        assert!(get(&to, "large").as_ref() == Some(&scene.files[0].1), "seed {seed}");
        assert!(last.is_some() && sent > 0);
    });
}
