//! New addresses.

use super::pair::{Pair, addr, read_all, send};
use crate::error::Misuse;
use crate::id::{Dir, StreamId};
use crate::io::Path;
use crate::transport::Signal;

/// Says something each way on a stream.
fn talk(pair: &mut Pair, id: StreamId) {
    for _ in 0..2 {
        send(&mut pair.client, id, b"ping", false);
        pair.settle();
        let mut got = Vec::new();
        assert!(!read_all(&mut pair.server, id, &mut got));
        assert_eq!(got, b"ping");
        send(&mut pair.server, id, b"pong", false);
        pair.settle();
        got.clear();
        assert!(!read_all(&mut pair.client, id, &mut got));
        assert_eq!(got, b"pong");
    }
}

fn moved(pair: &mut Pair) -> Vec<Path> {
    let signals = pair.server.take().into_iter();
    signals.filter_map(|s| if let Signal::Moved(path) = s { Some(path) } else { None }).collect()
}

#[test]
fn twenty_nat_rebindings_in_a_row() {
    let mut pair = Pair::up();
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    talk(&mut pair, id);
    moved(&mut pair);
    for n in 1..=20 {
        pair.client_addr = addr(5000 + n);
        if n > 15 {
            pair.client_addr.set_ip([10, 0, 0, u8::try_from(n).unwrap()].into());
        }
        talk(&mut pair, id);
        let expected = Path { local: pair.server_addr, remote: pair.client_addr };
        assert_eq!(moved(&mut pair), [expected], "move {n}");
    }
    assert_eq!(pair.client.take().iter().filter(|s| matches!(s, Signal::Down(_))).count(), 0);
}

#[test]
fn a_client_moves_twenty_times() {
    let mut pair = Pair::up();
    let id = pair.client.conn().open(Dir::Bidi).unwrap();
    talk(&mut pair, id);
    moved(&mut pair);
    for n in 1..=20 {
        let now = pair.now();
        pair.client_local = addr(6000 + n);
        pair.client_addr = pair.client_local;
        let local = pair.client_local;
        assert_eq!(pair.client.conn().rebind(now, local), Ok(()));
        pair.settle();
        let expected = Path { local: pair.server_addr, remote: pair.client_addr };
        assert_eq!(moved(&mut pair), [expected], "move {n}: by itself");
        talk(&mut pair, id);
    }
}

#[test]
fn only_a_connected_client_can_move() {
    let mut pair = Pair::new();
    let target = pair.target();
    pair.dial(&target);
    let now = pair.now();
    let early = pair.client.conn().rebind(now, addr(1));
    assert_eq!(early, Err(Misuse::WrongState { command: "rebind", state: "handshaking" }));
    pair.settle();
    assert_eq!(pair.server.conn().rebind(now, addr(1)), Err(Misuse::WrongRole("rebind")));
}

#[test]
fn a_packet_for_a_retired_id_is_harmless() {
    let mut pair = Pair::new();
    let mut config = quiche::Config::new(quiche::PROTOCOL_VERSION).unwrap();
    config.set_application_protos(&[b"anabranch/1"]).unwrap();
    config.verify_peer(false);
    config.set_active_connection_id_limit(8);
    let scid = quiche::ConnectionId::from_ref(&[9; 17]);
    let (local, remote) = (pair.client_local, pair.server_addr);
    let mut conn = quiche::connect(None, &scid, local, remote, &mut config).unwrap();
    let mut buf = [0; 1500];
    let mut turn = |pair: &mut Pair, conn: &mut quiche::Connection| {
        for _ in 0..6 {
            while let Ok((len, _)) = conn.send(&mut buf) {
                pair.give_server(&mut buf[..len]);
            }
            for mut datagram in pair.sent(false) {
                let _ = conn.recv(&mut datagram, quiche::RecvInfo { from: remote, to: local });
            }
        }
    };
    turn(&mut pair, &mut conn);
    assert!(conn.is_established() && conn.available_dcids() > 0);
    conn.send_ack_eliciting().unwrap();
    let mut late = [0; 1500];
    let (len, _) = conn.send(&mut late).unwrap();
    conn.retire_dcid(0).unwrap();
    turn(&mut pair, &mut conn);
    pair.give_server(&mut late[..len]);
    let told = pair.server.take();
    assert!(!told.iter().any(|signal| matches!(signal, Signal::Down(_))), "{told:?}");
    turn(&mut pair, &mut conn);
    assert!(conn.peer_error().is_none());
}
