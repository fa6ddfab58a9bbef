//! `anabranch ping`.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use smol::Timer;

use crate::cli::client::Ping;
use crate::dial::{self, Executor, Interrupts, Link};
use crate::exit::Failure;
use crate::report::Report;
use crate::signals::Signal;

/// Round trips so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Times {
    count: u32,
    least: Option<Duration>,
    most: Duration,
    sum: Duration,
}

impl Times {
    fn add(&mut self, rtt: Duration) {
        self.count += 1;
        self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
        self.most = self.most.max(rtt);
        self.sum += rtt;
    }

    fn average(&self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }

    fn least(&self) -> Duration {
        self.least.unwrap_or_default()
    }
}

/// Measures round trips until they are enough, or until it is interrupted.
///
/// # Errors
/// Whatever is in the way.
pub async fn run(
    args: &Ping,
    report: &Arc<Report>,
    interrupts: &Interrupts,
    executor: &Executor,
) -> Result<(), Failure> {
    let link = dial::dial(&args.server, report, interrupts, executor).await?;
    let mut times = Times::default();
    let stop = async { Ok(interrupts.recv().await.ok()) };
    let work = async {
        rounds(args, report, &link, &mut times).await?;
        Ok(None)
    };
    let outcome: Result<Option<Signal>, Failure> = smol::future::or(stop, work).await;
    if times.count > 0 {
        summary(report, &link, &times)?;
    }
    link.close().await;
    match outcome? {
        // Ctrl-C is how a ping without end is ended.
        Some(signal) if times.count == 0 || args.count > 0 => Err(dial::interrupted(signal)),
        Some(_) | None => Ok(()),
    }
}

async fn rounds(
    args: &Ping,
    report: &Report,
    link: &Link,
    times: &mut Times,
) -> Result<(), Failure> {
    let mut at = Instant::now();
    for seq in 1.. {
        let rtt = link.connection.ping().await;
        let rtt = rtt.map_err(|error| dial::request(&error, &link.name))?;
        times.add(rtt);
        report.event("pong", json!({"seq": seq, "rtt_us": micros(rtt)}));
        say(report, &format!("answer from {}: seq={seq} time={}\n", link.name, show(rtt)))?;
        if seq == args.count {
            break;
        }
        at += args.interval;
        Timer::at(at).await;
    }
    Ok(())
}

fn summary(report: &Report, link: &Link, times: &Times) -> Result<(), Failure> {
    let (least, average, most) = (times.least(), times.average(), times.most);
    report.event(
        "summary",
        json!({
            "count": times.count, "min_us": micros(least), "avg_us": micros(average),
            "max_us": micros(most),
        }),
    );
    let (name, count) = (&link.name, times.count);
    let range = format!("{}/{}/{}", show(least), show(average), show(most));
    say(report, &format!("--- {name}: {count} answers, round trip min/avg/max {range}\n"))
}

fn say(report: &Report, text: &str) -> Result<(), Failure> {
    if report.is_json() {
        return Ok(());
    }
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|error| Failure::writing("standard output", &error))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn show(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up() {
        let mut times = Times::default();
        assert_eq!((times.least(), times.average()), (Duration::ZERO, Duration::ZERO));
        for millis in [3, 1, 2] {
            times.add(Duration::from_millis(millis));
        }
        let [one, two, three] = [1, 2, 3].map(Duration::from_millis);
        assert_eq!((times.least(), times.average(), times.most), (one, two, three));
    }
}
