use super::*;

fn full() -> Params {
    Params {
        idle_timeout: Duration::from_secs(30),
        reset_token: Some([7; 16]),
        max_datagram: 1_500,
        max_data: 1 << 30,
        max_stream_data: 1 << 20,
        streams_bidi: 33,
        streams_uni: 3,
        max_ack_delay: Duration::from_millis(25),
        cid_limit: 8,
        protocols: vec![b"anabranch/1".to_vec(), b"x".to_vec()],
    }
}

fn tlv(kind: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint::put(&mut out, kind);
    varint::put_bytes(&mut out, value);
    out
}

fn varint_of(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint::put(&mut out, value);
    out
}

#[test]
fn they_are_read_as_they_were_written() {
    for params in [full(), Params::default(), Params { reset_token: None, ..full() }] {
        let mut bytes = Vec::new();
        params.write(&mut bytes);
        assert_eq!(Params::read(&bytes), Some(params));
    }
    assert_eq!(Params::read(&[]), Some(Params::default()));
}

#[test]
fn every_cut_is_malformed_or_leaves_something_out() {
    let mut bytes = Vec::new();
    full().write(&mut bytes);
    let whole = (0..bytes.len()).filter(|len| Params::read(&bytes[..*len]).is_some()).count();
    // Only between two of the ten, and before the first.
    assert_eq!(whole, 10);
}

#[test]
fn unknown_ones_are_skipped_and_none_comes_twice() {
    let unknown = [tlv(0x3f, b"of a later version"), tlv(id::MAX_DATA, &[5])].concat();
    assert_eq!(Params::read(&unknown), Some(Params { max_data: 5, ..Params::default() }));
    let twice = [tlv(0x3f, b""), tlv(0x3f, b"")].concat();
    assert_eq!(Params::read(&twice), None);
}

#[test]
fn values_that_cannot_be() {
    let names = |count: usize, len: usize| -> Vec<u8> {
        (0..count).flat_map(|_| [varint_of(len as u64), vec![b'x'; len]].concat()).collect()
    };
    let cases: [(&str, u64, Vec<u8>, bool); 16] = [
        ("a short reset token", id::RESET_TOKEN, vec![0; 15], false),
        ("a long reset token", id::RESET_TOKEN, vec![0; 17], false),
        ("an empty number", id::MAX_DATA, vec![], false),
        ("a number with something behind it", id::MAX_DATA, vec![0, 0], false),
        ("the smallest datagram", id::MAX_DATAGRAM, varint_of(1_200), true),
        ("a smaller one", id::MAX_DATAGRAM, varint_of(1_199), false),
        ("the most streams", id::STREAMS_BIDI, varint_of(1 << 60), true),
        ("more bidirectional streams", id::STREAMS_BIDI, varint_of((1 << 60) + 1), false),
        ("more unidirectional streams", id::STREAMS_UNI, varint_of((1 << 60) + 1), false),
        ("the longest delay", id::MAX_ACK_DELAY, varint_of((1 << 14) - 1), true),
        ("a longer one", id::MAX_ACK_DELAY, varint_of(1 << 14), false),
        ("one connection id", id::CID_LIMIT, varint_of(1), false),
        ("the most protocols", id::PROTOCOLS, names(limits::MAX_PROTOCOLS, 3), true),
        ("more protocols", id::PROTOCOLS, names(limits::MAX_PROTOCOLS + 1, 3), false),
        ("a long name", id::PROTOCOLS, names(1, limits::MAX_PROTOCOL_NAME + 1), false),
        ("an empty name", id::PROTOCOLS, vec![0], false),
    ];
    for (what, kind, value, good) in cases {
        assert_eq!(Params::read(&tlv(kind, &value)).is_some(), good, "{what}");
    }
    let many = |count: usize| -> Vec<u8> {
        (0..count as u64).flat_map(|n| tlv(0x1000 + n, b"")).collect()
    };
    assert!(Params::read(&many(limits::MAX_PARAMS)).is_some());
    assert_eq!(Params::read(&many(limits::MAX_PARAMS + 1)), None);
}
