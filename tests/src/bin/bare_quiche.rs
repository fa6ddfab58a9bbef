//! What plain quiche does on this machine: one UDP socket on each side, GSO and GRO, no protocol
//! of ours. The benchmarks run it beside the real programs, so that a number can be judged.
//!
//! ```text
//! bare_quiche server --port-file F [--port N] [--datagram 1350] [--discover]
//! bare_quiche client --port N --bytes N [--datagram 1350] [--discover]
//! bare_quiche idle   --port N --connections N --server-pid PID
//! ```
//!
//! The client writes eight bytes on stream 0, a length; the server answers with so many bytes.
//! `client` downloads and discards, and prints `{"bytes":..,"seconds":..,"datagram":..}`, timed
//! from the first to the last byte. `idle` opens connections, asks for one byte on each, and
//! prints the memory that both processes have for them.

#[path = "bare_quiche/peer.rs"]
mod peer;

use std::error::Error;
use std::time::Instant;

use anabranch_tests::bench::{args::Args, proc};
use peer::{Cid, Options, Peer};

/// What the server sends, over and over.
static PAYLOAD: [u8; 256 << 10] = [7; 256 << 10];
/// The only stream: the first one a client may open.
const STREAM: u64 = 0;
/// Handshakes of `idle` at once.
const WAVE: usize = 32;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let args = Args::from_env();
    let options = Options {
        port: args.get("port", 0)?,
        datagram: args.get("datagram", 1_350)?,
        discover: args.has("discover"),
    };
    match args.word() {
        Some("server") => server(&options, args.value("port-file")),
        Some("client") => client(&options, args.get("bytes", 1 << 30)?),
        Some("idle") => idle(&options, args.get("connections", 1_000)?, args.get("server-pid", 0)?),
        Some(_) | None => Err("the first argument is server, client or idle".into()),
    }
}

/// Serves until it is killed.
fn server(options: &Options, port_file: Option<&str>) -> Outcome {
    let mut peer = Peer::server(options)?;
    if let Some(file) = port_file {
        // Renamed, so that nobody reads half a number.
        let new = format!("{file}.new");
        std::fs::write(&new, peer.local().port().to_string())?;
        std::fs::rename(new, file)?;
    }
    loop {
        for id in peer.turn()? {
            answer(&mut peer, id)?;
        }
    }
}

/// Reads the request, and sends while the connection takes it.
fn answer(peer: &mut Peer, id: Cid) -> Outcome {
    let mut wrote = true;
    while wrote {
        wrote = false;
        let Some(conn) = peer.conn(id) else { return Ok(()) };
        let mut request = [0; 8];
        if let Ok((8, _)) = conn.quic.stream_recv(STREAM, &mut request) {
            conn.left = usize::try_from(u64::from_be_bytes(request))?;
        }
        while conn.left > 0 {
            let part = &PAYLOAD[..conn.left.min(PAYLOAD.len())];
            let fin = part.len() == conn.left;
            // An error is a stream that is full, or over: the rest has to wait, or is of no use.
            let sent = conn.quic.stream_send(STREAM, part, fin).unwrap_or(0);
            conn.left -= sent;
            wrote |= sent > 0;
            if sent < part.len() {
                break;
            }
        }
        peer.flush(id)?;
    }
    Ok(())
}

/// Connects, and waits until the handshake is complete.
fn connect(peer: &mut Peer, options: &Options) -> Result<Cid, Box<dyn Error>> {
    let id = peer.connect(options.port)?;
    while !peer.conn(id).is_some_and(|conn| conn.quic.is_established()) {
        peer.turn()?;
        peer.flush(id)?;
        if peer.conn(id).is_none_or(|conn| conn.quic.is_closed()) {
            return Err("the handshake failed".into());
        }
    }
    Ok(id)
}

fn ask(peer: &mut Peer, id: Cid, bytes: u64) -> Outcome {
    if let Some(conn) = peer.conn(id) {
        conn.quic.stream_send(STREAM, &bytes.to_be_bytes(), true)?;
    }
    peer.flush(id)
}

fn client(options: &Options, bytes: u64) -> Outcome {
    let mut peer = Peer::client(options)?;
    let id = connect(&mut peer, options)?;
    ask(&mut peer, id, bytes)?;
    let mut sink = vec![0; 256 << 10];
    let mut received = 0;
    let mut first = None;
    let mut done = false;
    while !done {
        peer.turn()?;
        let Some(conn) = peer.conn(id) else { break };
        while let Ok((len, fin)) = conn.quic.stream_recv(STREAM, &mut sink) {
            first.get_or_insert_with(Instant::now);
            received += len as u64;
            done |= fin;
        }
        if conn.quic.is_closed() {
            break;
        }
        peer.flush(id)?;
    }
    if received != bytes {
        return Err(format!("{received} of {bytes} bytes came").into());
    }
    let seconds = first.unwrap_or_else(Instant::now).elapsed().as_secs_f64();
    let datagram = peer.conn(id).map_or(0, |conn| conn.quic.max_send_udp_payload_size());
    println!(r#"{{"bytes":{received},"seconds":{seconds:.6},"datagram":{datagram}}}"#);
    peer.close(id)
}

fn idle(options: &Options, count: usize, server: u32) -> Outcome {
    let mut peer = Peer::client(options)?;
    // The first connection pays for what is set up once.
    connect(&mut peer, options)?;
    let before = (proc::resident(server)?, proc::resident(std::process::id())?);
    let mut open = 0;
    while open < count {
        let wave = WAVE.min(count - open);
        let mut waiting = Vec::with_capacity(wave);
        for _ in 0..wave {
            waiting.push((peer.connect(options.port)?, false));
        }
        while !waiting.is_empty() {
            peer.turn()?;
            let mut left = Vec::with_capacity(wave);
            for (id, asked) in waiting {
                let Some(conn) = peer.conn(id) else { return Err("a connection is gone".into()) };
                let done = matches!(conn.quic.stream_recv(STREAM, &mut [0; 8]), Ok((_, true)));
                let ask_now = !asked && conn.quic.is_established();
                if ask_now {
                    ask(&mut peer, id, 1)?;
                }
                peer.flush(id)?;
                if !done {
                    left.push((id, asked || ask_now));
                }
            }
            waiting = left;
        }
        open += wave;
    }
    let after = (proc::resident(server)?, proc::resident(std::process::id())?);
    println!(
        r#"{{"connections":{count},"server_bytes":{},"client_bytes":{}}}"#,
        after.0.saturating_sub(before.0),
        after.1.saturating_sub(before.1)
    );
    Ok(())
}
