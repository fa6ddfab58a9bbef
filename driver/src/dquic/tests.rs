use std::thread;

use super::*;

fn socket() -> (Dquic, SocketAddr) {
    let socket = Dquic::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr();
    (socket, address)
}

fn streams(of: &[(u32, usize)]) -> BTreeMap<u32, Vec<u8>> {
    let bytes = |id: u32, len: usize| (0..len).map(|n| (n + id as usize) as u8).collect();
    of.iter().map(|(id, len)| (*id, bytes(*id, *len))).collect()
}

/// Receives until every stream has come whole, in order.
fn collect(socket: &mut Dquic, wanted: &BTreeMap<u32, Vec<u8>>) -> BTreeMap<u32, Vec<u8>> {
    let mut all: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    while all.values().map(Vec::len).sum::<usize>() < wanted.values().map(Vec::len).sum() {
        let (_, packet) = socket.receive_from(65_536).unwrap();
        for (stream, data) in packet {
            all.entry(stream).or_default().extend(data);
        }
    }
    all
}

#[test]
fn streams_arrive_whole_in_both_layouts() {
    for layout in [Layout::Classic, Layout::Wide] {
        let ((mut sender, from), (mut receiver, to)) = (socket(), socket());
        sender.set_layout(layout);
        let wanted = streams(&[(1, 10_000), (2, 1), (3, 0), (7, 5_555), (u32::MAX, 2_000)]);
        let sent = wanted.clone();
        let sending = thread::spawn(move || (sender.send_to(to, &sent), sender));
        let mut expected = wanted.clone();
        expected.remove(&3);
        assert_eq!(collect(&mut receiver, &wanted), expected, "an empty stream is not on the wire");
        let (sent, sender) = sending.join().unwrap();
        assert_eq!(sent.unwrap(), 17_556);
        let (there, here) = (sender.connection(to).unwrap(), receiver.connection(from).unwrap());
        assert_eq!(there.stream_bytes_sent(7), 5_555);
        assert_eq!(here.stream_bytes_acknowledged(7), 5_555);
        assert_eq!(here.layout(), Some(layout));
        assert_eq!(there.sent_packet_number(), here.received_packet_number());
        assert_eq!(here.sent_packet_number(), here.received_packet_number(), "each is answered");
    }
}

#[test]
fn a_stream_that_the_peer_has_already_is_an_error() {
    let ((mut sender, _), (mut receiver, to)) = (socket(), socket());
    let receiving = thread::spawn(move || {
        loop {
            if receiver.receive_from(65_536).unwrap().1.contains_key(&9) {
                return;
            }
        }
    });
    for len in [1, 2, 700, 5_000] {
        let id = u32::try_from(len).unwrap();
        let bytes = streams(&[(id, len)]);
        assert_eq!(sender.send_to(to, &bytes).unwrap(), len as u64);
        let error = sender.send_to(to, &bytes).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
        let said = format!("already {len} bytes of stream {id} from this address");
        assert!(error.to_string().contains(&said), "{error}");
    }
    sender.send_to(to, &streams(&[(9, 1)])).unwrap();
    receiving.join().unwrap();
}

fn short(number: u8, stream: u8, data: &[u8]) -> Vec<u8> {
    let len = u8::try_from(data.len()).unwrap();
    let head = [[0, 0, 0, stream], [0, 0, 0, 5], [0; 4], [0, 0, 0, len]].concat();
    [&[3, 0, 0, 0, number], &head[..], data].concat()
}

#[test]
fn packets_that_come_while_sending_wait_and_those_beyond_the_limit_come_again() {
    let (mut sender, from) = socket();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = peer.local_addr().unwrap();
    let sending = thread::spawn(move || (sender.send_to(to, &streams(&[(1, 5)])), sender));
    let mut buf = [0; 1_000];
    let len = peer.recv(&mut buf).unwrap();
    let beyond = 20;
    for _ in 0..MAX_CLASSIC_WAITING + beyond {
        peer.send_to(&short(0, 7, b"x"), from).unwrap();
    }
    // The answer is what came, with other types, and the count as offset.
    assert_eq!(len, 5 + 16 + 5);
    let mut answer = buf[..21].to_vec();
    (answer[0], answer[12]) = (6, 6);
    answer[13..].copy_from_slice(&[0, 0, 0, 5, 0, 0, 0, 0]);
    peer.send_to(&answer, from).unwrap();
    let (sent, mut sender) = sending.join().unwrap();
    assert_eq!(sent.unwrap(), 5);
    assert_eq!(sender.counters().overflowed, beyond as u64);
    sender.set_receive_timeout(Some(Duration::from_millis(1)));
    for _ in 0..MAX_CLASSIC_WAITING {
        assert_eq!(sender.receive_from(100).unwrap().1[&7], b"x");
    }
    assert!(sender.receive_from(100).is_err());
}

#[test]
fn a_receive_timeout_ends_the_wait() {
    let (mut receiver, _) = socket();
    receiver.set_receive_timeout(Some(Duration::from_millis(1)));
    assert_eq!(receiver.receive_from(10).unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn what_is_too_much_is_returned_up_to_there_and_not_acknowledged() {
    let (mut receiver, to) = socket();
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let packet = [short(9, 1, &[1; 4]), short(0, 2, &[2; 3])[5..].to_vec()].concat();
    sender.send_to(&packet, to).unwrap();
    let (peer, map) = receiver.receive_from(6).unwrap();
    assert_eq!((peer, map), (sender.local_addr().unwrap(), BTreeMap::from([(1, vec![1; 4])])));
    assert_eq!(receiver.counters().unanswered, 1);
    sender.send_to(&packet, to).unwrap();
    let (_, map) = receiver.receive_from(7).unwrap();
    assert_eq!(map, BTreeMap::from([(1, vec![1; 4]), (2, vec![2; 3])]));
    let mut answer = [0; 100];
    let len = sender.recv(&mut answer).unwrap();
    assert_eq!(answer[..5], [6, 0, 0, 0, 9]);
    assert_eq!((len, answer[16], answer[32]), (5 + 32, 4, 3), "counted at the first time");
}
