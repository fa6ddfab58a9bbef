//! `anabranchd` against a client of `anabranch/1` that shares no code with it
//! (`tests/interop/anabranch_v1.py`). The client judges each message by the rules of that page;
//! here is what only the two together can show: that the bytes are those of the media.

use anabranch_tests::programs::{Finished, Program};
use serde_json::Value;

use crate::{Place, json, place};

/// At 500 kbit/s it plays for 4.8 s, in 74 chunks of 4 KiB, the last one short.
const SLOW: usize = 300_001;
/// How a session is asked for that a test has the time to interrupt. Two seconds of it, 31 chunks,
/// are sent ahead (AB-M14).
const SLOWLY: [&str; 6] = ["--bitrates", "500000", "--chunk", "4096", "--keepalive", "1"];

impl Place {
    fn start_v1(&self, scenario: &str, port: &str, more: &[&str]) -> Program {
        let mut command = self.peer("anabranch_v1.py");
        command.args([scenario, "--port", port, "--output", "received.bin"]).args(more);
        Program::start("anabranch_v1", &self.dir, &mut command)
    }

    fn v1(&self, scenario: &str, port: &str, more: &[&str], server: &Program) -> Value {
        finished(&self.start_v1(scenario, port, more).finish(), server)
    }

    /// The pieces that the session reports are those of the media, in order, and were written out.
    fn assert_pieces(&self, session: &Value) {
        let mut expected = Vec::new();
        for piece in session["pieces"].as_array().unwrap() {
            let at = |n: usize| usize::try_from(piece[n].as_u64().unwrap()).unwrap();
            expected.extend_from_slice(&self.media[at(0)..at(0) + at(1)]);
        }
        let received = std::fs::read(self.dir.join("received.bin")).unwrap();
        assert_eq!(received.len(), expected.len(), "{session}");
        assert!(received == expected, "what arrived is not what was sent");
    }
}

/// What the client reports; it has to be content with the server.
fn finished(client: &Finished, server: &Program) -> Value {
    let said = format!("{}{}\nanabranchd:\n{}", client.stdout, client.stderr, server.log());
    assert!(client.status.success(), "{said}");
    let report = json(client.stdout.trim());
    println!("{report}");
    report
}

fn assert_whole(place: &Place, session: &Value) {
    assert_eq!(session["end"], "complete", "{session}");
    assert_eq!(session["fin"], true, "{session}");
    assert_eq!(session["pieces"], serde_json::json!([[0, place.media.len()]]), "{session}");
    place.assert_pieces(session);
}

#[test]
fn the_control_stream_answers_and_unknown_things_are_passed_over() {
    let Some(place) = place("v1_probe", 1_000) else { return };
    std::fs::create_dir(place.dir.join("clips")).unwrap();
    for n in 0..10 {
        let name = format!("clips/clip{n}.bin");
        std::fs::write(place.dir.join(name), &place.media[..100 * n]).unwrap();
    }
    let (server, port) = place.anabranchd_with("clips", &[]);
    for (page, pages) in [("3", 4), ("10", 1), ("1", 10)] {
        let report = place.v1("probe", &port, &["--page", page], &server);
        assert_eq!(report["pages"], pages, "{report}");
        let entries = report["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 10, "{report}");
        for (n, entry) in entries.iter().enumerate() {
            assert_eq!(entry["name"], format!("clip{n}.bin"));
            assert_eq!(entry["size"], 100 * n);
        }
        let key = report["key"].as_str().unwrap();
        assert!(server.log().contains(key), "{key} is not the key of\n{}", server.log());
    }
}

#[test]
fn control_messages_go_in_early_data() {
    let Some(place) = place("v1_resume", 1_000) else { return };
    let (server, port) = place.anabranchd(&[]);
    let report = place.v1("resume", &port, &[], &server);
    assert_eq!(report["early"], true, "{report}");
    assert_eq!(report["entries"][0]["size"], 1_000, "{report}");
}

#[test]
fn a_session_starts_at_any_byte_or_chunk() {
    let Some(place) = place("v1_start", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let size = SLOW.to_string();
    let chunk = |start: &str| ["--unpaced", "--chunk", "10000", start].map(str::to_owned);
    for (start, value, byte, chunks) in [
        ("--start-chunk", "1", 0, 31),
        ("--start-chunk", "7", 60_000, 25),
        ("--start-byte", "60000", 60_000, 25),
        ("--start-byte", "69999", 69_999, 25),
        ("--start-byte", "300000", 300_000, 1),
        ("--start-byte", &size, SLOW, 0),
    ] {
        let mut arguments: Vec<String> = chunk(start).into();
        arguments.push(value.to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let report = place.v1("play", &port, &arguments, &server);
        assert_eq!(report["end"], "complete", "{report}");
        assert_eq!(report["grant"]["start"], byte, "{report}");
        assert_eq!(report["grant"]["max_chunk"], 10_000, "{report}");
        assert_eq!(report["grant"]["pace"], 1, "{report}");
        assert_eq!(report["chunks"], chunks, "{report}");
        assert_eq!(report["bytes"], SLOW - byte, "{report}");
        place.assert_pieces(&report);
    }
}

#[test]
fn a_pause_that_holds_loses_nothing() {
    let Some(place) = place("v1_hold", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let name = ["--name", "media.bin", "--pause-at", "3"];
    let report = place.v1("play", &port, &[&SLOWLY[..], &name[..]].concat(), &server);
    assert_eq!(report["grant"]["name"], "media.bin");
    assert_eq!(report["grant"]["bitrate"], 500_000, "the best of those offered");
    assert_eq!(report["grant"]["keepalive"], 1);
    assert_eq!(report["pauses"], 1);
    assert!(report["heartbeats_in"].as_u64() >= Some(2), "{report}");
    assert_whole(&place, &report);
}

#[test]
fn a_live_pause_leaves_out_what_passes() {
    let Some(place) = place("v1_live", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    // Longer than what was sent ahead: four heartbeats are three seconds at least.
    let live = ["--live", "--pause-at", "31", "--quiet", "4"];
    let report = place.v1("play", &port, &[&SLOWLY[..], &live[..]].concat(), &server);
    assert_eq!(report["end"], "complete", "{report}");
    assert_eq!(report["grant"]["pause"], 1, "{report}");
    let pieces = report["pieces"].as_array().unwrap();
    assert_eq!(pieces.len(), 2, "one gap: {report}");
    assert_eq!(report["last"], 74, "the last chunk comes in any case");
    place.assert_pieces(&report);
}

#[test]
fn a_session_is_paused_while_another_one_of_the_connection_runs() {
    let Some(place) = place("v1_two", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let pause = ["--name", "media.bin", "--pause-at", "3"];
    let report = place.v1("two", &port, &[&SLOWLY[..], &pause[..]].concat(), &server);
    assert_whole(&place, &report["first"]);
    assert_eq!(report["second"]["end"], "complete", "{report}");
    assert_eq!(report["second"]["sha256"], report["first"]["sha256"], "{report}");
    assert_ne!(report["second"]["session"], report["first"]["session"], "{report}");
}

#[test]
fn a_client_that_has_enough_is_answered_with_an_end() {
    let Some(place) = place("v1_close", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let report = place.v1("play", &port, &[&SLOWLY[..], &["--close-at", "3"]].concat(), &server);
    assert_eq!(report["end"], "closed", "{report}");
    assert_eq!(report["fin"], true, "{report}");
    assert!(report["chunks"].as_u64() < Some(74), "{report}");
    place.assert_pieces(&report);
}

#[test]
fn a_refused_request_leaves_the_stream_to_a_better_one() {
    let Some(place) = place("v1_refuse", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let report = place.v1("refuse", &port, &["--name", "media.bin", "--unpaced"], &server);
    assert_eq!(report["answers"].as_object().unwrap().len(), 17, "{report}");
    assert_whole(&place, &report);
}

#[test]
fn a_server_that_goes_away_lets_a_paused_session_end() {
    let Some(place) = place("v1_goaway", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let pause = ["--pause-at", "3"];
    let mut client = place.start_v1("goaway", &port, &[&SLOWLY[..], &pause[..]].concat());
    let paused = json(&client.line());
    assert!(paused["paused"].as_u64() < Some(74), "{paused}");
    server.terminate();
    let report = finished(&client.finish(), &server);
    assert_eq!(report["left"], 30_000, "{report}");
    assert_eq!(report["late"], 7, "OPEN_NACK of a session that came too late: {report}");
    assert_eq!(report["closed"]["code"], 6, "{report}");
    assert_whole(&place, &report);
    assert!(server.finish().status.success());
}

#[test]
fn each_violation_is_answered_with_the_code_of_its_rule() {
    let Some(place) = place("v1_violate", SLOW) else { return };
    let (server, port) = place.anabranchd(&[]);
    let report = place.v1("violate", &port, &["--name", "media.bin"], &server);
    assert_eq!(report["violations"].as_array().unwrap().len(), 26, "{report}");
}
