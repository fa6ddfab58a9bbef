//! Programs that are killed without warning.

use std::fs;

use super::place::{Place, bytes, summary, tree};

/// The size of the pieces of ordinary files.
const PIECE: u64 = 1 << 20;
/// The most streams of a transfer.
const STREAMS: u64 = 16;

/// The journal says that so many pieces are there.
fn journaled(place: &Place, folder: &str) -> u64 {
    let Ok(entries) = fs::read_dir(place.path(folder)) else { return 0 };
    let states = entries.map(|entry| entry.unwrap().path());
    let states = states.filter(|path| path.to_string_lossy().ends_with(".anab-state"));
    states.map(|path| fs::metadata(path).map_or(0, |state| state.len() / 48)).sum()
}

/// Pushes or pulls a file, and kills the client and the server in turn.
fn killed(test: &str, push: bool, len: usize, kills: u64) {
    let mut place = Place::new(test);
    let (from, to) = if push { ("here", "there") } else { ("there", "here") };
    place.put(&format!("{from}/large"), &bytes(7, len));
    let args: &[&str] =
        if push { &["send", "here/large"] } else { &["get", "large", "-o", "here"] };
    // Slow enough to be caught, and once in its place it is not sent again.
    let slow = [args, &["--limit", "60MiB/s", "--json", "--reconnect", "60s"]].concat();
    let mut server = place.server(&[]);
    let mut client = place.start(&slow);
    for kill in 1..=kills {
        // A number of pieces more than before, so that each kill comes at another point.
        let wanted = kill * (len as u64 / PIECE) / (kills + 2);
        while journaled(&place, to) < wanted && client.is_running() {
            std::thread::yield_now();
        }
        assert!(client.is_running(), "it ended before kill {kill}");
        if kill % 2 == 0 {
            server.kill();
            server = place.server(&[]);
        } else {
            client.kill();
            client = place.start(&slow);
        }
    }
    let done = client.finish();
    assert_eq!(done.status.code(), Some(0), "{}\n{}\n{}", done.stdout, done.stderr, server.log());
    let told = summary(&done.stdout);
    let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("{name} in {told}"));
    // The last client began after the last odd kill, and lived through at most one more.
    let began = kills - u64::from(kills.is_multiple_of(2));
    let before = began * (len as u64 / PIECE) / (kills + 2) * PIECE;
    // A journal has a header too.
    assert!(number("kept") + PIECE >= before, "{told}: at least {before} were there");
    assert_eq!(number("kept") + number("stored"), len as u64, "{told}");
    assert!(number("moved") <= number("stored") + STREAMS * PIECE, "{told}");
    assert_eq!(tree(&place.path(from)), tree(&place.path(to)));
}

#[test]
fn a_file_that_is_sent_survives_every_kill() {
    killed("sent", true, 48 << 20, 10);
}

#[test]
fn a_file_that_is_fetched_survives_every_kill() {
    killed("fetched", false, 48 << 20, 10);
}

#[test]
#[ignore = "a gibibyte: make heavy"]
fn a_gibibyte_survives_every_kill() {
    killed("gibibyte", true, 1 << 30, 10);
}
