//! `anabranch dquic` against classic DQUIC peers that share no code with it
//! (`tests/interop/dquic_sender.py`, `dquic_receiver.py`), in both forms of frames, through a
//! relay that loses and repeats datagrams (`udp_relay.py`).

use std::collections::BTreeMap;

use anabranch_tests::programs::{Finished, Program};
use serde_json::Value;

use crate::{Place, json, place, text};

/// Three streams, of which the shortest ends early. With 16-byte frames that is some twenty
/// packets.
const SIZES: [usize; 3] = [30_001, 999, 21_000];
/// What the relay does. A datagram that is lost costs its sender a wait, so few are.
const LOSSY: [&str; 4] = ["--drop", "13", "--duplicate", "5"];
/// The same for the Python sender: each repetition leaves it one answer behind for ever, and
/// five of those are its end, by its own rule.
const FEW_TWICE: [&str; 2] = ["--duplicates", "1"];

/// A folder with one file for each stream.
fn files(test: &str) -> Option<Place> {
    let place = place(test, SIZES.iter().sum())?;
    let mut from = 0;
    for (name, size) in ["a", "b", "c"].iter().zip(SIZES) {
        std::fs::write(place.dir.join(name), &place.media[from..from + size]).unwrap();
        from += size;
    }
    Some(place)
}

impl Place {
    fn relay(&self, to: &str, more: &[&str]) -> (Program, String) {
        let mut command = self.peer("udp_relay.py");
        command.args(["--to", to]).args(LOSSY).args(more);
        let mut relay = Program::start("relay", &self.dir, &mut command);
        let port = json(&relay.line())["port"].to_string();
        (relay, port)
    }

    fn dquic(&self, name: &'static str, args: &[&str]) -> Program {
        let mut command = self.ours("anabranch");
        Program::start(name, &self.dir, command.arg("dquic").args(args).arg("--json"))
    }

    /// Our receiver, and its port.
    fn recv(&self, more: &[&str]) -> (Program, String) {
        let args = [&["recv", "--listen", "127.0.0.1:0", "--out", "in"], more].concat();
        let mut receiver = self.dquic("recv", &args);
        loop {
            let event = json(&receiver.line());
            if event["phase"] == "listening" {
                let address = event["address"].as_str().unwrap();
                return (receiver, address.rsplit_once(':').unwrap().1.to_owned());
            }
        }
    }

    /// Our sender.
    fn send(&self, port: &str, more: &[&str]) -> Finished {
        let to = format!("127.0.0.1:{port}");
        self.dquic("send", &[&["send", &to, "a", "b", "c"], more].concat()).finish()
    }

    fn python_sender(&self, port: &str, more: &[&str]) -> Program {
        let mut command = self.peer("dquic_sender.py");
        command.args(["--port", port, "--timeout", "0.3"]).args(more).args(["a", "b", "c"]);
        Program::start("dquic_sender", &self.dir, &mut command)
    }

    fn python_receiver(&self, layout: &str) -> (Program, String) {
        let expect = SIZES.iter().sum::<usize>().to_string();
        let mut command = self.peer("dquic_receiver.py");
        command.args(["--layout", layout, "--expect", &expect]);
        let mut receiver = Program::start("dquic_receiver", &self.dir, &mut command);
        let port = json(&receiver.line())["port"].to_string();
        (receiver, port)
    }

    /// The files in `in` are those that were sent.
    fn assert_received(&self, first: u32) {
        for (stream, name) in (first..).zip(["a", "b", "c"]) {
            let sent = std::fs::read(self.dir.join(name)).unwrap();
            let path = self.dir.join(format!("in/stream-{stream}.bin"));
            let received = std::fs::read(path).unwrap_or_default();
            assert_eq!(received.len(), sent.len(), "stream {stream}");
            assert!(received == sent, "stream {stream} is not what was sent");
        }
    }
}

/// The events that a program of ours has told, once it has ended well.
fn events(finished: &Finished) -> Vec<Value> {
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(finished.status.success(), "{}: {said}", finished.status);
    finished.stdout.lines().map(json).collect()
}

fn event(events: &[Value], name: &str) -> Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {events:?}")).clone()
}

/// The numbers are those of three streams.
fn assert_counted(events: &[Value], ends: &str) {
    let mut bytes = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] == "stream") {
        assert_eq!(event["end"], ends, "{event}");
        assert!(event["frames"].as_u64() >= event["packets"].as_u64(), "{event}");
        bytes.insert(event["stream"].as_u64().unwrap(), event["bytes"].as_u64().unwrap());
    }
    let sizes: Vec<_> = bytes.into_values().collect();
    assert_eq!(sizes, SIZES.map(|size| size as u64));
    let summary = event(events, "summary");
    assert_eq!(summary["bytes"], SIZES.iter().sum::<usize>());
    assert_eq!(summary["streams"], 3);
}

/// A Python sender, our receiver, and loss in between.
fn from_python(layout: &str) {
    let Some(place) = files(&format!("dquic_from_{layout}")) else { return };
    let (receiver, port) = place.recv(&["--once", "--quiet-after", "3s"]);
    let (_relay, relayed) = place.relay(&port, &FEW_TWICE);
    let sender = place.python_sender(&relayed, &["--layout", layout]).finish();
    let said = format!("{}{}", sender.stdout, sender.stderr);
    assert!(sender.status.success(), "{said}");
    let report = json(sender.stdout.trim());
    assert!(report["repeated"].as_u64() > Some(0), "nothing was lost: {report}");
    let events = events(&receiver.finish());
    assert_counted(&events, "quiet");
    let summary = event(&events, "summary");
    assert!(summary["misplaced"].as_u64() > Some(0), "nothing came twice: {summary}");
    assert!(summary["packets"].as_u64() > report["packets"].as_u64(), "{summary} {report}");
    place.assert_received(1);
}

#[test]
fn a_classic_sender_gets_its_files_to_our_receiver_through_loss() {
    from_python("classic");
}

#[test]
fn a_sender_of_wide_frames_gets_its_files_to_our_receiver_through_loss() {
    from_python("wide");
}

/// Our sender, a Python receiver, and loss in between.
fn to_python(layout: &str) {
    let Some(place) = files(&format!("dquic_to_{layout}")) else { return };
    let (mut receiver, port) = place.python_receiver(layout);
    let (_relay, relayed) = place.relay(&port, &[]);
    let sent = events(&place.send(&relayed, &["--layout", layout]));
    assert_counted(&sent, "acknowledged");
    assert!(event(&sent, "summary")["repeated"].as_u64() > Some(0), "nothing was lost");
    let report = json(&receiver.line());
    for (stream, name) in (1..).zip(["a", "b", "c"]) {
        let sum = std::process::Command::new("sha256sum").arg(place.dir.join(name)).output();
        let sum = String::from_utf8(sum.unwrap().stdout).unwrap();
        let hash = sum.split(' ').next().unwrap();
        assert_eq!(report["streams"][stream.to_string()], hash, "{name}: {report}");
    }
    assert!(report["misplaced"].as_u64() > Some(0), "nothing came twice: {report}");
}

#[test]
fn our_sender_gets_its_files_to_a_classic_receiver_through_loss() {
    to_python("classic");
}

#[test]
fn our_sender_gets_its_files_to_a_receiver_of_wide_frames_through_loss() {
    to_python("wide");
}

#[test]
fn two_senders_at_once_have_files_of_their_own() {
    let Some(place) = files("dquic_two") else { return };
    let (receiver, port) = place.recv(&["--count", "6", "--quiet-after", "3s"]);
    let wide = place.python_sender(&port, &["--layout", "wide"]);
    let classic = place.python_sender(&port, &["--seed", "7"]);
    assert!(wide.finish().status.success() && classic.finish().status.success());
    let events = events(&receiver.finish());
    assert_eq!(event(&events, "summary")["bytes"], 2 * SIZES.iter().sum::<usize>());
    place.assert_received(1);
    let files: Vec<_> = std::fs::read_dir(place.dir.join("in")).unwrap().collect();
    assert_eq!(files.len(), 6);
    let sum = |path: &std::path::Path| std::fs::metadata(path).unwrap().len();
    let bytes: u64 = files.into_iter().map(|file| sum(&file.unwrap().path())).sum();
    assert_eq!(bytes, 2 * SIZES.iter().sum::<usize>() as u64);
}

#[test]
fn ours_send_to_ours_and_a_stream_is_taken_once() {
    let Some(place) = files("dquic_ours") else { return };
    let (receiver, port) = place.recv(&["--once", "--quiet-after", "3s"]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let from = socket.local_addr().unwrap().to_string();
    drop(socket);
    let more = ["--bind", &from, "--first-stream", "40", "--layout", "wide"];
    assert_counted(&events(&place.send(&port, &more)), "acknowledged");
    let again = place.send(&port, &more);
    assert_eq!(again.status.code(), Some(76), "{}", again.stdout);
    assert!(again.stdout.contains("has already"), "{}", again.stdout);
    assert!(again.stdout.contains("from this address"), "{}", again.stdout);
    assert_counted(&events(&receiver.finish()), "quiet");
    place.assert_received(40);
    let full = place.dquic("again", &["recv", "--listen", "127.0.0.1:0", "--out", "in"]).finish();
    assert_eq!(full.status.code(), Some(73), "{}", full.stdout);
    assert!(full.stdout.contains("stream-40.bin is there already"), "{}", full.stdout);
}

#[test]
fn classic_and_extended_senders_share_a_receiver_through_loss() {
    let Some(place) = files("dquic_extended") else { return };
    std::fs::write(place.dir.join("empty"), "").unwrap();
    let (receiver, port) = place.recv(&["--count", "7", "--quiet-after", "3s"]);
    let (_relay, relayed) = place.relay(&port, &FEW_TWICE);
    let classic = place.python_sender(&relayed, &[]);
    let to = format!("127.0.0.1:{relayed}");
    let extended = place.dquic("send", &["send", &to, "-x", "a", "empty", "b", "c"]).finish();
    let sent = events(&extended);
    assert_eq!(event(&sent, "summary")["bytes"], SIZES.iter().sum::<usize>());
    assert_eq!(event(&sent, "stream")["end"], "acknowledged");
    let classic = classic.finish();
    assert!(classic.status.success(), "{}{}", classic.stdout, classic.stderr);
    let received = events(&receiver.finish());
    assert_eq!(event(&received, "summary")["bytes"], 2 * SIZES.iter().sum::<usize>());
    let read = |path: std::path::PathBuf| std::fs::read(path).unwrap();
    let files = std::fs::read_dir(place.dir.join("in")).unwrap();
    let mut files: Vec<_> = files.map(|file| read(file.unwrap().path())).collect();
    let both = ["a", "a", "b", "b", "c", "c", "empty"];
    let mut wanted = both.map(|name| read(place.dir.join(name))).to_vec();
    files.sort();
    wanted.sort();
    assert!(files == wanted, "what arrived is not what was sent");
}

#[test]
fn a_receiver_that_stops_is_noticed_by_an_extended_sender() {
    let Some(place) = files("dquic_stops") else { return };
    let (mut receiver, port) = place.recv(&[]);
    let pipe = place.dir.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let sender = place.dquic("send", &["send", &format!("127.0.0.1:{port}"), "-x", "pipe"]);
    let writer = std::thread::spawn(move || {
        let mut pipe = std::fs::File::options().write(true).open(pipe).unwrap();
        // Until nobody reads any more.
        while std::io::Write::write_all(&mut pipe, &[7; 1_000]).is_ok() {}
    });
    while json(&receiver.line())["phase"] != "receiving" {}
    receiver.terminate();
    let received = receiver.finish();
    assert_eq!(received.status.code(), Some(143), "{}", received.stdout);
    assert!(received.stdout.contains("\"unfinished\""), "{}", received.stdout);
    let sent = sender.finish();
    assert_eq!(sent.status.code(), Some(75), "{}", sent.stdout);
    assert!(sent.stdout.contains("closed the connection"), "{}", sent.stdout);
    writer.join().unwrap();
}

#[test]
fn a_signal_ends_the_receiver_with_its_numbers_so_far() {
    let Some(place) = files("dquic_signal") else { return };
    let (receiver, port) = place.recv(&["--quiet-after", "1h"]);
    assert!(place.send(&port, &[]).status.success());
    receiver.terminate();
    let ended = receiver.finish();
    assert_eq!(ended.status.code(), Some(143), "{}", ended.stdout);
    let told: Vec<Value> = ended.stdout.lines().map(json).collect();
    assert_counted(&told, "unfinished");
    place.assert_received(1);
}

#[test]
fn nobody_there_and_addresses_that_others_can_read_are_said() {
    let Some(place) = files("dquic_nobody") else { return };
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = place.send(&socket.local_addr().unwrap().port().to_string(), &[]);
    assert_eq!(silent.status.code(), Some(69), "{}", silent.stdout);
    assert!(silent.stdout.contains("nobody answers at 127.0.0.1"), "{}", silent.stdout);
    assert!(silent.stdout.contains("5 tries in 10 s"), "{}", silent.stdout);
    assert!(silent.stdout.contains("PLAINTEXT"), "the warning: {}", silent.stdout);
    let open = place.dquic("open", &["recv", "--listen", "0.0.0.0:0", "--out", "in"]).finish();
    assert_eq!(open.status.code(), Some(2), "{}", open.stdout);
    assert!(open.stdout.contains("--i-know-this-is-plaintext"), "{}", open.stdout);
    assert!(text(&place.dir.join("open.log")).is_empty(), "events only, with --json");
}
