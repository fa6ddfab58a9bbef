//! What people do with files.

use std::fs;

use super::place::{Place, bytes, tree};

#[test]
fn a_source_tree_goes_there_and_back() {
    let mut place = Place::new("tree");
    let source = anabranch_tests::programs::root().join("core/src");
    let _server = place.server(&[]);
    let sent = place.must(&["send", source.to_str().unwrap()]);
    assert_eq!(tree(&place.path("there/src")), tree(&source), "{sent}");
    place.must(&["get", "src", "-o", "here"]);
    assert_eq!(tree(&place.path("here/src")), tree(&source));
    // All of it is there, and nothing is sent again.
    let again = place.must(&["send", source.to_str().unwrap()]);
    assert_eq!(again["moved"], 0, "{again}");
}

#[test]
fn ten_thousand_small_files_arrive() {
    let mut place = Place::new("small");
    for n in 0..10_000 {
        place.put(&format!("here/many/{}/{n}", n % 10), &bytes(n, 1_024));
    }
    let _server = place.server(&[]);
    let sent = place.must(&["send", "here/many"]);
    assert_eq!(tree(&place.path("there/many")), tree(&place.path("here/many")), "{sent}");
}

#[test]
fn nothing_and_pipes_can_be_sent() {
    let mut place = Place::new("pipes");
    place.put("here/empty", b"");
    place.put("here/clip", &bytes(1, 3_000_000));
    let _server = place.server(&[]);
    place.must(&["send", "here/empty", "here/clip"]);
    assert_eq!(fs::read(place.path("there/empty")).unwrap(), b"");
    let got = place.run(&["get", "clip", "-o", "here/copy"]);
    assert_eq!(got.status.code(), Some(0), "{}", got.stderr);
    assert_eq!(fs::read(place.path("here/copy")).unwrap(), bytes(1, 3_000_000));
}

#[test]
fn what_goes_wrong_has_a_code_of_its_own() {
    let mut place = Place::new("codes");
    place.put("here/a", b"one");
    place.put("there/a", b"other");
    let _server = place.server(&["--files-quota", "1MiB"]);
    for (args, code) in [
        (&["send", "here/a"][..], 73),
        (&["send", "here/a", "--skip"][..], 0),
        (&["send", "here/a", "--rename"][..], 0),
        (&["send", "here/nothing"][..], 66),
        (&["get", "nothing", "-o", "here"][..], 66),
        (&["get", "../../etc/passwd", "-o", "here"][..], 66),
    ] {
        let done = place.run(args);
        assert_eq!(done.status.code(), Some(code), "{args:?}: {}{}", done.stdout, done.stderr);
    }
    assert_eq!(fs::read(place.path("there/a")).unwrap(), b"other");
    assert_eq!(fs::read(place.path("there/a (1)")).unwrap(), b"one");
    place.put("here/large", &bytes(1, 2 << 20));
    let done = place.run(&["send", "here/large"]);
    assert_ne!(done.status.code(), Some(0));
    assert!(done.stderr.contains("quota"), "{}", done.stderr);
}
