//! Both programs as a user runs them: real processes, real sockets on loopback.

mod common;
mod import;
mod recording;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use common::{World, hash};

fn clip(world: &World) {
    std::fs::create_dir_all(world.path("media")).unwrap();
    world.run("gen media/clip.wav --kind wav --size 300KiB --seed 7").expect(0, &["made"]);
}

#[test]
fn a_clip_arrives_in_a_file_with_a_pause_in_between() {
    let world = World::new();
    // The burst at the start is two seconds long, so the rest takes another one.
    world.run("gen media --size 300KB").expect(0, &[]);
    let mut server = world.serve("--media media --chunk 16KiB --max-bitrate 800k");
    let port = server.port;
    let line = format!("play media --port {port} -o got --pause-at 3 --resume-after 50ms --hash");
    let ran =
        world.run(&line).expect(0, &["first contact", "paused after chunk", "resumed", "1 pause"]);
    let sent = hash(&world.path("media"));
    assert_eq!(hash(&world.path("got")), sent);
    assert_eq!(ran.out(), format!("{}  got\n", sent.to_hex()));
    server.wait_for("media: paused");
    server.wait_for("media: resumed");
    server.wait_for("media: complete");
    // Known by now, so nothing is said about it.
    let again = world.run(&format!("play --port {port} -o again --no-pacing")).expect(0, &[]);
    assert!(!again.err().contains("first contact"));
    server.signal("TERM");
    assert_eq!(server.end().0, 0);
}

#[test]
fn a_classic_client_gets_every_byte() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media/clip.wav --pacing off");
    let line = format!("play --classic --port {} -o got.wav", server.port);
    world.run(&line).expect(0, &["complete"]);
    assert_eq!(hash(&world.path("got.wav")), hash(&world.path("media/clip.wav")));
    world
        .run(&format!("ls --classic --port {}", server.port))
        .expect(76, &["classic protocol", "only play works"]);
    // A ticket of one protocol does not get in the way of the other.
    world.run(&format!("ls --port {}", server.port)).expect(0, &[]);
}

#[test]
fn standard_output_carries_media_and_nothing_else() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let ran = world.run(&format!("play clip.wav --port {} --no-pacing --json", server.port));
    assert_eq!(ran.code(), 0, "{}", ran.err());
    assert_eq!(blake3::hash(&ran.0.stdout), hash(&world.path("media/clip.wav")));
    let events: Vec<serde_json::Value> =
        ran.err().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["v"] == 1 && event["t"].is_string()));
    assert_eq!(events[0]["event"], "hello");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["complete"]), (&"summary".into(), &true.into()));
}

#[test]
fn a_partial_file_is_continued_and_a_whole_one_is_left() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let whole = std::fs::read(world.path("media/clip.wav")).unwrap();
    world.write("got.wav", &whole[..100_001]);
    let line = format!("play clip.wav --port {} -o got.wav --no-pacing", server.port);
    world.run(&line).expect(73, &["got.wav is there already", "--continue"]);
    for _ in 0..2 {
        world.run(&format!("{line} --continue")).expect(0, &["from byte"]);
        assert_eq!(std::fs::read(world.path("got.wav")).unwrap(), whole);
    }
    world.run(&format!("{line} --force")).expect(0, &[]);
    assert_eq!(std::fs::read(world.path("got.wav")).unwrap(), whole);
}

#[test]
fn every_failure_has_its_own_words_and_exit_code() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let at = format!("--port {}", server.port);
    world
        .run(&format!("play nope {at} -o x"))
        .expect(66, &["no media called \"nope\"", "anabranch ls"]);
    assert!(!world.path("x").exists());
    world.run(&format!("play clip.wav {at} -o no/such/folder")).expect(73, &["no/such/folder"]);
    world.run(&format!("play {at} --start-byte 99MB -o y")).expect(66, &["before that start"]);
    world
        .run(&format!("play {at} --no-pacing -o /dev/full"))
        .expect(74, &["/dev/full", "make room"]);
    world.run("ls --host no-such-host.invalid").expect(68, &["no-such-host.invalid"]);
    world
        .run("ls --port 1 --connect-timeout 300ms")
        .expect(69, &["no answer from 127.0.0.1:1", "UDP"]);
    world.run("play --bitrate many").expect(2, &["many"]);
    world.run(&format!("ls {at} --ca media/clip.wav")).expect(78, &["no certificate"]);
    let strict = format!("ls {at} --known-hosts none --trust strict");
    world.run(&strict).expect(77, &["is not in none", "accept-new"]);
}

#[test]
fn a_changed_key_is_a_hard_stop_that_shows_both() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let line = format!("ls --port {}", server.port);
    world.run(&line).expect(0, &["first contact"]);
    let hosts = world.path(".config/anabranch/known_hosts");
    let text = std::fs::read_to_string(&hosts).unwrap();
    let old = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let new = text.split(' ').find(|word| word.starts_with("SHA256:")).unwrap();
    std::fs::write(&hosts, format!("# mine\n{}", text.replace(new, old))).unwrap();
    world.run(&line).expect(80, &["HAS CHANGED", old, new, "line 2", "known_hosts", "sed -i"]);
    world.run(&format!("{line} --insecure")).expect(0, &["INSECURE"]);
    world.run(&format!("{line} --ca quic_cert.pem")).expect(0, &[]);
    world.run(&format!("{line} --ca quic_cert.pem --host localhost")).expect(0, &[]);
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let mut client = world
        .client(&format!("play clip.wav --port {} --no-pacing --quiet", server.port))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut few = [0; 10];
    client.stdout.take().unwrap().read_exact(&mut few).unwrap();
    let ran = common::Ran(client.wait_with_output().unwrap()).expect(141, &[]);
    assert!(!ran.err().contains("pipe"), "{}", ran.err());
}

#[test]
fn an_interrupt_ends_the_session_politely() {
    let world = World::new();
    clip(&world);
    let mut server = world.serve("--media media --max-bitrate 8k");
    let mut client = world
        .client(&format!("play clip.wav --port {} -o got.wav --json", server.port))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut events = BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(events.any(|line| line.contains("\"opened\"")));
    let pid = client.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success()
    );
    assert!(events.any(|line| line.contains("\"summary\"")));
    assert_eq!(client.wait().unwrap().code(), Some(130));
    server.wait_for("closed by the peer");
}

#[test]
fn a_second_server_on_the_port_says_so() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let line = format!("--listen 127.0.0.1 --media media --port {}", server.port);
    let ran = common::Ran(world.daemon(&line).output().unwrap());
    ran.expect(69, &["the port is taken", "127.0.0.1", "another --port"]);
}

#[test]
fn a_drain_lets_a_session_run_and_a_second_signal_cuts_it() {
    let world = World::new();
    clip(&world);
    let mut server = world.serve("--media media --max-bitrate 8k");
    let client = world
        .client(&format!("play clip.wav --port {} -o got.wav", server.port))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.wait_for("opened");
    server.signal("TERM");
    server.wait_for("1 session may go on");
    // Nothing new is taken.
    let late = world.run(&format!("ls --port {} --connect-timeout 300ms", server.port));
    assert_eq!(late.code(), 69, "{}", late.err());
    server.signal("TERM");
    let (code, log) = server.end();
    assert_eq!(code, 143, "{log:#?}");
    common::Ran(client.wait_with_output().unwrap()).expect(69, &["shutting down", "--continue"]);
}

#[test]
fn a_reload_takes_new_files_and_keeps_the_old_certificate_on_an_error() {
    let world = World::new();
    clip(&world);
    let mut server = world.serve("--media media");
    let line = format!("ls --port {}", server.port);
    assert_eq!(world.run(&line).expect(0, &[]).out().lines().count(), 1);
    world.write("media/new.txt", b"text");
    world.write("quic_cert.pem", b"rubbish");
    server.signal("HUP");
    server.wait_for("the old certificate stays");
    server.wait_for("media: 2 files");
    let listed = world.run(&line).expect(0, &[]).out();
    assert_eq!(listed.lines().last(), Some("new.txt\t4\t\ttext/plain"));
    std::fs::remove_file(world.path("quic_cert.pem")).unwrap();
    server.signal("HUP");
    server.wait_for("certificate: SHA256:");
    // The key is the same, so the client stays calm.
    world.run(&line).expect(0, &[]);
}

#[test]
fn a_client_that_resumes_is_not_disturbed_by_a_restart() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media --port-file port");
    let port = server.port;
    assert_eq!(std::fs::read_to_string(world.path("port")).unwrap(), format!("{port}\n"));
    // The first contact learns the key, the second gets a ticket that belongs to it.
    for _ in 0..2 {
        world.run(&format!("ls --port {port}")).expect(0, &[]);
    }
    drop(server);
    let again = common::Server::started(
        world.daemon(&format!("--listen 127.0.0.1 --media media --port {port}")),
    );
    let ran = world.run(&format!("ls --port {port} --json")).expect(0, &[]);
    assert!(ran.out().contains("\"resumed\":true"), "{}", ran.out());
    drop(again);
}

#[test]
fn settings_are_checked_before_anything_is_served() {
    let world = World::new();
    clip(&world);
    world.write("good.toml", b"media = 'media'\nmax-bitrate = '2M'\n");
    world.write("bad.toml", b"media = 'media'\nmax-bitrat = '2M'\n");
    let check = |line: &str| common::Ran(world.daemon(line).output().unwrap());
    check("--check-config --config good.toml").expect(0, &["the settings are good", "2.00 Mbit/s"]);
    check("--check-config --config bad.toml").expect(78, &["bad.toml", "line 2", "max-bitrat"]);
    check("--check-config --media nowhere").expect(66, &["nowhere", "--media"]);
    check("--check-config --chunk 3").expect(78, &["--chunk 3"]);
    let sample = check("--check-config").expect(0, &["made sample_media.bin"]);
    assert!(sample.err().contains("512.0 KiB"));
    assert_eq!(std::fs::metadata(world.path("sample_media.bin")).unwrap().len(), 512 << 10);
}

#[test]
fn round_trips_are_measured() {
    let world = World::new();
    clip(&world);
    let server = world.serve("--media media");
    let ran = world.run(&format!("ping --port {} -c 3 -i 1ms", server.port)).expect(0, &[]);
    assert_eq!(ran.out().lines().filter(|line| line.contains("seq=")).count(), 3);
    assert!(ran.out().contains("3 answers, round trip min/avg/max"));
}

#[test]
fn completions_and_manual_pages_are_made() {
    let world = World::new();
    assert!(world.run("completions bash").expect(0, &[]).out().contains("anabranch"));
    world.run("man --out man").expect(0, &[]);
    let made = common::Ran(world.daemon("man --out man").output().unwrap()).expect(0, &[]);
    assert_eq!(made.out(), "");
    for page in ["anabranch.1", "anabranch-play.1", "anabranchd.1"] {
        assert!(world.path("man").join(page).exists(), "{page}");
    }
}
