//! Every bound in the system, in one place. Each has a test that meets it.

use std::time::Duration;

/// Connections an endpoint holds at once, unless configured lower.
pub const MAX_CONNECTIONS: usize = 65_536;
/// Connections whose handshake is not complete, in all.
pub const MAX_HALF_OPEN: usize = 1_024;
/// Half-open connections above which Retry is asked for, with [`crate::config::Retry::UnderLoad`].
pub const HALF_OPEN_BEFORE_RETRY: usize = 128;
/// Half-open connections from one address (an IPv4 address, an IPv6 /64).
pub const MAX_HALF_OPEN_PER_ADDRESS: usize = 64;
/// How long a handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a Retry token is good for.
pub const RETRY_TOKEN_LIFETIME: Duration = Duration::from_secs(10);
/// The smallest datagram that may carry a client's Initial (RFC 9000 section 14.1).
pub const MIN_INITIAL_DATAGRAM: usize = 1_200;
/// The longest datagram there is on UDP over IPv4.
pub const MAX_DATAGRAM: usize = 65_527;
/// Stateless answers (version negotiation, Retry, stateless reset) per second, all together.
pub const STATELESS_ANSWERS_PER_SECOND: u32 = 1_000;
/// Stateless answers waiting to be sent.
pub const MAX_STATELESS_QUEUED: usize = 64;
/// Connection ids that each side issues, and so paths that a connection can use at once.
pub const ACTIVE_CONNECTION_IDS: u64 = 8;

/// Media sessions at once on one connection.
pub const MAX_SESSIONS: usize = 16;
/// Streams a client may have open at once: the sessions, the control stream, and some that
/// are closing.
pub const MAX_PEER_STREAMS: u64 = 2 * MAX_SESSIONS as u64 + 1;
/// Unidirectional streams a peer may have open at once: none is in use today, and a peer with
/// newer habits (an HTTP/3 stack opens three) should not be cut off for them.
pub const MAX_PEER_UNI_STREAMS: u64 = 3;
/// Streams at once whose type has not arrived yet.
pub const MAX_UNTYPED_STREAMS: usize = MAX_PEER_STREAMS as usize;
/// What a media receiver buffers for one stream that its application does not read.
pub const STREAM_WINDOW: u64 = 4 << 20;
/// What a media receiver lets a peer send on a whole connection beyond what was read. Credit comes
/// back when half of it has been used, so it is twice what every session together can hold
/// unread: then all but one may stand still with a full window, and that one goes on.
pub const CONNECTION_WINDOW: u64 = 2 * (MAX_SESSIONS as u64 + 1) * STREAM_WINDOW;
/// What a server buffers for one stream of a client: small, since clients send little.
pub const SERVER_STREAM_WINDOW: u64 = 64 << 10;
/// What a server buffers for a whole connection.
pub const SERVER_CONNECTION_WINDOW: u64 = 2 * (MAX_PEER_STREAMS + 1) * SERVER_STREAM_WINDOW;

/// Events of one connection that wait for the application. At the limit the connection reads
/// nothing more from its peer until some are taken.
pub const MAX_EVENTS_QUEUED: usize = 256;
/// The reason text of a close.
pub const MAX_REASON: usize = 256;
/// The body of a control message.
pub const MAX_CONTROL_MESSAGE: usize = 16 << 10;
/// Control bytes waiting to be sent on one connection.
pub const MAX_CONTROL_QUEUED: usize = 64 << 10;
/// Listings and pings a side has under way.
pub const MAX_REQUESTS: usize = 64;
/// The name of the program in HELLO.
pub const MAX_AGENT: usize = 128;
/// Entries in one page of a listing.
pub const MAX_LISTING_PAGE: usize = 64;
/// Entries of a catalogue.
pub const MAX_CATALOGUE: usize = 65_536;
/// The name of a catalogue entry, in bytes.
pub const MAX_NAME: usize = 128;
/// The media type of a catalogue entry, in bytes.
pub const MAX_KIND: usize = 64;

/// The body of any media PDU other than a chunk.
pub const MAX_PDU_BODY: usize = 16 << 10;
/// The codec or profile name of OPEN_STREAM, in bytes.
pub const MAX_CODEC: usize = 256;
/// The payload of a chunk.
pub const MAX_CHUNK: u32 = 4 << 20;
/// The smallest chunk size that can be negotiated.
pub const MIN_CHUNK: u32 = 1 << 10;
/// The chunk size if nobody asks for another.
pub const DEFAULT_CHUNK: u32 = 64 << 10;
/// The bitrate if nobody asks for another, in bit/s.
pub const DEFAULT_BITRATE: u32 = 500_000;
/// The highest bitrate granted, unless configured otherwise: enough for a Blu-ray disc.
pub const DEFAULT_MAX_BITRATE: u32 = 50_000_000;
/// Seconds between heartbeats if nobody asks for another.
pub const DEFAULT_KEEPALIVE: u32 = 5;
/// Seconds of silence that end a session, if nobody asks for another.
pub const DEFAULT_SESSION_TIMEOUT: u32 = 30;
/// PDUs of one session that had to be ignored, before it is ended.
pub const MAX_IGNORED: u32 = 1_024;
/// Bytes asked of the application at once for one session.
pub const MAX_WANTED: usize = 1 << 20;
/// Bytes an unpaced session asks for at once (or a chunk, if that is more): enough to be worth a
/// read, and little enough to stay in a processor's cache until it is sent.
pub const WANTED_UNPACED: usize = 256 << 10;
/// Bytes of one sending session that are asked for or held: two requests, so that one is read
/// while the other is sent.
pub const MAX_SUPPLIED: usize = 2 * MAX_WANTED;

/// The token of a RETRY of DQUIC, in bytes.
pub const MAX_TOKEN: usize = 512;
/// Parameters that one end of a DQUIC connection tells the other.
pub const MAX_PARAMS: usize = 64;
/// Protocols that a DQUIC client offers.
pub const MAX_PROTOCOLS: usize = 16;
/// The name of such a protocol, in bytes.
pub const MAX_PROTOCOL_NAME: usize = 64;
/// Connection ids of a DQUIC peer that are being given back to it, or gaps in their numbers.
pub const MAX_RETIRING_IDS: usize = 4 * ACTIVE_CONNECTION_IDS as usize;
/// Challenges of a DQUIC peer that wait for their answers.
pub const MAX_PATH_ANSWERS: usize = 8;
/// Ranges of packets that an ACK frame of DQUIC holds, and that a receiver keeps.
pub const DQUIC_ACK_RANGES: usize = 64;
/// Ack-eliciting packets of a DQUIC connection that are on their way at once.
pub const DQUIC_MAX_IN_FLIGHT: usize = 16_384;
/// The largest congestion window of a DQUIC connection, in bytes.
pub const DQUIC_MAX_WINDOW: u64 = 64 << 20;
/// What may be written to the streams of a DQUIC connection and not have arrived, beyond two
/// congestion windows, in bytes.
pub const DQUIC_SEND_SLACK: u64 = 256 << 10;
/// What every stream of it may hold of that in any case, so that a small message never waits for
/// the room that a large one has taken.
pub const DQUIC_STREAM_RESERVE: u64 = 16 << 10;
/// Gaps in what has come of one stream. Packets of full size in a full window make fewer.
pub const DQUIC_MAX_GAPS: usize = 4_096;
/// Stops of the peer's that are remembered for writers of streams that are over.
pub const DQUIC_STOPS_KEPT: usize = 64;

/// Datagrams a driver takes from a socket in one turn before it looks at anything else.
pub const RECEIVE_BATCHES_PER_TURN: usize = 32;
/// Sends of a driver in one turn before it looks at anything else.
pub const SENDS_PER_TURN: usize = 256;
/// Commands waiting in a driver's inbox.
pub const MAX_COMMANDS: usize = 1_024;
/// The longest run of datagrams handed to a socket at once (UDP over IPv4, with headers).
pub const MAX_SEGMENTED: usize = 65_507;
/// Datagrams in such a run.
pub const MAX_SEGMENTS: usize = 64;

/// Addresses whose byte counts a classic DQUIC endpoint keeps. The longest idle goes first.
pub const MAX_CLASSIC_PEERS: usize = 1_024;
/// Streams of one such address whose counts are kept, and streams of one sending.
pub const MAX_CLASSIC_STREAMS: usize = 1_024;
/// Streams of all such addresses together.
pub const MAX_CLASSIC_STREAMS_IN_ALL: usize = 65_536;
/// Sendings of a classic DQUIC endpoint at once, one for each address.
pub const MAX_CLASSIC_TRANSFERS: usize = 256;
/// Outputs of a classic DQUIC endpoint that wait to be taken. At the limit, data packets are
/// dropped as if they had been lost: their sender tries again.
pub const MAX_CLASSIC_QUEUED: usize = 256;
/// Packets that came while something was being sent, and wait for a call to receive them.
/// Further ones are dropped in the same way.
pub const MAX_CLASSIC_WAITING: usize = 256;
/// How often a classic DQUIC packet is sent before its receiver counts as silent.
pub const CLASSIC_TRIES: u32 = 5;
/// How long a classic DQUIC sender waits for an answer before each new try.
pub const CLASSIC_ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Answers in a row without progress, and steps back in one stream, that a sender puts up with.
pub const MAX_CLASSIC_STALLS: u32 = 5;
/// Bytes that one packet may declare before a classic receiver leaves it without an answer,
/// unless the caller says otherwise: what the existing peers ask for.
pub const DEFAULT_CLASSIC_MAX_BYTES: u64 = 65_536;
/// A block of a trace. The longest entry is a whole catalogue.
pub const MAX_TRACE_BLOCK: usize = 16 << 20;
/// What a recording holds that nobody has taken away, unless configured otherwise.
pub const TRACE_BUFFER: usize = 16 << 20;
/// A whole trace, unless configured otherwise.
pub const MAX_TRACE_LENGTH: u64 = 4 << 30;
/// Paths that a trace knows by number.
pub const MAX_TRACE_PATHS: usize = 1_024;
/// A text in a trace.
pub const MAX_TRACE_TEXT: usize = 4 << 10;
/// What is kept of a transport's settings in the header of a trace.
pub const MAX_TRACE_SETTINGS: usize = 64 << 10;
/// The bytes of one call in a trace: a whole chunk, and one more.
pub const MAX_TRACE_DATA: usize = MAX_CHUNK as usize + 1;
/// The pieces of one call's bytes in a trace that are kept or left out.
pub const MAX_TRACE_PARTS: usize = 4 << 10;
/// Streams of one connection whose payload a recording can tell from the rest.
pub const MAX_TRACE_STREAMS: usize = 4 * MAX_PEER_STREAMS as usize;
/// Entries that a replay shows in front of the first divergence.
pub const TRACE_CONTEXT: usize = 16;

/// Connections at once that carry plain streams of DQUIC, at a server.
pub const MAX_PLAIN_CONNECTIONS: usize = 32;
/// Streams that a client of such a connection may have open at once.
pub const MAX_PLAIN_STREAMS: u64 = 64;
/// What is buffered of one plain stream that is not read.
pub const PLAIN_STREAM_WINDOW: u64 = 1 << 20;
/// What is buffered of all plain streams of a connection.
pub const PLAIN_CONNECTION_WINDOW: u64 = 4 << 20;

const _: () = {
    assert!(CONNECTION_WINDOW > 2 * MAX_SESSIONS as u64 * STREAM_WINDOW);
    assert!(SERVER_CONNECTION_WINDOW > 2 * MAX_PEER_STREAMS * SERVER_STREAM_WINDOW);
    assert!(STREAM_WINDOW > MAX_CHUNK as u64 / 2);
    assert!(MAX_SUPPLIED >= 2 * DEFAULT_CHUNK as usize);
    assert!(WANTED_UNPACED <= MAX_WANTED);
    assert!(MAX_CONTROL_MESSAGE <= MAX_CONTROL_QUEUED);
    assert!(MAX_NAME + MAX_CODEC < MAX_PDU_BODY);
    assert!(MAX_LISTING_PAGE * (MAX_NAME + MAX_KIND + 32) < MAX_CONTROL_MESSAGE);
    assert!(MAX_WANTED <= MAX_CHUNK as usize && MAX_SUPPLIED == 2 * MAX_WANTED);
    assert!(HALF_OPEN_BEFORE_RETRY < MAX_HALF_OPEN);
    assert!(MAX_SEGMENTED <= MAX_DATAGRAM);
    assert!(PLAIN_STREAM_WINDOW < PLAIN_CONNECTION_WINDOW);
    assert!(MAX_CLASSIC_TRANSFERS < MAX_CLASSIC_PEERS);
    assert!(2 * MAX_CLASSIC_STREAMS <= MAX_CLASSIC_STREAMS_IN_ALL);
    assert!(MAX_CATALOGUE * (MAX_NAME + MAX_KIND + 32) < MAX_TRACE_BLOCK);
    assert!(MAX_TRACE_DATA < MAX_TRACE_BLOCK && MAX_DATAGRAM < MAX_TRACE_DATA);
    assert!(MAX_TRACE_TEXT > MAX_NAME && MAX_TRACE_TEXT > MAX_CODEC && MAX_TRACE_TEXT > MAX_REASON);
};
