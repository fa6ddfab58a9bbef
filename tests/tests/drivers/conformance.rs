//! Both drivers run the same applications over real loopback sockets, in every pairing.
//!
//! Nothing sleeps and nothing is timed: each side ends by itself, and the test runner's watchdog
//! ends what does not.

use std::net::SocketAddr;
use std::thread;

use anabranch_core::media::{EndReason, Nack, Pace, Request};
use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::{App, Code, Config, Dialect, Endpoint, Why};
use anabranch_driver_smol::client::{Notice, OpenError, PIECE, PIECES};
use anabranch_driver_smol::{Client, Clock, SocketOptions, Sockets, seed};
use anabranch_tests::cert::{self, Identity};
use anabranch_tests::content::{Clip, catalogue};
use anabranch_tests::stack::{self, Kind as On, Knobs};

use super::ON;
use crate::apps::{Command, Player, Server};

/// A driver.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Mio,
    Smol,
}

/// Long enough that it cannot all be on its way when a pause is asked for.
fn clips() -> Vec<Clip> {
    vec![Clip::new("long", 1, 24 << 20), Clip::new("short", 2, 5_000_003)]
}

fn loopback() -> Sockets {
    bind("127.0.0.1:0")
}

pub(super) fn bind(addr: &str) -> Sockets {
    Sockets::bind(&[addr.parse().unwrap()], SocketOptions::default()).unwrap()
}

/// An endpoint with the settings that programs have. Only a server has an identity.
pub(super) fn endpoint(clock: Clock, identity: Option<&Identity>) -> Endpoint {
    let knobs = Knobs { kind: ON, discover_mtu: true, max_datagram: 16_383, ..Knobs::default() };
    let seed = seed().unwrap();
    let stack = match identity {
        Some(identity) => stack::server(&knobs, identity, &seed, 0),
        None => stack::client(&knobs, &seed),
    };
    Endpoint::new(Config { epoch: clock.epoch(), ..Config::default() }, stack)
}

pub(super) fn target(remote: SocketAddr, local: SocketAddr, pin: [u8; 32]) -> Target {
    Target {
        remote,
        local,
        server_name: "localhost".to_owned(),
        trust: match ON {
            On::Quic => Trust::Pin(pin),
            On::Dquic => Trust::Any,
        },
        offered: Offered::Both,
        ticket: None,
    }
}

/// Runs an application on a driver to its end.
fn run<A: App>(
    kind: Kind,
    clock: Clock,
    endpoint: Endpoint,
    sockets: Sockets,
    app: A,
    first: Option<A::Command>,
) -> A {
    match kind {
        Kind::Mio => {
            use anabranch_driver_mio::Driver;
            let (mut driver, handle) = Driver::new(clock, endpoint, sockets, app).unwrap();
            first.into_iter().for_each(|command| handle.try_send(command).unwrap());
            driver.run().unwrap();
            println!("{kind:?}: {:?}", driver.counters());
            driver.into_app()
        }
        Kind::Smol => {
            use anabranch_driver_smol::Driver;
            let (mut driver, handle) = Driver::new(clock, endpoint, sockets, app).unwrap();
            first.into_iter().for_each(|command| handle.try_send(command).unwrap());
            smol::block_on(driver.run()).unwrap();
            println!("{kind:?}: {:?}", driver.counters());
            driver.into_app()
        }
    }
}

/// A server on a thread of its own. It ends when so many connections have ended.
struct Running {
    thread: thread::JoinHandle<Server>,
    addr: SocketAddr,
    pin: [u8; 32],
}

fn serve(kind: Kind, sockets: Sockets, connections: usize) -> Running {
    let identity = cert::self_signed();
    let mut addr = sockets.local_addrs().unwrap()[0];
    if addr.ip().is_unspecified() {
        addr.set_ip([127, 0, 0, 1].into());
    }
    let pin = identity.pin;
    let thread = thread::spawn(move || {
        let clock = Clock::start();
        let mut endpoint = endpoint(clock, Some(&identity));
        endpoint.listen(true);
        endpoint.hub().set_catalogue(catalogue(&clips()), None).unwrap();
        run(kind, clock, endpoint, sockets, Server::new(&clips(), connections), None)
    });
    Running { thread, addr, pin }
}

/// Two sessions at once, of which one is paused while the other plays to its end; a listing and
/// a ping in between; every byte is checked.
fn conformance(server: Kind, client: Kind) {
    let running = serve(server, bind("0.0.0.0:0"), 1);
    let clock = Clock::start();
    let sockets = loopback();
    let target = target(running.addr, sockets.local_addrs().unwrap()[0], running.pin);
    let endpoint = endpoint(clock, None);
    let player = Player::new(clips());
    let start = Some(Command::Play(target));
    let player = run(client, clock, endpoint, sockets, player, start);
    let served = running.thread.join().unwrap();

    player.check();
    assert_eq!((served.paused, served.resumed, served.ended), (1, 1, 2));
    assert_eq!(served.closed, [Why::Peer(Code::None, "done".to_owned())]);
}

#[test]
fn mio_serves_mio() {
    conformance(Kind::Mio, Kind::Mio);
}

#[test]
fn mio_serves_smol() {
    conformance(Kind::Mio, Kind::Smol);
}

#[test]
fn smol_serves_mio() {
    conformance(Kind::Smol, Kind::Mio);
}

#[test]
fn smol_serves_smol() {
    conformance(Kind::Smol, Kind::Smol);
}

#[test]
fn a_mio_driver_takes_another_socket_while_it_runs() {
    let running = serve(Kind::Smol, bind("0.0.0.0:0"), 1);
    let clock = Clock::start();
    let sockets = loopback();
    let target = target(running.addr, sockets.local_addrs().unwrap()[0], running.pin);
    let (sender, paused) = std::sync::mpsc::channel();
    let player = Player::new(clips()).moved_by(sender);
    let endpoint = endpoint(clock, None);
    let (mut driver, handle) =
        anabranch_driver_mio::Driver::new(clock, endpoint, sockets, player).unwrap();
    let mover = thread::spawn(move || {
        handle.send(Command::Play(target)).unwrap();
        paused.recv().unwrap();
        let sockets = loopback();
        let local = sockets.local_addrs().unwrap()[0];
        handle.adopt(sockets).unwrap();
        handle.send(Command::Move(local)).unwrap();
    });
    driver.run().unwrap();
    mover.join().unwrap();
    driver.into_app().check();
    assert_eq!(running.thread.join().unwrap().moved, 1);
}

fn request(name: &str) -> Request {
    Request { name: Some(name.to_owned()), pace: Pace::Unpaced, ..Request::default() }
}

/// Runs `user` with a client of its own against a mio server.
pub(super) fn with_client<F, T>(
    connections: usize,
    user: impl FnOnce(Client, Target) -> F,
) -> (T, Server)
where
    F: Future<Output = T>,
{
    let running = serve(Kind::Mio, bind("0.0.0.0:0"), connections);
    let clock = Clock::start();
    let sockets = bind("0.0.0.0:0");
    let (client, driver) = Client::new(clock, endpoint(clock, None), sockets).unwrap();
    let local = client.local_for(running.addr).unwrap();
    let target = target(running.addr, local, running.pin);
    let driver = smol::spawn(driver);
    let answer = smol::block_on(async {
        let answer = user(client, target).await;
        // Every handle is gone by now, and so the driver ends.
        driver.await.unwrap();
        answer
    });
    (answer, running.thread.join().unwrap())
}

#[test]
fn handles_play_with_back_pressure() {
    let ((), served) = with_client(1, |client, target| async move {
        let connection = client.connect(target).await.unwrap();
        assert_eq!(connection.established().dialect, Dialect::V1);
        let (mut slow, grant) = connection.open_media(request("long")).await.unwrap();
        assert_eq!(grant.size, Some(24 << 20));
        // Nobody takes from this one, and the rest goes on: a listing, a ping, a whole session.
        let listing = connection.list(None).await.unwrap();
        let names: Vec<_> = listing.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!((names, listing.next), (vec!["long", "short"], None));
        connection.ping().await.unwrap();
        let (mut quick, _) = connection.open_media(request("short")).await.unwrap();
        assert_eq!(take_all(&mut quick, &clips()[1]).await, clips()[1].len);
        assert_eq!(quick.ended().await.reason, EndReason::Complete);
        // What was not taken has been held back, here and at the server.
        let pulled = slow.stats().await.unwrap().bytes;
        assert!(pulled <= (PIECE * PIECES) as u64 + 4 * (64 << 10), "{pulled} bytes were pulled");
        slow.pause().await.unwrap();
        slow.resume().await.unwrap();
        assert_eq!(take_all(&mut slow, &clips()[0]).await, clips()[0].len);
        assert_eq!(slow.ended().await.reason, EndReason::Complete);
        connection.close(Code::None, "enough").await;
        assert_eq!(connection.closed().await, Why::Local(Code::None));
        let late = connection.ping().await.unwrap_err();
        assert_eq!(late.to_string(), Why::Local(Code::None).to_string());
    });
    assert_eq!(served.closed, [Why::Peer(Code::None, "enough".to_owned())]);
}

async fn take_all(stream: &mut anabranch_driver_smol::client::MediaStream, clip: &Clip) -> u64 {
    let mut at = 0;
    while let Some(piece) = stream.next().await {
        assert_eq!(clip.first_difference(at, &piece.bytes), None, "{} at {at}", clip.name);
        for (part, bytes) in piece.iter() {
            let chunk = u64::from(part.sequence - 1) * (64 << 10);
            assert_eq!(chunk + u64::from(part.offset), at, "{}", clip.name);
            at += bytes.len() as u64;
        }
    }
    at
}

#[test]
fn a_connection_moves_to_another_socket() {
    let ((), served) = with_client(1, |client, target| async move {
        let connection = client.connect(target).await.unwrap();
        let (mut stream, _) = connection.open_media(request("long")).await.unwrap();
        let first = stream.next().await.unwrap();
        assert_eq!(clips()[0].first_difference(0, &first.bytes), None);
        let (before, bytes) = (first.bytes.len() as u64, clips()[0].len);
        connection.rebind(loopback()).await.unwrap();
        let mut at = before;
        while let Some(piece) = stream.next().await {
            assert_eq!(clips()[0].first_difference(at, &piece.bytes), None);
            at += piece.bytes.len() as u64;
        }
        assert_eq!((at, stream.ended().await.reason), (bytes, EndReason::Complete));
        connection.close(Code::None, "").await;
    });
    assert_eq!(served.moved, 1);
}

#[test]
fn a_dropped_handle_closes_what_it_stands_for() {
    let ((), served) = with_client(1, |client, target| async move {
        let connection = client.connect(target).await.unwrap();
        let (stream, _) = connection.open_media(request("long")).await.unwrap();
        drop((client, connection));
        // The stream still keeps the connection.
        stream.connection().ping().await.unwrap();
        drop(stream);
    });
    assert_eq!(served.closed, [Why::Peer(Code::None, String::new())]);
}

#[test]
fn refusals_are_told() {
    let ((), served) = with_client(1, |client, target| async move {
        let connection = client.connect(target).await.unwrap();
        let refused = connection.open_media(request("nothing")).await.unwrap_err();
        assert_eq!(refused, OpenError::Refused(Nack::NoSuchMedia));
        let hello = connection.next_event().await;
        assert!(matches!(hello, Some(Notice::Hello { .. })), "{hello:?}");
    });
    assert_eq!(served.closed.len(), 1);
}
