//! Some worlds from the simulator over each transport, and the same hash from any process.
//! `make sim` runs many more, with all of QUIC repeatable to the byte.

use std::process::Command;

use anabranch_tests::deterministic;
use anabranch_tests::seeds;
use anabranch_tests::sim::outcome::{Outcome, simulate, simulate_twice};
use anabranch_tests::sim::seed::WorldSeed;
use anabranch_tests::stack::Kind;

anabranch_tests::answer_clocks!();
anabranch_tests::answer_randomness!();

fn assert_well(outcome: &Outcome) {
    if let Some(failure) = &outcome.failure {
        panic!("{outcome}\n{}\n{}", failure.steps, failure.what);
    }
}

#[test]
fn worlds_over_quic() {
    seeds::each(24, |seed| assert_well(&simulate(WorldSeed(seed), Kind::Quic, false)));
}

#[test]
fn worlds_over_dquic_are_the_same_twice() {
    seeds::each(24, |seed| assert_well(&simulate_twice(WorldSeed(seed), Kind::Dquic, false)));
}

/// What the simulator says of two seeds, in a process of its own.
fn hashes(transport: Kind) -> String {
    let mut sim = Command::new(env!("CARGO_BIN_EXE_sim"));
    sim.args(["--seeds", "2", "--from", "3", "--jobs", "1", "--hash-only"]);
    let output = sim.args(["--transport", transport.name()]).output().expect("the simulator");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_process_gives_the_same_hash() {
    for transport in Kind::ALL {
        // Without the feature, the bytes of QUIC differ from run to run.
        if deterministic::BYTES || transport == Kind::Dquic {
            let first = hashes(transport);
            assert_eq!(first.lines().count(), 2, "{first}");
            assert_eq!(hashes(transport), first);
            let here = simulate(WorldSeed(3), transport, false).hash;
            assert!(first.contains(&format!("3 {} {here:016x}", transport.name())), "{first}");
        }
    }
}
