//! Our programs against peers written in Python that share no code with them (`tests/interop`):
//! classic media peers with the habits of those that exist (`docs/protocol.md`, rules AB-L*), a
//! client of `anabranch/1`, and classic DQUIC peers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anabranch_core::Seed;
use anabranch_tests::programs::{Finished, Program, binary, fresh_dir, python, root};
use serde_json::Value;

mod interop {
    mod anabranch;
    mod dquic;
}

/// Five chunks of 64 KiB and a bit: at 480 kbit/s a chunk plays for 1.1 s.
const MEDIA: usize = 5 * 65_536 + 1_234;

struct Place {
    dir: PathBuf,
    python: PathBuf,
    media: Vec<u8>,
}

/// A folder with media in it; `None` if there is no Python to test with.
fn place(test: &str, size: usize) -> Option<Place> {
    let python = python()?;
    let dir = fresh_dir(env!("CARGO_TARGET_TMPDIR"), test);
    let mut media = vec![0; size];
    Seed::from_u64(9).stream("media").fill(&mut media);
    std::fs::write(dir.join("media.bin"), &media).unwrap();
    Some(Place { dir, python, media })
}

impl Place {
    fn peer(&self, script: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(root().join("tests/interop").join(script));
        command
    }

    /// One of our programs, with nothing of the user's own settings.
    fn ours(&self, name: &str) -> Command {
        let mut command = Command::new(binary(name));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("ANABRANCH_") {
                command.env_remove(variable);
            }
        }
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env(variable, &self.dir);
        }
        command
    }

    fn anabranchd(&self, more: &[&str]) -> (Program, String) {
        self.anabranchd_with("media.bin", more)
    }

    fn anabranchd_with(&self, media: &str, more: &[&str]) -> (Program, String) {
        let port_file = self.dir.join("port");
        let mut command = self.ours("anabranchd");
        command.args(["--listen", "127.0.0.1", "--port", "0", "--media", media]);
        command.args(["--cert", "cert.pem", "--key", "key.pem", "--port-file"]).arg(&port_file);
        let mut server = Program::start("anabranchd", &self.dir, command.args(more));
        let port = server.wait_for_file(&port_file).trim().to_owned();
        (server, port)
    }

    fn classic_server(&self, more: &[&str]) -> (Program, String) {
        let mut command = self.peer("classic_server.py");
        command.args(["--port", "0", "--media", "media.bin", "--cert", "c.pem", "--key", "k.pem"]);
        let mut server = Program::start("classic_server", &self.dir, command.args(more));
        let port = json(&server.line())["port"].to_string();
        (server, port)
    }

    fn play(&self, port: &str, more: &[&str]) -> Finished {
        let mut command = self.ours("anabranch");
        command.args(["play", "--classic", "--insecure", "--host", "127.0.0.1", "--port", port]);
        command.args(["-o", "received.bin"]).args(more);
        Program::start("anabranch", &self.dir, &mut command).finish()
    }

    fn classic_client(&self, port: &str, more: &[&str]) -> Finished {
        let mut command = self.peer("classic_client.py");
        command.args(["--port", port, "--output", "received.bin"]).args(more);
        Program::start("classic_client", &self.dir, &mut command).finish()
    }

    fn assert_received_everything(&self, said: &str) {
        let received = std::fs::read(self.dir.join("received.bin")).unwrap_or_default();
        assert_eq!(received.len(), self.media.len(), "bytes received; the client said:\n{said}");
        assert!(received == self.media, "what arrived is not what was sent");
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line:?}"))
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What the Python client reports, once it has ended well.
fn report(client: &Finished, server: &Program) -> Value {
    let said = format!("{}{}\nanabranchd:\n{}", client.stdout, client.stderr, server.log());
    assert!(client.status.success(), "{said}");
    let report = json(client.stdout.trim());
    assert_eq!(report["end"], "complete", "{said}");
    assert_eq!(report["fin"], true, "the server's CLOSE_STREAM goes with FIN: {said}");
    report
}

#[test]
fn a_classic_client_gets_every_byte_from_our_server_through_its_pause() {
    let Some(place) = place("classic_client", MEDIA) else { return };
    let (server, port) = place.anabranchd(&[]);
    let client = place.classic_client(&port, &[]);
    let report = report(&client, &server);
    assert_eq!(report["pauses"], 1);
    assert_eq!(report["dropped"], 0, "chunks overtook the pause: {report}");
    assert_eq!(report["sequences"], serde_json::json!([1, 2, 3, 4, 5, 6]));
    assert_eq!(report["grant"]["bitrate"], 480_000, "the best of those it can take");
    assert_eq!(report["grant"]["max_chunk"], 65_536);
    assert_ne!(report["server_session"], 0);
    place.assert_received_everything(&client.stderr);
}

#[test]
fn a_classic_client_that_pauses_for_longer_than_its_heartbeats_is_kept() {
    let Some(place) = place("classic_client_long_pause", 3 * 65_536 + 10) else { return };
    let (server, port) = place.anabranchd(&["--keepalive", "1s", "--session-timeout", "20s"]);
    // Patient: it would otherwise take two heartbeats without a chunk for the end.
    // Two chunks are sent ahead (AB-L3), so the first pause that loses nothing is after the second.
    let habits = ["--pause-at", "2", "--resume-after", "4", "--patient"];
    let client = place.classic_client(&port, &habits);
    let report = report(&client, &server);
    assert_eq!(report["dropped"], 0, "{report}");
    assert!(report["heartbeats_in"].as_u64() >= Some(3), "heartbeats while paused: {report}");
    place.assert_received_everything(&client.stderr);
}

#[test]
fn a_classic_client_without_the_habits_gets_every_byte_at_full_speed() {
    let Some(place) = place("classic_client_tidy", 40 * 65_536) else { return };
    let (server, port) = place.anabranchd(&["--pacing", "off"]);
    let client = place.classic_client(&port, &["--flush", "--keep", "--pause-at", "20"]);
    let report = report(&client, &server);
    assert_eq!(report["chunks"], 40);
    place.assert_received_everything(&client.stderr);
}

/// The Python server's line for the session, and the end of our client.
fn served(place: &Place, mut server: Program, client: &Finished) -> Value {
    let said =
        format!("{}\nserver:\n{}", client.stderr, text(&place.dir.join("classic_server.log")));
    assert!(client.status.success(), "anabranch ended with {}:\n{said}", client.status);
    place.assert_received_everything(&said);
    let line = json(&server.line());
    assert_eq!(line["end"], "complete", "{said}");
    line
}

#[test]
fn our_client_gets_every_byte_from_a_classic_server_through_a_pause() {
    let Some(place) = place("classic_server", 20 * 65_536 + 77) else { return };
    let (server, port) = place.classic_server(&[]);
    let client = place.play(&port, &["--pause-at", "3", "--resume-after", "2s"]);
    let line = served(&place, server, &client);
    assert_eq!(line["seen"]["PAUSE_STREAM"], 1, "{line}");
    assert_eq!(line["seen"]["RESUME_STREAM"], 1, "{line}");
    assert_eq!(line["chunks"], 21);
}

#[test]
fn our_client_prods_a_classic_server_that_never_flushes() {
    let Some(place) = place("classic_server_unflushed", 12 * 65_536) else { return };
    let (server, port) = place.classic_server(&[]);
    let client = place.play(&port, &[]);
    let line = served(&place, server, &client);
    assert_eq!(line["request"]["encryption"], 0);
    assert_eq!(line["request"]["delivery"], 0);
}

#[test]
fn our_client_gets_every_byte_from_a_classic_server_that_flushes() {
    let Some(place) = place("classic_server_flushed", 12 * 65_536 + 1) else { return };
    let (server, port) = place.classic_server(&["--flush"]);
    let client = place.play(&port, &["--pause-at", "3", "--resume-after", "1s"]);
    let line = served(&place, server, &client);
    assert_eq!(line["chunks"], 13);
}
