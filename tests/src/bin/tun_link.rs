//! A slow and lossy link between two network namespaces, for real programs over real sockets.
//!
//! ```text
//! tun_link --a NETNS:INTERFACE --b NETNS:INTERFACE [--mbit 100] [--rtt-ms 50]
//!          [--loss-percent 1] [--queue-bytes 625000] [--seed 1]
//! ```
//!
//! Carries the packets of two TUN interfaces, each direction over an emulated link of its own
//! (`anabranch_tests::link`): rate, queue, half of the round-trip time, and loss of one packet at
//! a time, never of a batch that was sent with segmentation offload. Writes `ready` when it
//! begins. Ends when its standard input does, and writes what the links have done.

use std::error::Error;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{self, Duration};

use anabranch_core::Instant;
use anabranch_core::rng::Seed;
use anabranch_tests::bench::args::Args;
use anabranch_tests::link::{Link, LinkConfig, Ratio};
use anabranch_tests::tun::Tun;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// One direction: packets that come out of this link go to the other end's interface.
struct End {
    tun: Tun,
    link: Link<()>,
}

fn main() -> Outcome<()> {
    let args = Args::from_env();
    let config = config(&args)?;
    let seed = Seed::from_u64(args.get("seed", 1)?);
    let end = |name: &str| -> Outcome<End> {
        let place = args.value(name).and_then(|place| place.split_once(':'));
        let (netns, interface) = place.ok_or_else(|| format!("--{name} NETNS:INTERFACE"))?;
        let link = Link::new(config.clone(), seed.stream(name));
        Ok(End { tun: Tun::open(netns, interface)?, link })
    };
    let (mut a, mut b) = (end("a")?, end("b")?);
    println!("ready");
    io::stdout().flush()?;
    carry(&mut a, &mut b)?;
    for (name, end) in [("a", a), ("b", b)] {
        let counts = end.link.counts();
        let (sent, lost, full) = (counts.sent, counts.lost, counts.overflowed);
        println!("from {name}: {sent} packets, {lost} lost, {full} met a full queue");
    }
    Ok(())
}

fn config(args: &Args) -> Outcome<LinkConfig> {
    let mbit: u64 = args.get("mbit", 100)?;
    let rtt_ms: u64 = args.get("rtt-ms", 50)?;
    let loss_percent: f64 = args.get("loss-percent", 1.0)?;
    let bytes_per_second = mbit * 1_000_000 / 8;
    if mbit == 0 || !(0.0..=100.0).contains(&loss_percent) {
        return Err("a link has a rate, and loses 0 to 100 per cent".into());
    }
    Ok(LinkConfig {
        latency: Duration::from_micros(rtt_ms * 500),
        loss: Ratio { num: (loss_percent * 10_000.0) as u64, den: 1_000_000 },
        bytes_per_second: Some(bytes_per_second),
        queue_bytes: args.get("queue-bytes", bytes_per_second * rtt_ms.max(1) / 1_000)?,
        ..LinkConfig::default()
    })
}

/// Until standard input ends.
fn carry(a: &mut End, b: &mut End) -> Outcome<()> {
    let start = time::Instant::now();
    let now = || Instant::ZERO + start.elapsed();
    loop {
        take(a, now())?;
        take(b, now())?;
        deliver(&mut a.link, &mut b.tun, now())?;
        deliver(&mut b.link, &mut a.tun, now())?;
        let next = a.link.next().into_iter().chain(b.link.next()).min();
        if wait([a.tun.as_fd(), b.tun.as_fd()], next.map(|next| next.since(now())))? {
            return Ok(());
        }
    }
}

/// Everything that one end's system has sent.
fn take(end: &mut End, now: Instant) -> Outcome<()> {
    while let Some(packet) = end.tun.receive()? {
        end.link.send(now, (), None, packet.to_vec());
    }
    Ok(())
}

/// Everything that has arrived at the other end.
fn deliver(link: &mut Link<()>, to: &mut Tun, now: Instant) -> Outcome<()> {
    while let Some(packet) = link.poll(now) {
        to.send(&packet.bytes)?;
    }
    Ok(())
}

/// Sleeps until there is something to do. `true`: standard input has ended.
fn wait(tuns: [BorrowedFd<'_>; 2], time: Option<Duration>) -> Outcome<bool> {
    let stdin = io::stdin();
    let [a, b] = tuns.map(|tun| PollFd::from_borrowed_fd(tun, PollFlags::IN));
    let mut fds = [a, b, PollFd::new(&stdin, PollFlags::IN)];
    let time = time.map(Timespec::try_from).transpose()?;
    match poll(&mut fds, time.as_ref()) {
        Ok(_) => Ok(!fds[2].revents().is_empty()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
