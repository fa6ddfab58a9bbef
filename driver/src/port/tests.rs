use std::io::IoSliceMut;
use std::net::IpAddr;

use anabranch_core::Path;
use quinn_udp::RecvMeta;

use super::*;
use crate::bind::{SocketOptions, Sockets};

/// A socket of ours that polls in place of a runtime.
pub(crate) fn port(addr: &str) -> Port<UdpSocket> {
    let options = SocketOptions { only_v6: false, ..SocketOptions::default() };
    let mut sockets = Sockets::bind(&[addr.parse().unwrap()], options).unwrap();
    Port::new(sockets.list.remove(0), Ok).unwrap()
}

pub(crate) fn transmit(from: SocketAddr, to: SocketAddr, len: usize, each: usize) -> Transmit {
    let path = Path { local: from, remote: to };
    Transmit { path, ecn: None, len, segment: Some(each), at: None }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port)
}

/// Receives until something comes. Blocking is a poll here, and the test runner's watchdog ends
/// a test that gets nothing.
pub(crate) fn receive(port: &mut Port<UdpSocket>, counters: &mut Counters) -> Vec<(Path, Vec<u8>)> {
    let mut receiver = crate::receive::Receiver::new();
    let mut got = Vec::new();
    while got.is_empty() {
        port.set_readable();
        let take = |path, _, datagram: &mut [u8]| got.push((path, datagram.to_vec()));
        let none = receiver.receive(Instant::ZERO, port, counters, take).is_none();
        if none && counters.unanswerable > 0 {
            break;
        }
        std::thread::yield_now();
    }
    got
}

#[test]
fn a_run_arrives_datagram_by_datagram_with_real_addresses() {
    let mut counters = Counters::default();
    let (mut a, mut b) = (port("127.0.0.1:0"), port("0.0.0.0:0"));
    let to = loopback(b.local().port());
    let bytes: Vec<u8> = (0..2_500_u32).map(|n| u8::try_from(n / 1_000).unwrap()).collect();
    let run = transmit(a.local(), to, bytes.len(), 1_000);
    assert_eq!(a.send(Instant::ZERO, &run, &bytes, 0, &mut counters), bytes.len());
    assert_eq!((counters.datagrams_sent, counters.bytes_sent), (3, 2_500));

    let mut got = Vec::new();
    while got.len() < 3 {
        got.extend(receive(&mut b, &mut counters));
    }
    let lengths: Vec<_> = got.iter().map(|(_, bytes)| (bytes.len(), bytes[0])).collect();
    assert_eq!(lengths, [(1_000, 0), (1_000, 1), (500, 2)]);
    assert!(got.iter().all(|(path, _)| *path == Path { local: to, remote: a.local() }));

    // The answer leaves from the address the question went to.
    let back = transmit(to, a.local(), 4, 4);
    assert_eq!(b.send(Instant::ZERO, &back, b"back", 0, &mut counters), 4);
    let got = receive(&mut a, &mut counters);
    assert_eq!(got, [(Path { local: a.local(), remote: to }, b"back".to_vec())]);
}

#[test]
fn a_dual_stack_socket_speaks_ipv4_in_ipv4_form() {
    let mut counters = Counters::default();
    let (mut a, mut b) = (port("127.0.0.1:0"), port("[::]:0"));
    let to = loopback(b.local().port());
    a.send(Instant::ZERO, &transmit(a.local(), to, 2, 2), b"hi", 0, &mut counters);
    let got = receive(&mut b, &mut counters);
    assert_eq!(got[0].0, Path { local: to, remote: a.local() });
    b.send(Instant::ZERO, &transmit(to, a.local(), 2, 2), b"ho", 0, &mut counters);
    assert_eq!(receive(&mut a, &mut counters)[0].1, b"ho");
    assert_eq!(counters.send_errors, 0);
}

#[test]
fn long_runs_are_split_at_what_the_kernel_takes() {
    let mut counters = Counters::default();
    let (mut a, b) = (port("127.0.0.1:0"), port("127.0.0.1:0"));
    let bytes = vec![7; 200 * 10];
    let run = transmit(a.local(), b.local(), bytes.len(), 10);
    assert_eq!(a.send(Instant::ZERO, &run, &bytes, 0, &mut counters), bytes.len());
    assert_eq!((counters.datagrams_sent, counters.send_errors), (200, 0));
    assert_eq!(counters.sends, 200_u64.div_ceil(a.offload as u64));
}

#[test]
fn too_big_is_counted_and_not_fatal() {
    let mut counters = Counters::default();
    let (mut a, b) = (port("127.0.0.1:0"), port("127.0.0.1:0"));
    let bytes = vec![0; 65_530];
    let run = transmit(a.local(), b.local(), bytes.len(), bytes.len());
    assert_eq!(a.send(Instant::ZERO, &run, &bytes, 0, &mut counters), bytes.len());
    assert_eq!((counters.too_big, counters.send_errors, counters.sends), (1, 0, 0));
}

#[test]
fn offload_comes_back_after_an_impossible_send() {
    let mut counters = Counters::default();
    let mut a = port("0.0.0.0:0");
    let b = port("127.0.0.1:0");
    let all = a.state.max_gso_segments();
    if all == 1 {
        return; // a kernel without offload has nothing to lose
    }
    // To port 0: EINVAL, and the socket layer gives offload up.
    let from = loopback(a.local().port());
    let break_it = |a: &mut Port<UdpSocket>, now, counters: &mut Counters| {
        a.send(now, &transmit(from, loopback(0), 1, 1), b"x", 0, counters);
    };
    let good = transmit(from, b.local(), 1, 1);
    break_it(&mut a, Instant::ZERO, &mut counters);
    assert_eq!((a.state.max_gso_segments(), counters.send_errors), (1, 1));
    a.send(Instant::ZERO, &good, b"y", 0, &mut counters);
    assert_eq!((a.state.max_gso_segments(), counters.offload_retried), (all, 1));

    // Again, at once: not before the minute is over.
    break_it(&mut a, Instant::ZERO, &mut counters);
    let early = Instant::ZERO + ONCE_IN / 2;
    a.send(early, &good, b"y", 0, &mut counters);
    assert_eq!((a.state.max_gso_segments(), counters.offload_retried), (1, 1));
    a.send(Instant::ZERO + ONCE_IN, &good, b"y", 0, &mut counters);
    assert_eq!((a.state.max_gso_segments(), counters.offload_retried), (all, 2));
}

#[test]
fn a_run_that_meets_lost_offload_is_tried_piece_by_piece() {
    let mut counters = Counters::default();
    let mut a = port("127.0.0.1:0");
    if a.offload == 1 {
        return; // a kernel without offload has nothing to lose
    }
    let bytes = vec![1; 3 * 1_200];
    let run = transmit(a.local(), loopback(0), bytes.len(), 1_200);
    assert_eq!(a.send(Instant::ZERO, &run, &bytes, 0, &mut counters), bytes.len());
    // The first, long call loses offload; the second gets it back and loses it again; so the
    // pieces follow one by one, and each is counted.
    assert_eq!((counters.send_errors, counters.offload_retried), (3, 1));
}

#[test]
fn sockets_are_chosen_by_address_then_family() {
    let exact = port("127.0.0.1:0");
    let number = exact.local().port();
    assert_eq!(exact.suits(loopback(number)), Some(0));
    assert_eq!(exact.suits(SocketAddr::new(IpAddr::from([127, 0, 0, 2]), number)), None);
    assert_eq!(exact.suits(loopback(number ^ 1)), None);
    let (v4, v6) = (port("0.0.0.0:0"), port("[::]:0"));
    assert_eq!(v4.suits(loopback(v4.local().port())), Some(1));
    assert_eq!(v6.suits(loopback(v6.local().port())), Some(2));
    let six = |port: &Port<UdpSocket>| SocketAddr::new("::1".parse().unwrap(), port.local().port());
    assert_eq!((v4.suits(six(&v4)), v6.suits(six(&v6))), (None, Some(1)));
}

#[test]
fn what_cannot_be_answered_is_not_let_in() {
    let port = port("0.0.0.0:0");
    let meta = |addr: &str, to: &str| {
        let mut meta = RecvMeta::default();
        meta.addr = addr.parse().unwrap();
        (meta.len, meta.stride, meta.dst_ip) = (9, 9, Some(to.parse().unwrap()));
        meta
    };
    let admitted = |meta: &RecvMeta| crate::receive::admit(&port, meta).is_some();
    assert!(admitted(&meta("127.0.0.1:5", "127.0.0.1")));
    assert!(!admitted(&meta("127.0.0.1:0", "127.0.0.1")), "source port 0");
    assert!(!admitted(&meta("127.0.0.1:5", "255.255.255.255")), "sent to everyone");
    assert!(!admitted(&meta("127.0.0.1:5", "239.0.0.1")), "sent to a group");
    assert!(!admitted(&meta("224.0.0.1:5", "127.0.0.1")), "from a group");
    let mut empty = meta("127.0.0.1:5", "127.0.0.1");
    empty.len = 0;
    assert!(!admitted(&empty), "empty");
}

#[test]
fn a_datagram_from_port_0_never_reaches_the_endpoint() {
    let mut counters = Counters::default();
    let mut b = port("127.0.0.1:0");
    // Only a raw socket can send from port 0, so only a privileged test can try it for real.
    let Ok(raw) = socket2::Socket::new(
        socket2::Domain::IPV4,
        socket2::Type::RAW,
        Some(socket2::Protocol::UDP),
    ) else {
        return;
    };
    let mut udp = vec![0, 0];
    udp.extend(b.local().port().to_be_bytes());
    udp.extend([0, 12, 0, 0]);
    udp.extend(b"spoo");
    raw.send_to(&udp, &b.local().into()).unwrap();
    assert!(receive(&mut b, &mut counters).is_empty());
    assert_eq!(counters.unanswerable, 1);
}

#[test]
fn an_empty_socket_is_not_readable() {
    let mut counters = Counters::default();
    let mut a = port("127.0.0.1:0");
    let mut bytes = [0; 64];
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let mut meta = [RecvMeta::default()];
    assert!(a.is_readable());
    assert_eq!(a.receive(Instant::ZERO, &mut slices, &mut meta, &mut counters), None);
    assert!(!a.is_readable());
}
