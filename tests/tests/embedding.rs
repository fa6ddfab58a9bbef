//! The driver that `docs/embedding.md` shows is the one that is compiled, and it works.

#[path = "drivers/apps.rs"]
#[allow(dead_code, reason = "shared with the conformance test of the drivers")]
mod apps;

use std::net::UdpSocket;
use std::sync::mpsc::channel;
use std::thread;

use anabranch_core::transport::quic::{Identity, QuicConfig, stack};
use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::{Code, Config, Endpoint, Seed, Why};
use anabranch_tests::content::{Clip, catalogue};
use anabranch_tests::{cert, source, std_driver};

use apps::{Command, Player, Server};

fn endpoint(quic: QuicConfig, seed: u64) -> Endpoint {
    Endpoint::new(Config::default(), stack(quic, &Seed::from_u64(seed)).unwrap())
}

#[test]
fn a_plain_socket_is_enough_for_both_roles() {
    // Long enough that it cannot all be on its way when the player asks for a pause.
    let clips = vec![Clip::new("long", 1, 24 << 20), Clip::new("short", 2, 1_000_003)];
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let [remote, local] = [0, 1].map(|side: usize| sockets[side].local_addr().unwrap());
    let [server_socket, client_socket] = sockets;
    let identity = cert::self_signed();
    let target = Target {
        remote,
        local,
        server_name: "localhost".to_owned(),
        trust: Trust::Pin(identity.pin),
        offered: Offered::Both,
        ticket: None,
    };
    let served = clips.clone();
    let server = thread::spawn(move || {
        let pem = Identity { chain_pem: identity.chain_pem, key_pem: identity.key_pem };
        let quic = QuicConfig { identity: Some(pem), static_key: [1; 32], ..QuicConfig::default() };
        let mut endpoint = endpoint(quic, 1);
        endpoint.listen(true);
        endpoint.hub().set_catalogue(catalogue(&served), None).unwrap();
        let mut app = Server::new(&served, 1);
        let (_commands, none) = channel();
        std_driver::run(&mut endpoint, &mut app, &server_socket, &none).unwrap();
        app
    });
    let (commands, inbox) = channel();
    commands.send(Command::Play(target)).unwrap();
    let mut player = Player::new(clips);
    let mut endpoint = endpoint(QuicConfig::default(), 2);
    std_driver::run(&mut endpoint, &mut player, &client_socket, &inbox).unwrap();
    player.check();
    let served = server.join().unwrap();
    assert_eq!(served.closed, [Why::Peer(Code::None, "done".to_owned())]);
}

/// The part of a text between two lines.
fn between<'a>(text: &'a str, first: &str, last: &str) -> &'a str {
    let start = text.find(first).expect(first) + first.len();
    let len = text[start..].find(last).expect(last);
    &text[start..start + len]
}

#[test]
fn the_document_shows_the_driver_that_is_compiled() {
    let read = |name| std::fs::read_to_string(source::root().join(name)).unwrap();
    let code = read("tests/src/std_driver.rs");
    let document = read("docs/embedding.md");
    let code = between(&code, "// begin: driver\n", "// end: driver\n");
    let shown = between(&document, "```rust\n", "```\n");
    assert_eq!(shown, code, "docs/embedding.md has to show tests/src/std_driver.rs");
}
