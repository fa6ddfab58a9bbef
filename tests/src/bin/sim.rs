//! The simulator: whole worlds from seeds.

use std::panic::{AssertUnwindSafe, catch_unwind};

use anabranch_core::Seed;
use anabranch_tests::sim::World;
use anabranch_tests::sim::swarm::Swarm;
use anabranch_tests::stack::Kind;

anabranch_tests::answer_clocks!();
anabranch_tests::answer_randomness!();

fn main() {
    let mut args = std::env::args().skip(1);
    let from: u64 = args.next().map_or(0, |n| n.parse().unwrap());
    let count: u64 = args.next().map_or(1, |n| n.parse().unwrap());
    let loud = args.next().is_some();
    let mut failed = 0;
    for n in from..from + count {
        let real = std::time::SystemTime::now();
        let (text, t, hash, now) = anabranch_tests::deterministic::run(n, || {
            let seed = Seed::from_u64(n);
            let swarm = Swarm::draw(
                &seed,
                if std::env::var("D").is_ok() { Kind::Dquic } else { Kind::Quic },
            );
            if loud {
                eprintln!("{swarm:#?}");
            }
            let mut world = World::new(seed, swarm);
            world.set_loud(loud);
            let result = catch_unwind(AssertUnwindSafe(|| world.run()));
            let text = match result {
                Ok(()) => "ok".to_owned(),
                Err(p) => p
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| p.downcast_ref::<&str>().map(|s| s.to_string()))
                    .unwrap_or_default(),
            };
            if text != "ok" {
                world.give_up();
            }
            if text != "ok" && count == 1 {
                eprintln!("{}", world.last_steps());
            }
            (text, world.tally().clone(), world.hash(), world.now())
        });
        failed += u64::from(text != "ok");
        println!(
            "seed {n} {:?} {} datagrams {} events {hash:016x} {now:?} {text}",
            real.elapsed().unwrap_or_default(),
            t.datagrams,
            t.events
        );
    }
    println!("{failed} of {count} failed");
}
