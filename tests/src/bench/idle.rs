//! `idle`: how much memory a connection takes on which one session is open and paused.

use std::time::{Duration, Instant};

use anabranch_core::media::{self, Pulled, Request};
use anabranch_core::transport::Target;
use anabranch_core::{App, ConnId, Endpoint, Event, Instant as Now, Misuse, SessionId, Why};
use anabranch_driver_mio::Driver;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::programs::{Programs, number};
use super::report::{Section, table};
use super::{Outcome, client, proc, server};

/// Connections on their way at once: fewer than the half-open ones a server allows an address.
const WAVE: usize = 32;
/// How long connections stand still before memory is looked at, and CPU time is counted.
const STILL: Duration = Duration::from_secs(10);
/// How long one wave may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// A file of at least this size, so that no session is at its end before it is paused.
const MEDIA: u64 = 16 << 20;

/// Many viewers, each of which pauses at once.
struct Crowd {
    target: Target,
    /// Connections that have been started.
    started: usize,
    /// Those that have a session, which has been told to pause.
    paused: usize,
    lost: Option<Why>,
    buf: Vec<u8>,
}

impl Crowd {
    fn media(
        &mut self,
        endpoint: &mut Endpoint,
        now: Now,
        (conn, id): (ConnId, SessionId),
        event: &media::Event,
    ) -> Result<(), Misuse> {
        match event {
            media::Event::Opened(_) => {
                endpoint.conn(now, conn)?.media(id)?.pause()?;
                self.paused += 1;
            }
            media::Event::Readable => {
                let mut conn = endpoint.conn(now, conn)?;
                let mut media = conn.media(id)?;
                while let Pulled::Bytes { .. } = media.pull(&mut self.buf)? {}
            }
            media::Event::Refused(_)
            | media::Event::Wanted { .. }
            | media::Event::Paused
            | media::Event::Resumed { .. }
            | media::Event::Ended(_) => {}
        }
        Ok(())
    }
}

impl App for Crowd {
    type Command = ();

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Now, conn: ConnId, event: Event) {
        let done = match event {
            Event::Connected { .. } => endpoint
                .conn(now, conn)
                .and_then(|mut conn| conn.open_media(Request::default()))
                .map(drop),
            Event::Media(id, event) => self.media(endpoint, now, (conn, id), &event),
            Event::Closed(why) => {
                self.lost.get_or_insert(why);
                Ok(())
            }
            Event::Hello { .. }
            | Event::Moved(_)
            | Event::GoAway { .. }
            | Event::Pong { .. }
            | Event::Listing(_)
            | Event::Files(..) => Ok(()),
        };
        if let Err(misuse) = done {
            log::debug!("{conn}: {misuse}");
        }
    }

    fn on_command(&mut self, _: &mut Endpoint, _: Now, (): ()) {}

    fn is_done(&self, _: &Endpoint) -> bool {
        false
    }
}

/// What a number of connections took.
struct Taken {
    server: u64,
    client: u64,
    /// Of one core, while nothing happened but heartbeats.
    busy: Option<f64>,
}

/// Measures, and makes a table of it.
///
/// # Errors
/// A program fails, or a connection is lost.
pub fn run(programs: &Programs, connections: usize) -> Outcome<Section> {
    allow_open_files(connections as u64 + 256)?;
    super::play::prepare(programs, "idle.bin", MEDIA)?;
    let ours = anabranch(programs, connections)?;
    let bare = bare(programs, connections)?;
    let row = |name: &str, taken: &Taken| {
        let each = |bytes: u64| format!("{:.1}", bytes as f64 / connections as f64 / 1024.0);
        let busy = taken.busy.map_or_else(String::new, |busy| format!("{:.1} %", busy * 100.0));
        vec![name.to_owned(), each(taken.server), each(taken.client), busy]
    };
    let head = ["program", "server KiB each", "client KiB each", "server CPU (of one core)"];
    let rows =
        [row("anabranch, one paused session", &ours), row("plain quiche, one used stream", &bare)];
    let text = table(&head, &rows)
        + "\nMemory is what is resident, after less before; the client is one process with all \
           connections. CPU time is what heartbeats and keep-alives take.\n";
    Ok(Section { title: format!("idle: {connections} connections at once"), text })
}

/// Each session may hold its file open.
fn allow_open_files(count: u64) -> Outcome<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    limit.current = Some(count);
    limit.maximum = limit.maximum.map(|maximum| maximum.max(count));
    setrlimit(Resource::Nofile, limit)
        .map_err(|error| format!("{count} files cannot be open at once: {error}").into())
}

fn anabranch(programs: &Programs, connections: usize) -> Outcome<Taken> {
    let most = connections + WAVE;
    let flags = ["--pacing", "on", "--max-connections", &most.to_string()];
    let (server, port) = server::start(programs, "media/idle.bin", &flags)?;
    let me = std::process::id();
    let crowd = Crowd {
        target: client::target(([127, 0, 0, 1], 0).into(), port),
        started: 0,
        paused: 0,
        lost: None,
        buf: vec![0; 64 << 10],
    };
    let (mut driver, local) = client::start(crowd)?;
    driver.parts_mut().1.target.local = local;
    // The first one pays for what is set up once.
    gather(&mut driver, 1)?;
    let before = (proc::resident(server.pid())?, proc::resident(me)?);
    gather(&mut driver, connections + 1)?;
    rest(&mut driver)?;
    let (cpu, since) = (proc::cpu(server.pid())?, Instant::now());
    rest(&mut driver)?;
    let busy = (proc::cpu(server.pid())? - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    Ok(Taken {
        server: proc::resident(server.pid())?.saturating_sub(before.0),
        client: proc::resident(me)?.saturating_sub(before.1),
        busy: Some(busy),
    })
}

/// Connects until so many have paused.
fn gather(driver: &mut Driver<Crowd>, connections: usize) -> Outcome<()> {
    let mut end = Instant::now() + PATIENCE;
    let mut reached = 0;
    loop {
        let now = driver.now();
        let (endpoint, crowd) = driver.parts_mut();
        if let Some(why) = &crowd.lost {
            return Err(format!("a connection is lost after {}: {why}", crowd.paused).into());
        }
        while crowd.started < connections && crowd.started - crowd.paused < WAVE {
            endpoint.connect(now, &crowd.target)?;
            crowd.started += 1;
        }
        if crowd.paused >= connections {
            return Ok(());
        }
        if crowd.paused > reached {
            reached = crowd.paused;
            end = Instant::now() + PATIENCE;
        }
        if Instant::now() > end {
            return Err(format!("no more than {reached} connections come about").into());
        }
        driver.turn(Some(Duration::from_millis(20)))?;
    }
}

fn rest(driver: &mut Driver<Crowd>) -> Outcome<()> {
    let end = Instant::now() + STILL;
    while Instant::now() < end {
        driver.turn(Some(Duration::from_millis(20)))?;
    }
    match &driver.parts_mut().1.lost {
        Some(why) => Err(format!("a connection is lost while it is idle: {why}").into()),
        None => Ok(()),
    }
}

fn bare(programs: &Programs, connections: usize) -> Outcome<Taken> {
    let (server, port) = programs.serve("bare_quiche", &["server"])?;
    let mut command = programs.command("bare_quiche");
    command.args(["idle", "--port", &port.to_string()]);
    command.args(["--connections", &connections.to_string()]);
    command.args(["--server-pid", &server.pid().to_string()]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let bytes = |key| number(&text, key).ok_or("plain quiche gives no numbers");
    let (server, client) = (bytes("server_bytes")?, bytes("client_bytes")?);
    Ok(Taken { server: server as u64, client: client as u64, busy: None })
}
