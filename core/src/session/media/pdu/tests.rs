use super::*;
use crate::session::media::{Grant, Pace, PausePolicy, Request, Start};

fn full_request(start: Start) -> Request {
    Request {
        name: Some("ä film".into()),
        codec: "h264".into(),
        profile: "main".into(),
        bitrates: vec![500_000, 1_000_000],
        start,
        pause: PausePolicy::Live,
        pace: Pace::Unpaced,
        max_chunk: Some(4_096),
        keepalive: Some(3),
        timeout: Some(9),
    }
}

fn full_grant() -> Grant {
    Grant {
        bitrate: 500_000,
        chunk: 65_536,
        keepalive: 5,
        timeout: 30,
        name: Some("clip".into()),
        size: Some(1 << 40),
        kind: "audio/wav".into(),
        start: 70_000,
        pause: PausePolicy::Live,
        pace: Pace::Unpaced,
    }
}

fn bare_grant() -> Grant {
    Grant {
        name: None,
        size: None,
        kind: String::new(),
        start: 0,
        pause: PausePolicy::Hold,
        pace: Pace::Bitrate,
        ..full_grant()
    }
}

fn every_pdu() -> Vec<Pdu> {
    let open = |request| Pdu::OpenStream(OpenStream { request, encryption: 1, delivery: 0 });
    let mut out = vec![
        open(Request::default()),
        open(full_request(Start::Sequence(7))),
        open(full_request(Start::Byte(0))),
        Pdu::OpenAck(full_grant()),
        Pdu::OpenAck(bare_grant()),
        Pdu::PauseStream,
        Pdu::ResumeStream,
        Pdu::CloseStream,
        Pdu::Heartbeat(UnixMillis(1_700_000_000_123)),
    ];
    out.extend([1, 2, 3, 4, 5, 6, 7, 99, 4711].map(|code| Pdu::OpenNack(Nack::from_wire(code))));
    out
}

fn split(bytes: &[u8]) -> (Header, &[u8]) {
    (Header::parse(bytes.first_chunk().unwrap()).unwrap(), &bytes[HEADER..])
}

#[test]
fn every_pdu_round_trips() {
    for pdu in every_pdu() {
        let bytes = pdu.encode(0xdead_beef, true);
        let (header, body) = split(&bytes);
        assert_eq!(header.session, 0xdead_beef);
        assert_eq!(header.len as usize, body.len());
        assert_eq!(header.encode()[..], bytes[..HEADER]);
        let kind = Kind::from_wire(header.kind).unwrap();
        assert_eq!(kind, pdu.kind());
        assert_eq!(Pdu::parse(kind, body), Ok(pdu));
    }
}

#[test]
fn the_bytes_are_those_of_classic_peers() {
    let open = OpenStream {
        request: Request {
            codec: "h264".into(),
            profile: "p".into(),
            bitrates: vec![500_000],
            ..Request::default()
        },
        encryption: 1,
        delivery: 0,
    };
    let expected = [
        &[1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16][..],
        &[0, 4],
        b"h264",
        &[0, 1],
        b"p",
        &[1, 0, 7, 0xa1, 0x20, 1, 0],
    ]
    .concat();
    assert_eq!(Pdu::OpenStream(open).encode(0, true), expected);
    assert_eq!(
        Pdu::OpenAck(full_grant()).encode(9, false),
        [
            1, 2, 0, 0, 0, 0, 0, 9, 0, 0, 0, 16, 0, 7, 0xa1, 0x20, 0, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0,
            30
        ],
        "28 bytes, although there is more to say"
    );
    assert_eq!(
        Pdu::OpenNack(Nack::ProtocolViolation).encode(1, true),
        [1, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 99]
    );
    assert_eq!(Pdu::PauseStream.encode(2, true), [1, 5, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    assert_eq!(Pdu::ResumeStream.encode(2, true)[1], 6);
    assert_eq!(Pdu::CloseStream.encode(2, true)[1], 7);
    assert_eq!(
        Pdu::Heartbeat(UnixMillis(258)).encode(2, true),
        [1, 8, 0, 0, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 1, 2]
    );
    let head = ChunkHead { sequence: 3, len: 5, flags: DISCONTINUITY };
    assert_eq!(head.encode(2), [1, 4, 8, 0, 0, 0, 0, 2, 0, 0, 0, 13, 0, 0, 0, 3, 0, 0, 0, 5]);
}

/// Whatever parses can be written again, and then means the same.
fn assert_sound(kind: Kind, body: &[u8]) {
    if let Ok(pdu) = Pdu::parse(kind, body) {
        // A codec may be empty on the wire (it is refused later), but is never asked for.
        if matches!(&pdu, Pdu::OpenStream(open) if open.request.check().is_err()) {
            return;
        }
        let again = pdu.encode(1, true);
        assert_eq!(Pdu::parse(kind, &again[HEADER..]), Ok(pdu));
    }
}

#[test]
fn every_truncation_is_refused_or_sound() {
    for pdu in every_pdu() {
        let bytes = pdu.encode(5, true);
        let body = &bytes[HEADER..];
        for cut in 0..body.len() {
            assert_sound(pdu.kind(), &body[..cut]);
        }
        let fixed = match pdu {
            Pdu::OpenAck(_) => 16,
            Pdu::OpenNack(_) => 2,
            Pdu::Heartbeat(_) => 8,
            Pdu::OpenStream(ref open) => {
                let request = &open.request;
                7 + request.codec.len() + request.profile.len() + 4 * request.bitrates.len()
            }
            _ => 0,
        };
        for cut in 0..fixed {
            assert!(Pdu::parse(pdu.kind(), &body[..cut]).is_err(), "{pdu:?} cut at {cut}");
        }
    }
}

#[test]
fn every_flipped_bit_is_refused_or_sound() {
    for pdu in every_pdu() {
        let bytes = pdu.encode(5, true);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let head = bytes.first_chunk().unwrap();
            match Header::parse(head) {
                Err(Violation::PduVersion(version)) => assert!(bit < 8 && version != VERSION),
                Err(Violation::PduTooLong { len, .. }) => {
                    assert!(len as usize > limits::MAX_PDU_BODY);
                }
                Err(Violation::ChunkLength) => assert!(bytes[1] == 4),
                Err(other) => panic!("{other:?}"),
                Ok(header) => {
                    if let Some(kind) = Kind::from_wire(header.kind) {
                        assert_sound(kind, &bytes[HEADER..]);
                    }
                }
            }
        }
    }
}

#[test]
fn headers_are_held_to_their_limits() {
    let header = |kind, len| Header::parse(&Header { kind, flags: 0, session: 0, len }.encode());
    let most = limits::MAX_PDU_BODY as u32;
    for kind in (0..=255).filter(|kind| *kind != 4) {
        assert!(header(kind, most).is_ok());
        let len = most + 1;
        assert_eq!(header(kind, len), Err(Violation::PduTooLong { kind, len }));
    }
    let most = limits::MAX_CHUNK + 8;
    assert!(header(4, most).is_ok());
    assert_eq!(header(4, most + 1), Err(Violation::PduTooLong { kind: 4, len: most + 1 }));
    for len in 0..8 {
        assert_eq!(header(4, len), Err(Violation::ChunkLength));
    }
    let head = header(4, 108).unwrap();
    let fields = |len: u32| {
        let mut out = [0; 8];
        out[4..].copy_from_slice(&len.to_be_bytes());
        ChunkHead::parse(head, out).map(|chunk| chunk.len)
    };
    assert_eq!(fields(100), Ok(100));
    assert_eq!(fields(99), Err(Violation::ChunkLength));
    assert_eq!(fields(u32::MAX), Err(Violation::ChunkLength));
}

/// OPEN_STREAM's fixed fields, followed by these bytes.
fn open_with(tlvs: &[u8]) -> Result<Request, &'static str> {
    let mut body = vec![0, 1, b'c', 0, 0, 0, 0, 0];
    body.extend_from_slice(tlvs);
    OpenStream::parse(&body).map(|open| open.request)
}

#[test]
fn extensions_are_strict_about_what_they_know_and_skip_the_rest() {
    assert!(open_with(&[]).is_ok());
    for kind in (9..=15).chain([18, 63]) {
        assert_eq!(open_with(&[kind, 2, 0xff, 0xff]), open_with(&[]), "type {kind} is skipped");
    }
    assert_eq!(open_with(&[0x7f, 0xff, 0]), open_with(&[]), "a long type too");
    assert_eq!(open_with(&[6, 2, 0x50, 0]).unwrap().max_chunk, Some(4_096));
    for (bad, why) in [
        (&[1][..], "extension ends early"),
        (&[0x40], "extension type ends early"),
        (&[9, 5, 0], "extension ends early"),
        (&[1, 1, 0xff], "an extension's text is not UTF-8"),
        (&[2, 1, 0], "sequence numbers start at 1"),
        (&[2, 2, 1, 1], "an extension's number has another length"),
        (&[2, 0], "an extension's number has another length"),
        (&[2, 8, 0xc0, 0, 0, 1, 0, 0, 0, 0], "an extension's number is too large"),
        (&[4, 1, 2], "unknown pause policy"),
        (&[4, 0], "unknown pause policy"),
        (&[5, 1, 2], "unknown pace"),
        (&[7, 1, 1, 7, 1, 1], "repeated extension"),
        (&[2, 1, 1, 3, 1, 0], "two starts"),
    ] {
        assert_eq!(open_with(bad), Err(why), "{bad:?}");
    }
    let name = |len: usize| {
        let mut tlv = vec![1];
        crate::wire::varint::put_bytes(&mut tlv, &vec![b'n'; len]);
        open_with(&tlv)
    };
    assert!(name(limits::MAX_NAME).is_ok());
    assert_eq!(name(limits::MAX_NAME + 1), Err("an extension's text is too long"));
}

#[test]
fn texts_of_open_stream_are_bounded_and_utf8() {
    let open = |len: usize, byte: u8| {
        let mut body = u16::try_from(len).unwrap().to_be_bytes().to_vec();
        body.extend(vec![byte; len]);
        body.extend([0, 0, 0, 0, 0]);
        OpenStream::parse(&body).map(|open| open.request.codec.len())
    };
    assert_eq!(open(limits::MAX_CODEC, b'c'), Ok(limits::MAX_CODEC));
    assert_eq!(open(limits::MAX_CODEC + 1, b'c'), Err("a text is too long"));
    assert_eq!(open(3, 0xff), Err("a text is not UTF-8"));
}

#[test]
fn a_request_that_does_not_fit_the_wire_is_misuse() {
    use crate::error::Misuse;
    let ok = Request::default();
    assert_eq!(ok.check(), Ok(()));
    let bad = [
        Request { codec: String::new(), ..ok.clone() },
        Request { codec: "c".repeat(limits::MAX_CODEC + 1), ..ok.clone() },
        Request { profile: "p".repeat(limits::MAX_CODEC + 1), ..ok.clone() },
        Request { name: Some("n".repeat(limits::MAX_NAME + 1)), ..ok.clone() },
        Request { bitrates: vec![1; 256], ..ok.clone() },
        Request { start: Start::Sequence(0), ..ok.clone() },
        Request { start: Start::Byte(1 << 62), ..ok.clone() },
    ];
    for request in bad {
        let answer = request.check();
        assert!(matches!(answer, Err(Misuse::TooMuch { .. } | Misuse::Config(_))), "{request:?}");
    }
}
