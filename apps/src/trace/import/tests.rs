use anabranch_core::rng::Seed;
use anabranch_core::transport::dquic::classic::{ACK, DATA, Frame, Header, Layout, SHORT};

use super::*;
use crate::capture::testing::{Pcapng, packet};
use crate::report::Json;

fn bytes(layout: Layout, kind: u8, number: u32, frames: &[(u32, u64, u32)]) -> Vec<u8> {
    let mut bytes = Header { packet_type: kind, packet_number: number }.to_bytes().to_vec();
    let frame_type = if kind == SHORT { DATA } else { u32::from(ACK) };
    for &(stream_id, offset, length) in frames {
        Frame { stream_id, frame_type, offset, length }.put(layout, &mut bytes).unwrap();
        bytes.extend(vec![0xd0; usize::try_from(length).unwrap()]);
    }
    bytes
}

/// A capture in the making, and what came of it.
struct Scene {
    layout: Layout,
    file: Pcapng,
    time: u64,
}

const A: &str = "10.0.0.1:4000";
const B: &str = "10.0.0.2:9999";

impl Scene {
    fn new(layout: Layout) -> Self {
        let mut file = Pcapng::new(false);
        file.interface(101, None, None);
        Self { layout, file, time: 1_700_000_000_000_000 }
    }

    fn datagram(&mut self, from: &str, to: &str, payload: &[u8], snap: usize) {
        let ip = packet(from.parse().unwrap(), to.parse().unwrap(), payload);
        self.file.packet(0, self.time, &ip[..ip.len().min(snap)], ip.len());
        self.time += 1_000;
    }

    /// A sends data: stream, offset and length of each frame.
    fn short(&mut self, number: u32, frames: &[(u32, u64, u32)]) -> &mut Self {
        let payload = bytes(self.layout, SHORT, number, frames);
        self.datagram(A, B, &payload, usize::MAX);
        self
    }

    /// B acknowledges: stream and offset of each frame.
    fn ack(&mut self, number: u32, frames: &[(u32, u64)]) -> &mut Self {
        let frames: Vec<_> = frames.iter().map(|(stream, offset)| (*stream, *offset, 0)).collect();
        let payload = bytes(self.layout, ACK, number, &frames);
        self.datagram(B, A, &payload, usize::MAX);
        self
    }

    fn compare(&self, arguments: &str) -> (Result<(), Failure>, String) {
        use clap::Parser as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("capture");
        std::fs::write(&path, &self.file.bytes).unwrap();
        let line = format!("anabranch trace import {} {arguments}", path.display());
        let args = crate::cli::client::Args::parse_from(line.split_whitespace());
        let crate::cli::client::Command::Trace(command) = args.command else { panic!("{line}") };
        let crate::cli::trace::Command::Import(args) = command else { panic!("{line}") };
        let report = Report::new("test", Json::Off, true);
        let mut out = Vec::new();
        let outcome = compare(&args, &report, false, &mut out);
        (outcome, String::from_utf8(out).unwrap())
    }

    /// The verdicts, line by line.
    fn verdicts(&self) -> Vec<String> {
        let text = self.compare("").1;
        let lines = text.lines().filter(|line| line.contains('\t'));
        lines.map(|line| line.rsplit('\t').next().unwrap().to_owned()).collect()
    }

    fn exit(&self, arguments: &str) -> Exit {
        self.compare(arguments).0.map_or_else(|failure| failure.exit, |()| Exit::Ok)
    }
}

#[test]
fn the_same_acknowledgements_are_found_in_both_layouts() {
    for layout in [Layout::Classic, Layout::Wide] {
        let mut scene = Scene::new(layout);
        scene.short(0, &[(1, 0, 1000), (2, 0, 30)]).ack(0, &[(1, 1000), (2, 30)]);
        scene.short(1, &[(1, 1000, 5)]).ack(1, &[(1, 1005)]);
        // A new sending begins at 0, and is told how far the stream is.
        scene.short(2, &[(1, 0, 700)]).ack(2, &[(1, 1005)]);
        let (outcome, text) = scene.compare("--strict");
        assert_eq!(outcome, Ok(()), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "1\t0\t0.000000\t1:1000 2:30\t1:1000 2:30\tsame");
        assert_eq!(lines[2], "1\t2\t0.004000\t1:1005\t1:1005\tsame");
        let frame = layout.frame_len();
        let head = format!("conversation 1: {A} > {B}, frames of {frame} bytes: 3 packets (0 rep");
        assert!(lines[3].starts_with(&head), "{}", lines[3]);
        assert_eq!(lines[4], "  same 3 DIFFERENT 0");
    }
}

#[test]
fn a_difference_makes_it_fail() {
    let mut scene = Scene::new(Layout::Classic);
    scene.short(0, &[(1, 0, 1000)]).ack(0, &[(1, 999)]);
    let (outcome, text) = scene.compare("--hex");
    assert_eq!(outcome.unwrap_err().exit, Exit::Different);
    let line = text.lines().next().unwrap();
    let ours = "06000000000000000100000006000003e800000000";
    assert_eq!(line, format!("1\t0\t0.000000\t{ours}\t{}\tDIFFERENT", ours.replace("3e8", "3e7")));
    // Bytes count, not only what they mean.
    let mut scene = Scene::new(Layout::Classic);
    scene.short(0, &[(1, 0, 10)]);
    let mut ack = bytes(Layout::Classic, ACK, 0, &[(1, 10, 0)]);
    ack.push(0);
    scene.datagram(B, A, &ack, usize::MAX);
    assert_eq!(scene.verdicts(), ["DIFFERENT"]);
    assert!(scene.compare("").1.contains("\t0x0600"), "shown as bytes");
    // The number counts too.
    let mut scene = Scene::new(Layout::Classic);
    scene.short(7, &[(1, 0, 10)]).ack(6, &[(1, 10)]).short(8, &[(1, 10, 1)]).ack(8, &[(1, 11)]);
    assert_eq!(scene.verdicts(), ["DIFFERENT", "same"]);
}

#[test]
fn what_is_sent_again_is_matched_to_its_answer() {
    let mut scene = Scene::new(Layout::Classic);
    // The first is lost behind the capture; the second is answered twice.
    scene.short(0, &[(1, 0, 10)]).short(0, &[(1, 0, 10)]).ack(0, &[(1, 10)]).ack(0, &[(1, 10)]);
    // The acknowledgement is lost, and both of the next packet are late.
    scene.short(1, &[(1, 10, 10)]).short(1, &[(1, 10, 10)]).ack(1, &[(1, 20)]);
    scene.short(2, &[(1, 20, 5)]).ack(2, &[(1, 25)]).ack(2, &[(1, 25)]);
    assert_eq!(scene.verdicts(), ["same", "same", "missing", "same", "same", "same"]);
    assert_eq!(scene.exit(""), Exit::Ok);
    assert_eq!(scene.exit("--strict"), Exit::Different);
    let text = scene.compare("").1;
    assert!(text.contains("5 packets (2 repeated), 1 streams, 25 B"), "{text}");
    assert!(text.contains("  same 5 missing 1 DIFFERENT 0"), "{text}");
}

#[test]
fn a_packet_that_never_arrived_is_found_out_later() {
    let mut scene = Scene::new(Layout::Wide);
    scene.short(0, &[(1, 0, 10), (2, 0, 4)]).ack(0, &[(1, 10), (2, 4)]);
    // Sent five times and given up; the receiver has seen none of them.
    for _ in 0..5 {
        scene.short(1, &[(1, 10, 10)]);
    }
    scene.short(2, &[(1, 0, 7)]).ack(2, &[(1, 10)]);
    scene.short(3, &[(1, 10, 7)]).ack(3, &[(1, 17)]);
    let missing = ["missing"; 5];
    let want = [&["same"][..], &missing, &["same-after-loss", "same"]].concat();
    assert_eq!(scene.verdicts(), want);
    // No history of losses explains this one.
    scene.short(4, &[(1, 17, 7)]).ack(4, &[(1, 20)]);
    assert_eq!(scene.verdicts().last().unwrap(), "DIFFERENT");
}

#[test]
fn a_capture_may_begin_in_the_middle() {
    let mut scene = Scene::new(Layout::Classic);
    scene.ack(6, &[(9, 40)]);
    scene.short(7, &[(1, 5000, 10), (2, 0, 3)]).ack(7, &[(1, 5010), (2, 3)]);
    scene.short(8, &[(1, 5010, 10), (3, 100, 9)]).ack(8, &[(1, 5020), (3, 70)]);
    scene.short(9, &[(1, 5020, 10), (3, 70, 9)]).ack(9, &[(1, 5030), (3, 79)]);
    assert_eq!(scene.verdicts(), ["unasked", "joined", "joined", "same"]);
    assert_eq!((scene.exit(""), scene.exit("--strict")), (Exit::Ok, Exit::Different));
    // A stream that began within the capture is not made to fit.
    scene.short(10, &[(2, 3, 3)]).ack(10, &[(2, 7)]);
    assert_eq!(scene.verdicts().last().unwrap(), "DIFFERENT");
}

#[test]
fn both_ends_may_begin_anew_at_the_same_addresses() {
    let mut scene = Scene::new(Layout::Classic);
    scene.short(0, &[(1, 0, 10)]).ack(0, &[(1, 10)]).short(1, &[(1, 10, 5)]).ack(1, &[(1, 15)]);
    scene.short(0, &[(1, 0, 12)]).ack(0, &[(1, 12)]).short(1, &[(1, 12, 5)]).ack(1, &[(1, 17)]);
    // Only the sender does.
    scene.short(0, &[(1, 0, 10)]).ack(0, &[(1, 17)]);
    assert_eq!(scene.verdicts(), ["same", "same", "restarted", "same", "same"]);
    // Its first acknowledgement is lost.
    scene.short(1, &[(1, 17, 5)]).ack(1, &[(1, 22)]);
    scene.short(0, &[(2, 0, 9), (1, 0, 9)]).short(0, &[(2, 0, 9), (1, 0, 9)]);
    scene.ack(0, &[(2, 9), (1, 9)]).short(1, &[(1, 9, 1)]).ack(1, &[(1, 10)]);
    assert_eq!(scene.verdicts()[6..], ["missing", "same-after-loss", "same"]);
    // A receiver that forgets while its sender goes on is wrong.
    scene.short(2, &[(1, 0, 9)]).ack(2, &[(1, 9)]);
    assert_eq!(scene.verdicts().last().unwrap(), "DIFFERENT");
    assert_eq!(scene.exit(""), Exit::Different);
}

#[test]
fn packets_that_were_cut_off_are_compared_where_that_is_possible() {
    let mut scene = Scene::new(Layout::Classic);
    let cut = |scene: &mut Scene, number, frames: &[(u32, u64, u32)]| {
        scene.datagram(A, B, &bytes(Layout::Classic, SHORT, number, frames), 96);
    };
    cut(&mut scene, 0, &[(1, 0, 1000)]);
    scene.ack(0, &[(1, 1000)]);
    cut(&mut scene, 1, &[(1, 1000, 500), (2, 0, 500)]);
    scene.ack(1, &[(1, 1500), (2, 500)]);
    scene.short(2, &[(1, 1500, 10), (2, 500, 10)]).ack(2, &[(1, 1510), (2, 510)]);
    assert_eq!(scene.verdicts(), ["same", "cut", "joined"]);
}

#[test]
fn several_conversations_and_strangers_are_told_apart() {
    let mut scene = Scene::new(Layout::Wide);
    scene.datagram("10.0.0.3:53", "10.0.0.4:5353", b"\x03\x00\x01\x00\x00 not DQUIC", 999);
    scene.short(0, &[(1, 0, 10)]).ack(0, &[(1, 10)]);
    for (number, (from, to)) in [(4_u32, (B, A)), (0, ("10.0.0.9:1", B))] {
        let short = bytes(Layout::Classic, SHORT, number, &[(1, 0, 5)]);
        let ack = bytes(Layout::Classic, ACK, number, &[(1, 5, 0)]);
        // B answers in the layout of its conversation with A.
        let layout = if from == B { Layout::Wide } else { Layout::Classic };
        let wide = bytes(Layout::Wide, SHORT, number, &[(1, 0, 5)]);
        let wide_ack = bytes(Layout::Wide, ACK, number, &[(1, 5, 0)]);
        let (short, ack) = if layout == Layout::Wide { (wide, wide_ack) } else { (short, ack) };
        scene.datagram(from, to, &short, usize::MAX);
        scene.datagram(to, from, &ack, usize::MAX);
    }
    let (outcome, text) = scene.compare("--strict");
    assert_eq!(outcome, Ok(()), "{text}");
    for head in [
        format!("conversation 1: {A} > {B}, frames of 20"),
        format!("conversation 2: {B} > {A}, frames of 20"),
        format!("conversation 3: 10.0.0.9:1 > {B}, frames of 16"),
    ] {
        assert!(text.contains(&head), "{head} in\n{text}");
    }
    assert_eq!(scene.exit("--port 4000"), Exit::Ok);
    let only = scene.compare("--port 4000").1;
    assert!(only.contains("conversation 2") && !only.contains("conversation 3"), "{only}");
    assert_eq!(scene.exit("--port 53"), Exit::Data, "nothing of use is left");
}

#[test]
fn packets_without_frames_are_answered_in_the_wide_layout() {
    let mut scene = Scene::new(Layout::Wide);
    scene.short(0, &[(1, 0, 10)]).ack(0, &[(1, 10)]);
    scene.short(1, &[]).ack(1, &[]);
    assert_eq!(scene.verdicts(), ["same", "same"]);
    // The receiver took less than the packet held, and said nothing.
    scene.short(2, &[(1, 10, 900)]).short(3, &[(1, 910, 5)]).ack(3, &[(1, 915)]);
    assert_eq!(scene.verdicts()[2..], ["missing", "same"]);
    let text = scene.compare("--max-bytes 100").1;
    assert!(text.contains("\tsilent\n"), "{text}");
    assert_eq!(scene.exit("--max-bytes 100 --strict"), Exit::Ok);
}

/// Losses at random on both sides of the capture, and a receiver that is right.
#[test]
fn a_right_receiver_is_never_different() {
    for seed in 0..200 {
        let mut rng = Seed::from_u64(seed).stream("capture");
        let layout = if rng.chance(1, 2) { Layout::Classic } else { Layout::Wide };
        let mut scene = Scene::new(layout);
        let mut counts = BTreeMap::<u32, u64>::new();
        let mut offset = [0_u64; 3];
        for number in 0..30 {
            let stream = u32::try_from(rng.below(3)).unwrap();
            let at = &mut offset[usize::try_from(stream).unwrap()];
            if rng.chance(1, 10) {
                *at = 0;
            }
            let length = u32::try_from(1 + rng.below(50)).unwrap();
            for _ in 0..5 {
                scene.short(number, &[(stream, *at, length)]);
                if rng.chance(1, 4) {
                    continue;
                }
                let count = counts.entry(stream).or_default();
                *count += if *count == *at { u64::from(length) } else { 0 };
                let count = *count;
                if rng.chance(3, 4) {
                    scene.ack(number, &[(stream, count)]);
                    *at = count;
                    break;
                }
            }
        }
        let (outcome, text) = scene.compare("");
        assert_eq!(outcome, Ok(()), "seed {seed}\n{text}");
    }
}

/// The captures that the tests of the programs use, and everybody can try. To make them anew:
/// `ANABRANCH_RENEW=1 cargo nextest run -p anabranch-apps captures`.
#[test]
fn the_captures_for_tests_are_the_ones_made_here() {
    let mut classic = Scene::new(Layout::Classic);
    let mut wide = Scene::new(Layout::Wide);
    for scene in [&mut classic, &mut wide] {
        scene.short(0, &[(7, 0, 9)]).ack(0, &[(7, 9)]);
        scene.short(1, &[(1, 0, 1400), (2, 0, 1100)]).short(1, &[(1, 0, 1400), (2, 0, 1100)]);
        scene.ack(1, &[(1, 1400), (2, 1100)]);
        scene.short(2, &[(1, 1400, 600), (2, 1100, 1100)]).ack(2, &[(1, 2000), (2, 2200)]);
    }
    let mut different = Scene::new(Layout::Wide);
    different.short(0, &[(1, 0, 1400)]).ack(0, &[(1, 1400)]);
    different.short(1, &[(1, 1400, 100)]).ack(1, &[(1, 1400)]);
    for (name, scene) in [("classic", classic), ("wide", wide), ("different", different)] {
        let path = format!("{}/tests/captures/{name}.pcapng", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("ANABRANCH_RENEW").is_some() {
            std::fs::write(&path, &scene.file.bytes).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == scene.file.bytes, "{path} is another one");
    }
}
