//! Hundreds of sessions on a few connections.

use anabranch_core::media::{EndReason, Pace, Request};
use anabranch_core::transport::quic::{self, QuicConfig};
use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::{Code, Config, Endpoint, Seed};
use anabranch_driver_smol::client::Connection;
use anabranch_driver_smol::{Client, Clock, SocketOptions, Sockets};

use super::{end, only, show};
use crate::common::World;

const CONNECTIONS: u64 = 5;
const SESSIONS: u64 = 60;

/// Plays session after session, every third with a pause, every fifth not to its end.
async fn play(connection: Connection) -> (u64, u64) {
    let (mut complete, mut left) = (0, 0);
    for number in 0..SESSIONS {
        let request = Request { pace: Pace::Unpaced, ..Request::default() };
        let (mut stream, _) = connection.open_media(request).await.unwrap();
        let early = number % 5 == 4;
        // The session may be over before it is told to pause.
        let paused = number % 3 == 2 && stream.pause().await.is_ok();
        if paused {
            let _over = stream.resume().await;
        }
        if early {
            stream.next().await.unwrap();
            drop(stream);
            left += 1;
            continue;
        }
        while stream.next().await.is_some() {}
        assert_eq!(stream.ended().await.reason, EndReason::Complete);
        complete += 1;
    }
    connection.close(Code::None, "").await;
    (complete, left)
}

fn client() -> (Client, impl Future<Output = std::io::Result<()>> + Send) {
    let clock = Clock::start();
    let config = Config { epoch: clock.epoch(), ..Config::default() };
    let stack = quic::stack(QuicConfig::default(), &Seed::from_u64(1)).unwrap();
    let sockets = Sockets::bind(&["127.0.0.1:0".parse().unwrap()], SocketOptions::default());
    Client::new(clock, Endpoint::new(config, stack), sockets.unwrap()).unwrap()
}

#[test]
fn hundreds_of_sessions_replay() {
    let world = World::new();
    world.run("gen media --size 200KB").expect(0, &[]);
    let server = world.serve("--media media --trace traces --chunk 8KiB");
    let port = server.port;
    let (client, driver) = client();
    let (complete, left) = smol::block_on(async {
        let driver = smol::spawn(driver);
        let mut players = Vec::new();
        for _ in 0..CONNECTIONS {
            let remote = ([127, 0, 0, 1], port).into();
            let target = Target {
                remote,
                local: client.local_for(remote).unwrap(),
                server_name: "localhost".to_owned(),
                trust: Trust::Any,
                offered: Offered::V1,
                ticket: None,
            };
            players.push(smol::spawn(play(client.connect(target).await.unwrap())));
        }
        let mut sums = (0, 0);
        for player in players {
            let (complete, left) = player.await;
            sums = (sums.0 + complete, sums.1 + left);
        }
        drop(client);
        driver.await.unwrap();
        sums
    });
    assert_eq!((complete, left), (CONNECTIONS * SESSIONS * 4 / 5, CONNECTIONS * SESSIONS / 5));
    end(server);
    let served = show(&only(&world.path("traces")));
    let stats = world.run(&format!("trace stats {served}")).expect(0, &[]).out();
    let sessions = stats.lines().filter(|line| line.starts_with("  m")).count();
    assert_eq!(sessions as u64, CONNECTIONS * SESSIONS, "{stats}");
    world.run(&format!("trace replay {served}")).expect(0, &["identical"]);
}
