//! Tests of plans.

use clap::Parser as _;

use super::*;
use crate::cli::client::{Args, Command};

fn getting(line: &str) -> Result<Getting, Failure> {
    match Args::try_parse_from(line.split(' ')).unwrap().command {
        Command::Get(get) => Getting::new(&get),
        _ => unreachable!(),
    }
}

async fn sending(line: &str) -> Result<Sending, Failure> {
    match Args::try_parse_from(line.split(' ')).unwrap().command {
        Command::Send(send) => Sending::new(&send, send.to.len().max(1)).await,
        _ => unreachable!(),
    }
}

#[test]
fn an_output_is_a_folder_a_new_name_or_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let at =
        |rest: &str| format!("anabranch get {}", rest.replace("DIR", dir.path().to_str().unwrap()));
    let place = |rest: &str| getting(&at(rest)).map(|get| (get.root, get.receive.top)).unwrap();
    assert_eq!(place("a"), (Some(".".into()), None));
    assert_eq!(place("a -o -"), (None, None));
    assert_eq!(place("a -o DIR"), (Some(dir.path().into()), None));
    assert_eq!(place("a -o DIR/new"), (Some(dir.path().into()), Some("new".into())));
    assert_eq!(place("a -o DIR/in/"), (Some(dir.path().join("in/")), None));
    assert_eq!(place("a b -o DIR/two"), (Some(dir.path().join("two")), None));
    assert!(dir.path().join("two").is_dir() && !dir.path().join("new").exists());
    assert_eq!(getting("anabranch get a b -o -").err().unwrap().exit, Exit::Usage);
    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(getting(&at("a b -o DIR/file")).err().unwrap().exit, Exit::CantCreate);
    assert_eq!(place("a -o DIR/file"), (Some(dir.path().into()), Some("file".into())));
}

#[test]
fn what_cannot_be_sent_is_said_before_a_connection_is_made() {
    smol::block_on(async {
        let exit = |line| async move { sending(line).await.err().map(|failure| failure.exit) };
        assert_eq!(exit("anabranch send /no/such/file").await, Some(Exit::NoInput));
        assert_eq!(exit("anabranch send - --to a --to b").await, Some(Exit::Usage));
        assert_eq!(exit("anabranch send - -").await, Some(Exit::Usage));
        assert_eq!(exit("anabranch send a b --name c").await, Some(Exit::Usage));
        assert_eq!(exit("anabranch send a/x b/x").await, Some(Exit::Usage));
        assert_eq!(exit("anabranch send -").await, None);
    });
}

#[test]
fn the_same_transfer_is_known_again() {
    let of = |line: &str| Plan::Get(getting(line).unwrap()).identity();
    assert_eq!(of("anabranch get a b"), of("anabranch get a b --skip"));
    assert_ne!(of("anabranch get a b"), of("anabranch get b a"));
    assert_ne!(of("anabranch get a"), of("anabranch get a -o x"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "x").unwrap();
    let line = format!("anabranch send {}", path.display());
    let of = |line: &str| Plan::Send(smol::block_on(sending(line)).unwrap()).identity();
    assert_eq!(of(&line), of(&line));
    assert_ne!(of(&line), of(&format!("{line} --into g")));
}

#[test]
fn labels_are_short() {
    assert_eq!(label(["a", "b", "c"].into_iter()), "a and 2 others");
    let long = "ä".repeat(200);
    let label = label([long.as_str(), "b"].into_iter());
    assert!(label.len() <= limits::MAX_LABEL && label.ends_with(" and 1 other"), "{label}");
}
