//! The fuzz bodies on the committed seeds and on some thousands of mutations of them, from a
//! printed seed. What a coverage-guided run finds belongs into `tests/fuzz/seeds`.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use anabranch_core::Seed;
use anabranch_core::rng::Rng;
use anabranch_tests::fuzz;

/// The seed of the mutations; `ANABRANCH_SEED` sets another one.
fn seed() -> u64 {
    std::env::var("ANABRANCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no seeds in {}", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A small number, most of them very small.
fn below(rng: &mut Rng, bound: usize) -> usize {
    usize::try_from(rng.below(bound.max(1) as u64)).unwrap()
}

fn mutate(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut out = corpus[below(rng, corpus.len())].clone();
    for _ in 0..=below(rng, 6) {
        let at = below(rng, out.len() + 1);
        match below(rng, 8) {
            0 => out.truncate(at),
            1 => out.insert(at, rng.array::<1>()[0]),
            2 if at < out.len() => drop(out.remove(at)),
            3 if at < out.len() => out[at] ^= 1 << below(rng, 8),
            4 if at < out.len() => {
                out[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xff][below(rng, 8)];
            }
            5 => {
                let other = &corpus[below(rng, corpus.len())];
                let from = below(rng, other.len() + 1);
                out.truncate(at);
                out.extend_from_slice(&other[from..]);
            }
            6 => {
                let to = at + below(rng, out.len() - at + 1).min(64);
                let piece = out[at..to].to_vec();
                out.splice(at..at, piece);
            }
            _ => {
                let end = (at + 4).min(out.len());
                rng.fill(&mut out[at..end]);
            }
        }
        out.truncate(16 << 10);
    }
    out
}

fn run(name: &str, body: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| body(input))) {
        let mut hex = String::new();
        for byte in input {
            write!(hex, "{byte:02x}").unwrap();
        }
        println!("target {name}, input of {} bytes: {hex}", input.len());
        resume_unwind(panic);
    }
}

fn smoke(name: &str, mutations: usize) {
    let body = fuzz::TARGETS.iter().find(|target| target.0 == name).expect("a target").1;
    let seed = seed();
    println!("ANABRANCH_SEED={seed}");
    let corpus = corpus(name);
    run(name, body, &[]);
    for input in &corpus {
        run(name, body, input);
        for cut in 0..input.len().min(200) {
            run(name, body, &input[..cut]);
        }
    }
    let mut rng = Seed::from_u64(seed).stream(name);
    for _ in 0..mutations {
        run(name, body, &mutate(&mut rng, &corpus));
    }
}

#[test]
fn mutated_varints() {
    smoke("varint", 100_000);
}

#[test]
fn mutated_media_pdus() {
    smoke("media_pdu", 100_000);
}

#[test]
fn mutated_control_messages() {
    smoke("control", 100_000);
}

#[test]
fn mutated_file_messages() {
    smoke("file_messages", 100_000);
}

#[test]
fn mutated_file_transfers() {
    smoke("files", 4_000);
}

#[test]
fn mutated_frames_of_dquic() {
    smoke("dquic_frames", 100_000);
}

#[test]
fn mutated_plays_of_a_peer() {
    smoke("streams", 30_000);
}

#[test]
fn mutated_plays_of_a_peer_replay() {
    smoke("replays", 15_000);
}

#[test]
fn mutated_traces() {
    smoke("traces", 100_000);
}

#[test]
fn mutated_plays_of_a_network() {
    smoke("datagrams", 300);
}

#[test]
fn mutated_packets_of_dquic() {
    smoke("dquic_packet", 100_000);
}

#[test]
fn mutated_plays_of_a_network_of_dquic() {
    smoke("dquic_datagrams", 20_000);
}

#[test]
fn mutated_talk_of_classic_dquic_peers() {
    smoke("classic_dquic", 20_000);
}

#[test]
fn every_target_is_run_here_and_in_the_fuzz_crate() {
    let manifest = include_str!("../fuzz/Cargo.toml");
    let this = include_str!("fuzz_smoke.rs");
    for (name, _) in fuzz::TARGETS {
        assert!(manifest.contains(&format!("name = \"fuzz_{name}\"")), "{name} is not built");
        assert!(this.contains(&format!("smoke(\"{name}\"")), "{name} is not run");
    }
}
