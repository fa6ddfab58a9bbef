//! Orders for transfers, and what a server remembers of them.

use serde_json::Value;

use super::place::{Place, bytes, tree};

/// What a server says of its only transfer: its token, and its state.
fn only(place: &Place) -> Option<(String, String)> {
    let done = place.run(&["transfers", "list", "--json"]);
    assert_eq!(done.status.code(), Some(0), "{}{}", done.stdout, done.stderr);
    let events = done.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let mut all = events.filter(|event| event["event"] == "transfer");
    let text = |event: &Value, name: &str| event[name].as_str().expect("a text").to_owned();
    let one = all.next().map(|event| (text(&event, "token"), text(&event, "state")));
    assert!(all.next().is_none(), "{}", done.stdout);
    one
}

/// Its token, once it is in a state.
#[track_caller]
fn until(place: &Place, wanted: &str) -> String {
    let mut last = None;
    for _ in 0..500 {
        last = only(place);
        match &last {
            Some((token, state)) if state == wanted => return token.clone(),
            Some(_) | None => {}
        }
    }
    panic!("it is not {wanted}: {last:?}");
}

#[track_caller]
fn order(place: &Place, what: &str, token: &str) {
    let done = place.run(&["transfers", what, token]);
    assert_eq!(done.status.code(), Some(0), "{what}: {}{}", done.stdout, done.stderr);
}

const SLOWLY: [&str; 5] = ["--limit", "2MiB/s", "--json", "--reconnect", "60s"];

#[test]
fn a_transfer_that_was_paused_waits_through_a_restart_until_it_is_resumed() {
    let mut place = Place::new("orders");
    place.put("here/large", &bytes(3, 6 << 20));
    let server = place.server(&[]);
    let client = place.start(&[&["send", "here/large"][..], &SLOWLY].concat());
    let token = until(&place, "running");
    order(&place, "pause", &token);
    assert_eq!(until(&place, "paused"), token);
    server.kill();
    let _server = place.server(&[]);
    assert_eq!(only(&place), Some((token.clone(), "paused".to_owned())));
    order(&place, "resume", &token);
    let done = client.finish();
    assert_eq!(done.status.code(), Some(0), "{}\n{}", done.stdout, done.stderr);
    assert_eq!(tree(&place.path("here")), tree(&place.path("there")));
    assert_eq!(until(&place, "complete"), token);
}

#[test]
fn a_transfer_that_was_cancelled_is_over_on_both_sides() {
    let mut place = Place::new("cancelled");
    place.put("here/large", &bytes(3, 6 << 20));
    let _server = place.server(&[]);
    let client = place.start(&[&["send", "here/large"][..], &SLOWLY].concat());
    let token = until(&place, "running");
    order(&place, "cancel", &token);
    let done = client.finish();
    assert_eq!(done.status.code(), Some(75), "{}\n{}", done.stdout, done.stderr);
    assert!(!place.path("there/large").exists());
    assert_eq!(until(&place, "failed"), token);
    let left = std::fs::read_dir(place.path("state/anabranch/transfers"));
    let left = left.map_or(0, |files| {
        files
            .filter(|file| {
                file.as_ref()
                    .is_ok_and(|file| file.path().extension().is_some_and(|end| end == "json"))
            })
            .count()
    });
    assert_eq!(left, 0, "the client goes on with nothing");
}

#[test]
fn those_who_may_not_are_refused() {
    let mut place = Place::new("refused");
    place.put("here/a", b"one");
    place.put("there/b", b"two");
    let none = ["--files-read", "nobody", "--files-write", "nobody", "--files-manage", "nobody"];
    let _server = place.server(&none);
    for args in
        [&["send", "here/a"][..], &["get", "b", "-o", "here"], &["ls", "/"], &["transfers", "list"]]
    {
        let done = place.run(args);
        assert_eq!(done.status.code(), Some(77), "{args:?}: {}{}", done.stdout, done.stderr);
    }
    let mut other = Place::new("kept");
    other.put("there/b", b"two");
    let _server = other.server(&["--files-replace", "nobody"]);
    assert_eq!(other.run(&["rm", "b"]).status.code(), Some(77));
    assert!(other.path("there/b").exists() && !place.path("there/a").exists());
}
