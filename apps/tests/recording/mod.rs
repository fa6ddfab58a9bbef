//! Recordings of both programs, and what `anabranch trace` says of them.

mod crowd;

use std::path::{Path, PathBuf};

use crate::common::{Server, World};

/// The one trace in a folder.
fn only(folder: &Path) -> PathBuf {
    let found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    let [one] = found.as_slice() else { panic!("{found:?}") };
    one.clone()
}

fn end(server: Server) {
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log:#?}");
    assert!(!log.join("\n").contains("ended early"), "{log:#?}");
}

/// A trace of a client that has played a clip with a pause, and the server's.
fn recorded(world: &World, extra: &str) -> (PathBuf, PathBuf) {
    world.run("gen media --size 300KB --seed 5").expect(0, &[]);
    // The burst at the start is two seconds long, so the rest takes another one.
    let line = "--media media --chunk 16KiB --max-bitrate 800k --trace traces";
    let server = world.serve(&format!("{line} {extra}"));
    let play = "play media -o got --force --pause-at 3 --resume-after 50ms --trace play.trace";
    let port = server.port;
    world.run(&format!("{play} {extra} --port {port}")).expect(0, &["1 pause"]);
    world.run(&format!("ls --port {port} --trace ls.trace")).expect(0, &[]);
    world.run(&format!("ping -c 2 -i 10ms --port {port} --trace ping.trace")).expect(0, &[]);
    end(server);
    (world.path("play.trace"), only(&world.path("traces")))
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn what_both_programs_record_is_told_and_replays() {
    for extra in ["", "--trace-payloads"] {
        let world = World::new();
        let (played, served) = recorded(&world, extra);
        for name in [show(&played), show(&served), "ls.trace".into(), "ping.trace".into()] {
            world.run(&format!("trace replay {name}")).expect(0, &["identical"]);
        }
        let story = world.run(&format!("trace show {}", show(&served))).expect(0, &[]).out();
        for text in [
            "anabranchd 0.1.0 (server) over quic",
            "-> the peer is \"anabranch/0.1.0\"",
            "m0   media-server: Idle -> Streaming (OpenStream)",
            "-> paused",
            "-> resumed",
            "-> complete: 293.0 KiB in 19 chunks",
            "the end, after",
        ] {
            assert!(story.contains(text), "{text:?} is missing in\n{story}");
        }
        let line = format!("trace show --conn c0.0 --from 0s --to 1h {}", show(&served));
        let first = world.run(&line).expect(0, &[]).out();
        let others = first.lines().skip(1).filter(|line| !line.contains(" c0.0 ")).count();
        assert_eq!(others, 0, "{first}");
        let stats = world.run("trace stats play.trace").expect(0, &[]).out();
        let session = "m0 media: 293.0 KiB in 19 chunks";
        assert!(stats.contains(session) && stats.contains("; complete"), "{stats}");
        world.run("trace diff play.trace play.trace").expect(0, &["the same"]);
        let differ = world.run("trace diff --steps ls.trace play.trace");
        differ.expect(81, &["first difference", "ls.trace: #", "the last entries before it"]);
        // The same media is in the trace only if that was wanted.
        let size = std::fs::metadata(&played).unwrap().len();
        assert_eq!(size > 300_000, !extra.is_empty(), "{size} bytes");
    }
}

#[test]
fn events_tell_programs_the_same() {
    let world = World::new();
    let (_, served) = recorded(&world, "");
    let events = |line: &str| -> Vec<serde_json::Value> {
        let ran = world.run(line).expect(0, &[]);
        ran.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let told = events(&format!("trace show --json {}", show(&served)));
    let step = told.iter().find(|event| event["machine"] == "media-server").unwrap();
    assert_eq!((&step["from"], &step["to"]), (&"Idle".into(), &"Streaming".into()));
    assert_eq!((&step["conn"], &step["session"]), (&"c0.0".into(), &"m0".into()));
    let numbers = events(&format!("trace stats --json {}", show(&served)));
    let session = numbers.iter().find(|event| event["event"] == "session").unwrap();
    assert_eq!((&session["bytes"], &session["pauses"]), (&300_000.into(), &1.into()));
    assert_eq!(numbers.last().unwrap()["connections"], 3);
    let replayed = events(&format!("trace replay --json {}", show(&served)));
    let last = replayed.last().unwrap();
    assert_eq!(last["verdict"], "identical");
    assert!(last["steps"].as_u64().unwrap() > 10, "{last}");
}

#[test]
fn traces_that_are_not_in_order_are_refused_with_what_is_good() {
    let world = World::new();
    recorded(&world, "");
    let whole = std::fs::read(world.path("play.trace")).unwrap();
    world.write("cut", &whole[..whole.len() * 2 / 3]);
    for command in ["show", "stats", "replay"] {
        let ran = world.run(&format!("trace {command} cut")).expect(65, &["is cut off"]);
        assert_eq!(command == "replay", ran.err().contains("up to there the replay is identical"));
        assert_eq!(command != "replay", ran.err().contains("good, up to"), "{}", ran.err());
    }
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    world.write("flipped", &flipped);
    world.run("trace replay flipped").expect(65, &["the checksum of block", "is wrong"]);
    world.run("trace diff flipped play.trace").expect(65, &["flipped: the trace is damaged"]);
    let mut newer = whole;
    newer[9] += 1;
    world.write("newer", &newer);
    world.run("trace show newer").expect(65, &["version 2 of the format"]);
    world.write("text", b"neither a trace nor anything else");
    world.run("trace stats text").expect(65, &["not a trace"]);
    world.run("trace stats nowhere").expect(66, &["nowhere"]);
    let capture = format!("{}/tests/captures/wide.pcapng", env!("CARGO_MANIFEST_DIR"));
    world.run(&format!("trace show {capture}")).expect(65, &["trace import"]);
}

#[test]
fn a_recording_that_cannot_go_on_ends_and_nothing_else_does() {
    let world = World::new();
    world.run("gen media --size 3MB").expect(0, &[]);
    let server = world.serve("--media media --trace traces --trace-limit 8KB --pacing off");
    let port = server.port;
    let ran = world.run(&format!("play --port {port} -o got --trace /dev/full"));
    ran.expect(0, &["complete", "cannot write to /dev/full", "the recording ends after 0 B"]);
    world
        .run(&format!("play --port {port} -o again --trace-limit 1 --trace got"))
        .expect(73, &["cannot create got", "it is no trace"]);
    world.run(&format!("play --port {port} -o again")).expect(0, &["complete"]);
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, 0, "{log:#?}");
    assert!(log.join("\n").contains("has ended early: it is as long as --trace-limit allows"));
    let served = only(&world.path("traces"));
    assert!(std::fs::metadata(&served).unwrap().len() <= 8_000);
    let said = ["the recording ended early", "identical"];
    world.run(&format!("trace replay {}", show(&served))).expect(0, &said);
}

#[test]
fn what_was_recorded_survives_the_end_of_the_process() {
    let world = World::new();
    world.run("gen media --size 300KB").expect(0, &[]);
    let server = world.serve("--media media --trace traces");
    let line = format!("play --port {} --no-pacing -o got", server.port);
    world.run(&line).expect(0, &["complete"]);
    let served = only(&world.path("traces"));
    // The next look at the recorder may come a moment after the session's end.
    while !world.run(&format!("trace show {}", show(&served))).out().contains("complete") {
        std::thread::yield_now();
    }
    server.signal("KILL");
    server.end();
    let said = ["is cut off", "up to there the replay is identical"];
    world.run(&format!("trace replay {}", show(&served))).expect(65, &said);
}
