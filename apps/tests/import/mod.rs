//! `anabranch trace import` as a user runs it, on the captures in `tests/captures`.

use crate::common::{Ran, World};

fn import(world: &World, name: &str, arguments: &str) -> Ran {
    let path = format!("{}/tests/captures/{name}.pcapng", env!("CARGO_MANIFEST_DIR"));
    world.run(&format!("trace import {path} {arguments}"))
}

#[test]
fn the_exit_code_tells_a_difference() {
    let world = World::new();
    for name in ["classic", "wide"] {
        let ran = import(&world, name, "").expect(0, &[]);
        assert_eq!(ran.out().matches("\tsame\n").count(), 3, "{}", ran.out());
        import(&world, name, "--strict").expect(81, &["1 acknowledgement"]);
    }
    let ran = import(&world, "different", "").expect(81, &["not what ours would be"]);
    assert!(ran.out().contains("1\t1\t0.002000\t1:1500\t1:1400\tDIFFERENT\n"), "{}", ran.out());
    world.run("trace import nowhere.pcapng").expect(66, &["nowhere.pcapng"]);
    world.write("text", b"This is no capture, but it is long enough to be one.");
    world.run("trace import text").expect(65, &["neither a pcapng nor a pcap file"]);
    let whole = format!("{}/tests/captures/classic.pcapng", env!("CARGO_MANIFEST_DIR"));
    let whole = std::fs::read(whole).unwrap();
    world.write("cut", &whole[..whole.len() - 30]);
    world.run("trace import cut").expect(65, &["cut off"]);
    world.run("trace import cut --port 1").expect(65, &[]);
}

#[test]
fn programs_get_events() {
    let world = World::new();
    let ran = import(&world, "different", "--json");
    assert_eq!(ran.code(), 81);
    let events: Vec<serde_json::Value> =
        ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["hello", "ack", "ack", "conversation", "error"]);
    assert_eq!(events[1]["verdict"], "same");
    assert_eq!(events[2]["ours"]["frames"][0]["offset"], 1500);
    assert_eq!(events[2]["theirs"]["hex"].as_str().unwrap().len(), 2 * 25);
    assert_eq!(events[2]["time"], "2023-11-14T22:13:20.002000Z");
    assert_eq!(events[3]["verdicts"]["different"], 1);
    assert_eq!(events[4]["code"], 81);
}
