use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use quinn_udp::UdpSockRef;

use super::*;
use crate::bind::{SocketOptions, Sockets};
use crate::port::tests::{port, receive, transmit};

/// A socket that takes so many calls and then is full.
struct Narrow {
    socket: UdpSocket,
    room: RefCell<usize>,
}

impl Datagrams for Narrow {
    fn try_io<R>(&self, io: impl FnOnce(UdpSockRef<'_>) -> io::Result<R>) -> io::Result<R> {
        let mut room = self.room.borrow_mut();
        *room = room.checked_sub(1).ok_or(io::ErrorKind::WouldBlock)?;
        io((&self.socket).into())
    }
}

fn narrow(room: usize) -> Port<Narrow> {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut sockets = Sockets::bind(&[any], SocketOptions::default()).unwrap();
    let wrap = |socket| Ok(Narrow { socket, room: RefCell::new(room) });
    Port::new(sockets.list.remove(0), wrap).unwrap()
}

fn later(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

#[test]
fn a_blocked_run_waits_for_the_socket_and_goes_on_where_it_stopped() {
    let mut counters = Counters::default();
    let mut peer = port("127.0.0.1:0");
    let mut ports = [narrow(1)];
    let mut outbox = Outbox::new();
    let bytes: Vec<u8> = (0..130).collect();
    outbox.buffer()[..130].copy_from_slice(&bytes);
    // Datagrams of one byte: more than one call takes.
    let run = transmit(ports[0].local(), peer.local(), 130, 1);
    assert_eq!(outbox.put(Instant::ZERO, run, &mut ports, &mut counters), Sent::Blocked);
    assert!(ports[0].is_blocked() && !outbox.is_empty());

    // Still full: nothing is tried.
    *ports[0].socket().room.borrow_mut() = 1_000;
    assert_eq!(outbox.flush(Instant::ZERO, &mut ports, &mut counters), Sent::Blocked);
    assert_eq!(counters.blocked, 1);

    ports[0].set_writable();
    assert_eq!(outbox.flush(Instant::ZERO, &mut ports, &mut counters), Sent::All);
    assert!(outbox.is_empty());
    let mut got = Vec::new();
    while got.len() < 130 {
        got.extend(receive(&mut peer, &mut counters).into_iter().flat_map(|(_, bytes)| bytes));
    }
    assert_eq!(got, bytes);
}

#[test]
fn paced_runs_go_in_order_of_time() {
    let mut counters = Counters::default();
    let mut peer = port("127.0.0.1:0");
    let mut ports = [port("127.0.0.1:0")];
    let mut outbox = Outbox::new();
    for (byte, at) in [(b'c', 9), (b'a', 5), (b'b', 5)] {
        outbox.buffer()[0] = byte;
        let mut run = transmit(ports[0].local(), peer.local(), 1, 1);
        run.at = Some(later(at));
        assert_eq!(outbox.put(Instant::ZERO, run, &mut ports, &mut counters), Sent::All);
    }
    assert_eq!((outbox.due(), counters.sends, counters.paced), (Some(later(5)), 0, 3));
    assert_eq!(outbox.flush(later(4), &mut ports, &mut counters), Sent::All);
    assert_eq!(counters.sends, 0);
    outbox.flush(later(5), &mut ports, &mut counters);
    assert_eq!((counters.sends, outbox.due()), (2, Some(later(9))));
    outbox.flush(later(9), &mut ports, &mut counters);
    assert!(outbox.is_empty());
    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(receive(&mut peer, &mut counters).into_iter().flat_map(|(_, bytes)| bytes));
    }
    assert_eq!(got, b"abc");
}

#[test]
fn the_held_runs_are_bounded() {
    let mut counters = Counters::default();
    let peer = port("127.0.0.1:0");
    let mut ports = [port("127.0.0.1:0")];
    let mut outbox = Outbox::new();
    for n in 0..MAX_HELD as u64 + 5 {
        let mut run = transmit(ports[0].local(), peer.local(), 1, 1);
        run.at = Some(later(1_000 - n));
        outbox.put(Instant::ZERO, run, &mut ports, &mut counters);
    }
    assert_eq!((outbox.held.len(), counters.sends), (MAX_HELD, 5));
}

#[test]
fn a_path_without_a_socket_is_counted_and_dropped() {
    let mut counters = Counters::default();
    let peer = port("127.0.0.1:0");
    let mut ports = [port("127.0.0.1:0")];
    let mut outbox = Outbox::new();
    let strange = transmit("127.0.0.9:1".parse().unwrap(), peer.local(), 1, 1);
    assert_eq!(outbox.put(Instant::ZERO, strange, &mut ports, &mut counters), Sent::All);
    let nowhere = transmit(ports[0].local(), "127.0.0.1:0".parse().unwrap(), 1, 1);
    assert_eq!(outbox.put(Instant::ZERO, nowhere, &mut ports, &mut counters), Sent::All);
    assert_eq!((counters.send_errors, counters.sends), (2, 0));
}
