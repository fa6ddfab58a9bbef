//! `handshakes`: how many connections per second one server accepts, new ones and resumed ones.

use std::time::{Duration, Instant};

use anabranch_core::transport::Target;
use anabranch_core::{App, Code, ConnId, Endpoint, Event, Instant as Now, Why};
use anabranch_driver_mio::Driver;
use bytes::Bytes;

use super::programs::Programs;
use super::report::{Section, table};
use super::samples::Samples;
use super::{Outcome, client, proc, server};

/// Handshakes under way at once.
const AT_ONCE: usize = 8;
/// How long to wait for anything to happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Connects, and closes each connection as soon as it is there.
struct Knocker {
    target: Target,
    /// Keep connections open.
    staying: bool,
    stayed: Option<ConnId>,
    under_way: usize,
    done: usize,
    resumed: usize,
    failed: Option<Why>,
}

impl App for Knocker {
    type Command = ();

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Now, id: ConnId, event: Event) {
        match event {
            Event::Connected { resumed, .. } => self.resumed += usize::from(resumed),
            // Now the server has our last handshake message as well. Closed earlier, the
            // connection would be half-open there until that times out.
            Event::Hello { .. } => {
                self.done += 1;
                self.under_way -= 1;
                if self.staying {
                    self.stayed = Some(id);
                } else if let Ok(mut conn) = endpoint.conn(now, id) {
                    conn.close(Code::None, "");
                }
            }
            Event::Closed(why) if why != Why::Local(Code::None) => {
                self.failed.get_or_insert(why);
            }
            Event::Closed(_) => {}
            Event::Moved(_)
            | Event::GoAway { .. }
            | Event::Pong { .. }
            | Event::Listing(_)
            | Event::Media(..)
            | Event::Files(..) => {}
        }
    }

    fn on_command(&mut self, _: &mut Endpoint, _: Now, (): ()) {}

    fn is_done(&self, _: &Endpoint) -> bool {
        false
    }
}

#[derive(Default)]
struct Row {
    rate: Samples,
    client: Samples,
    server: Samples,
}

/// Measures, and makes a table of it.
///
/// # Errors
/// The server fails, or a handshake does.
pub fn run(programs: &Programs, runs: usize, count: usize) -> Outcome<Section> {
    super::play::prepare(programs, "idle.bin", 1 << 20)?;
    let (server, port) = server::start(programs, "media/idle.bin", &["--retry", "never"])?;
    let knocker = Knocker {
        target: client::target(([127, 0, 0, 1], 0).into(), port),
        staying: false,
        stayed: None,
        under_way: 0,
        done: 0,
        resumed: 0,
        failed: None,
    };
    let (mut driver, local) = client::start(knocker)?;
    driver.parts_mut().1.target.local = local;
    let ticket = ticket(&mut driver)?;
    let mut rows = [Row::default(), Row::default()];
    let mut noisy = 0;
    for _ in 0..runs {
        for (row, ticket) in rows.iter_mut().zip([None, Some(ticket.clone())]) {
            noisy += usize::from(!proc::wait_for_quiet()?);
            measure(&mut driver, server.pid(), ticket, count, row)?;
        }
    }
    let names = ["full", "resumed"];
    let show = |(name, row): (&str, &Row)| {
        vec![name.to_owned(), row.rate.show(0), row.client.show(0), row.server.show(0)]
    };
    let head = ["handshake", "per second", "client CPU us", "server CPU us"];
    let mut text = table(&head, &names.into_iter().zip(&rows).map(show).collect::<Vec<_>>());
    if noisy > 0 {
        text.push_str(&format!("\nBefore {noisy} runs the machine did not become quiet.\n"));
    }
    let title =
        format!("handshakes: {count}, {AT_ONCE} at once, median (lowest..highest) of {runs} runs");
    Ok(Section { title, text })
}

fn measure(
    driver: &mut Driver<Knocker>,
    server: u32,
    ticket: Option<Bytes>,
    count: usize,
    row: &mut Row,
) -> Outcome<()> {
    let me = std::process::id();
    let resumes = ticket.is_some();
    driver.parts_mut().1.target.ticket = ticket;
    let before = (proc::cpu(me)?, proc::cpu(server)?, driver.parts_mut().1.resumed);
    let start = Instant::now();
    knock(driver, count)?;
    let seconds = start.elapsed().as_secs_f64();
    let resumed = driver.parts_mut().1.resumed - before.2;
    if resumed != if resumes { count } else { 0 } {
        return Err(format!("{resumed} of {count} handshakes were resumed").into());
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    row.rate.push(count as f64 / seconds);
    row.client.push(each(proc::cpu(me)? - before.0));
    row.server.push(each(proc::cpu(server)? - before.1));
    Ok(())
}

/// Makes so many connections.
fn knock(driver: &mut Driver<Knocker>, count: usize) -> Outcome<()> {
    let end = Instant::now() + PATIENCE;
    let goal = driver.parts_mut().1.done + count;
    let mut left = count;
    while driver.parts_mut().1.done < goal {
        let now = driver.now();
        let (endpoint, knocker) = driver.parts_mut();
        while left > 0 && knocker.under_way < AT_ONCE {
            endpoint.connect(now, &knocker.target)?;
            knocker.under_way += 1;
            left -= 1;
        }
        if let Some(why) = &knocker.failed {
            return Err(format!("a handshake failed with {left} left: {why}").into());
        }
        if Instant::now() > end {
            return Err(format!("after half a minute {left} handshakes are left").into());
        }
        driver.turn(Some(Duration::from_millis(20)))?;
    }
    Ok(())
}

/// A ticket of a connection that stays for as long as it takes to get one.
fn ticket(driver: &mut Driver<Knocker>) -> Outcome<Bytes> {
    driver.parts_mut().1.staying = true;
    knock(driver, 1)?;
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        driver.turn(Some(Duration::from_millis(5)))?;
        let now = driver.now();
        let (endpoint, knocker) = driver.parts_mut();
        let id = knocker.stayed.ok_or("the first connection did not stay")?;
        let mut conn = endpoint.conn(now, id)?;
        if let Some(ticket) = conn.ticket() {
            conn.close(Code::None, "");
            knocker.staying = false;
            return Ok(ticket);
        }
    }
    Err("the server gives no ticket".into())
}
