//! Every codec: what it accepts it can write again, and reads back as the same.

use anabranch_core::conn::control::message::{Message, Parsed};
use anabranch_core::files::block::{Head, MAX_HEAD};
use anabranch_core::files::message::{Message as FileMessage, Parsed as FileParsed};
use anabranch_core::files::name;
use anabranch_core::limits;
use anabranch_core::session::media::pdu::{CHUNK_HEAD, ChunkHead, HEADER, Header, Kind, Pdu};
use anabranch_core::transport::dquic::frame::{Frame, Frames};
use anabranch_core::transport::dquic::out::Out;
use anabranch_core::transport::dquic::packet::{self, Packet, TAG};
use anabranch_core::wire::varint::{self, Cursor};

/// Varints and length-prefixed fields.
pub fn varint(data: &[u8]) {
    let mut cursor = Cursor::new(data);
    while let Some(value) = cursor.varint() {
        let mut out = Vec::new();
        varint::put(&mut out, value);
        assert_eq!(varint::peek(&out), Some((value, out.len())));
    }
    let mut cursor = Cursor::new(data);
    let mut left = data.len();
    while let Some(field) = cursor.prefixed() {
        let mut out = Vec::new();
        varint::put_bytes(&mut out, field);
        assert_eq!(Cursor::new(&out).prefixed(), Some(field));
        assert!(cursor.rest().len() < left, "a field that takes nothing");
        left = cursor.rest().len();
    }
}

/// The frames of a DQUIC packet.
pub fn dquic_frames(data: &[u8]) {
    for frame in Frames::new(data).map_while(Result::ok) {
        let mut bytes = vec![0; frame.len()];
        let mut out = Out::new(&mut bytes);
        assert!(frame.write(&mut out) && out.room() == 0, "{frame:?}");
        assert_eq!(Frames::new(&bytes).collect::<Vec<_>>(), [Ok(frame)]);
        if let Frame::Ack(ack) = frame {
            let mut below = ack.largest() + 1;
            for range in ack.ranges() {
                assert!(range.start() <= range.end() && *range.end() < below, "{ack:?}");
                below = *range.start();
            }
        }
    }
}

/// PDUs of the media protocol, one after the other.
pub fn media_pdu(data: &[u8]) {
    let mut rest = data;
    while let Some((head, tail)) = rest.split_first_chunk::<HEADER>() {
        let Ok(header) = Header::parse(head) else { return };
        let mut written = *head;
        // The reserved byte is ignored, and written as 0.
        written[3] = 0;
        assert_eq!(header.encode(), written);
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        let Some((body, next)) = tail.split_at_checked(len) else { return };
        rest = next;
        match Kind::from_wire(header.kind) {
            None => {}
            Some(Kind::StreamChunk) => chunk(header, body),
            Some(kind) => other(kind, body),
        }
    }
}

fn chunk(header: Header, body: &[u8]) {
    let (head, payload) = body.split_first_chunk::<CHUNK_HEAD>().expect("checked with the header");
    let Ok(parsed) = ChunkHead::parse(header, *head) else { return };
    assert_eq!(usize::try_from(parsed.len), Ok(payload.len()));
    let out = parsed.encode(header.session);
    assert_eq!(&out[..HEADER], header.encode());
    assert_eq!(&out[HEADER..], head);
}

fn other(kind: Kind, body: &[u8]) {
    let Ok(pdu) = Pdu::parse(kind, body) else { return };
    assert_eq!(pdu.kind(), kind);
    // What is read is more than what is written: a server answers an empty codec, for example.
    if matches!(&pdu, Pdu::OpenStream(open) if open.request.check().is_err()) {
        return;
    }
    let out = pdu.encode(7, true);
    let (head, body) = out.split_first_chunk::<HEADER>().expect("starts with a header");
    let header = Header::parse(head).expect("our own header");
    assert_eq!((header.kind, header.session), (kind.to_wire(), 7));
    assert_eq!(usize::try_from(header.len), Ok(body.len()));
    assert_eq!(Pdu::parse(kind, body), Ok(pdu));
}

/// Messages of the control stream, one after the other.
pub fn control(data: &[u8]) {
    let mut rest = data;
    loop {
        let len = match Message::parse(rest) {
            Err(_) | Ok(Parsed::More) => return,
            Ok(Parsed::Skip(len)) => len,
            Ok(Parsed::Message(message, len)) => {
                let mut out = Vec::new();
                message.encode(&mut out);
                let again = Message::parse(&out);
                assert_eq!(again, Ok(Parsed::Message(message, out.len())));
                len
            }
        };
        assert!((1..=rest.len()).contains(&len), "a message of {len} bytes in {}", rest.len());
        rest = &rest[len..];
    }
}

/// Messages of a file control stream, one after the other, and heads of blocks.
pub fn file_messages(data: &[u8]) {
    let mut rest = data;
    while let Ok(FileParsed::Message(_, len) | FileParsed::Skip(len)) = FileMessage::parse(rest) {
        if let Ok(FileParsed::Message(message, _)) = FileMessage::parse(rest) {
            let out = message.encode();
            let again = FileMessage::parse(&out);
            assert_eq!(again, Ok(FileParsed::Message(message, out.len())));
        }
        assert!((1..=rest.len()).contains(&len), "a message of {len} bytes in {}", rest.len());
        rest = &rest[len..];
    }
    if let Ok(Ok(head)) = Head::parse(data) {
        let mut out = Vec::new();
        head.encode(&mut out);
        assert!(out.len() <= MAX_HEAD);
        assert_eq!(Head::parse(&out), Ok(Ok(head)));
    }
    if let Ok(name) = std::str::from_utf8(data) {
        let safe = name::make_safe(name);
        assert_eq!(name::check_portable(&safe), Ok(()), "{name:?} became {safe:?}");
    }
}

/// A packet of the DQUIC extension: the input with a good tag behind it, and the frames in it.
pub fn dquic_packet(data: &[u8]) {
    assert_eq!(Packet::read(&[data, &[0; TAG]].concat()), None, "a tag of zeros");
    let mut sealed = [data, &[0; TAG]].concat();
    packet::seal(&mut sealed, data.len());
    let mut again = Vec::new();
    match Packet::read(&sealed) {
        None | Some(Packet::OtherVersion(_) | Packet::Version { .. }) => return,
        Some(Packet::Hello { header, token, params }) => {
            assert!(token.len() <= limits::MAX_TOKEN);
            packet::hello(&mut again, &header, token, params);
        }
        Some(Packet::Retry { header, token }) => {
            packet::retry(&mut again, &header, token);
        }
        Some(Packet::Welcome { header, params }) => {
            packet::welcome(&mut again, &header, params);
        }
        Some(Packet::Reset { token }) => {
            packet::reset(&mut again, &token);
        }
        Some(Packet::Data { dcid, number, frames }) => {
            dquic_frames(frames);
            again = vec![0; packet::DATA_OVERHEAD + frames.len()];
            let mut out = Out::new(&mut again);
            assert!(packet::begin_data(&mut out, dcid, number) && out.put(frames));
            let len = out.len();
            let len = packet::seal(&mut again, len);
            again.truncate(len);
        }
    }
    assert_eq!(Packet::read(&again), Packet::read(&sealed));
}
