//! The smol client's transfers, against a server that keeps files in a folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use anabranch_core::files::{
    Accept, End, Ended, Entry, Event as Files, Listed, Offer, Order, Query, Reply, Request, Token,
};
use anabranch_core::{App, Code, ConnId, Endpoint, Event, Instant, SessionId, Why};
use anabranch_driver_mio::Driver;
use anabranch_driver_smol::client::{Connection, News, RequestError, Transfer};
use anabranch_driver_smol::{Client, Clock};
use anabranch_storage::Folder;
use anabranch_tests::cert;
use anabranch_transfers::{
    Buffers, Claims, Desk, Done, Giver, How, Keeper, Out, Receive, Report, Send, Source, Task,
    Worker,
};

use super::conformance::{bind, endpoint, target};

/// A label that makes the server pause the transfer and resume it.
const PAUSE: &str = "pause";

/// Keeps and gives files of a folder, until one connection has come and gone.
struct Server {
    desk: Desk,
    root: PathBuf,
    /// It offers something that nobody asked for, and hears this.
    uncalled: Option<(SessionId, Option<End>)>,
    ended: Vec<Ended>,
    closed: Option<Why>,
}

impl Server {
    fn giver(&self, names: &[String]) -> Box<dyn Worker> {
        let sources = names.iter().map(|name| Source::at(&self.root.join(name), false).unwrap());
        Box::new(Giver::new(sources.collect(), Send::default(), self.desk.buffers()))
    }

    fn on_files(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        key: (ConnId, SessionId),
        event: Files,
    ) {
        match (&event, &mut self.uncalled) {
            (Files::Ended(ended), Some((session, end))) if *session == key.1 => {
                *end = Some(ended.how.clone());
                return;
            }
            (Files::Ended(ended), _) => self.ended.push((**ended).clone()),
            (Files::Offered(offer), _) => {
                let mut conn = endpoint.conn(now, key.0).unwrap();
                let mut files = conn.files(key.1).unwrap();
                if offer.label == "no" {
                    return files.refuse(Code::Denied, "not you").unwrap();
                }
                files.accept(Accept::default()).unwrap();
                if offer.label == PAUSE {
                    files.pause("lunch").unwrap();
                    files.resume().unwrap();
                }
                let disk = Box::new(Folder::new(&self.root));
                let keeper = Keeper::new(disk, Claims::default(), Receive::default());
                return self.desk.begin(key, Box::new(keeper)).unwrap();
            }
            (Files::Requested { token, names }, _) => {
                let giver = self.giver(names);
                let offer = Offer { entries: Some(1), ..Offer::new(*token) };
                let mut conn = endpoint.conn(now, key.0).unwrap();
                conn.files(key.1).unwrap().offer(offer).unwrap();
                return self.desk.begin(key, giver).unwrap();
            }
            (Files::Asked(Query::List { .. }), _) => {
                let entries = vec![Listed::Entry(Entry::file("one", Some(1)))];
                let reply = Reply::Listing { entries, more: false };
                let mut conn = endpoint.conn(now, key.0).unwrap();
                return conn.files(key.1).unwrap().reply(reply).unwrap();
            }
            (Files::Asked(_), _) => {
                return endpoint.conn(now, key.0).unwrap().decline_files(key.1);
            }
            _ => {}
        }
        self.desk.on_event(endpoint, now, key, event);
    }
}

impl App for Server {
    type Command = Done;

    fn on_event(&mut self, endpoint: &mut Endpoint, now: Instant, id: ConnId, event: Event) {
        match event {
            Event::Hello { .. } => {
                let offer = Offer::new(Token([9; 16]));
                let session = endpoint.conn(now, id).unwrap().offer_files(&offer).unwrap();
                self.uncalled = Some((session, None));
            }
            Event::Files(session, event) => self.on_files(endpoint, now, (id, session), event),
            Event::Closed(why) => self.closed = Some(why),
            _ => {}
        }
    }

    fn on_command(&mut self, endpoint: &mut Endpoint, now: Instant, done: Done) {
        self.desk.on_done(endpoint, now, done);
    }

    fn is_done(&self, _: &Endpoint) -> bool {
        self.closed.is_some()
    }
}

/// Runs `user` with a connection to a server of this folder.
fn with_server<F, T>(root: &Path, user: impl FnOnce(Connection) -> F) -> (T, Server)
where
    F: Future<Output = T>,
{
    let sockets = bind("127.0.0.1:0");
    let addr: SocketAddr = sockets.local_addrs().unwrap()[0];
    let identity = cert::self_signed();
    let pin = identity.pin;
    let root = root.to_owned();
    let server = thread::spawn(move || {
        let clock = Clock::start();
        let mut endpoint = endpoint(clock, Some(&identity));
        endpoint.listen(true);
        let (way, inbox) = std::sync::mpsc::channel::<Done>();
        let desk = Desk::new(move |done| drop(way.send(done)));
        let (uncalled, ended, closed) = (None, Vec::new(), None);
        let server = Server { desk, root, uncalled, ended, closed };
        let (mut driver, handle) = Driver::new(clock, endpoint, sockets, server).unwrap();
        thread::spawn(move || {
            for done in inbox {
                // The inbox of the driver is bounded, and this thread may wait.
                if handle.send(done).is_err() {
                    return;
                }
            }
        });
        driver.run().unwrap();
        driver.into_app()
    });
    let clock = Clock::start();
    let (client, driver) = Client::new(clock, endpoint(clock, None), bind("127.0.0.1:0")).unwrap();
    let target = target(addr, client.local_for(addr).unwrap(), pin);
    let driver = smol::spawn(driver);
    let answer = smol::block_on(async {
        let connection = client.connect(target).await.unwrap();
        drop(client);
        let answer = user(connection).await;
        // Every handle is gone by now, and so the driver ends.
        driver.await.unwrap();
        answer
    });
    (answer, server.join().unwrap())
}

/// A folder with files of several pieces, of few bytes, and of none, and one more below it.
fn fill(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let sizes = [("large", 5_000_000), ("empty", 0), ("small", 10), ("deep/er", 70_000)];
    let made = sizes.map(|(name, len)| {
        let path = PathBuf::from("tree").join(name);
        let bytes: Vec<u8> = (0..len).map(|n: u32| (n / 7 % 251) as u8).collect();
        fs::create_dir_all(folder.join(&path).parent().unwrap()).unwrap();
        fs::write(folder.join(&path), &bytes).unwrap();
        (path, bytes)
    });
    made.into()
}

fn check(folder: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        assert!(fs::read(folder.join(path)).unwrap() == *bytes, "{}", path.display());
    }
}

/// Everything that there is to know, to the end.
async fn all(transfer: &Transfer) -> Vec<News> {
    let mut all = Vec::new();
    while let Some(news) = transfer.next().await {
        all.push(news);
    }
    all
}

fn giver(path: &Path, buffers: Buffers) -> Box<dyn Worker> {
    let source = Source::at(path, false).unwrap();
    Box::new(Giver::new(vec![source], Send::default(), buffers))
}

fn offer(label: &str) -> Offer {
    Offer { label: label.to_owned(), ..Offer::new(Token([1; 16])) }
}

#[test]
fn files_are_sent_and_their_server_is_heard() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = fill(here.path());
    let (news, server) = with_server(there.path(), |connection| async move {
        let worker = giver(&here.path().join("tree"), connection.buffers());
        let transfer = connection.offer_files(offer(PAUSE), worker).await.unwrap();
        transfer.set_streams(Some(3)).await.unwrap();
        let news = all(&transfer).await;
        let ended = transfer.ended().await;
        assert_eq!((ended.how, ended.stats.done), (End::Complete, 6));
        assert!(matches!(transfer.stats().await, Err(RequestError::Misuse(_))));
        connection.close(Code::None, "").await;
        news
    });
    check(there.path(), &files);
    let sent = news.iter().filter(|news| matches!(news, News::Report(Report::Sent { .. })));
    assert_eq!(sent.count(), 6);
    let told: Vec<_> = news.iter().filter(|news| !matches!(news, News::Report(_))).collect();
    let paused = News::Paused { reason: "lunch".to_owned() };
    assert_eq!(told, [&News::Accepted, &paused, &News::Resumed]);
    let refused = matches!(server.uncalled, Some((_, Some(End::Peer(Code::Refused, _)))));
    assert!(refused, "{:?}", server.uncalled);
    assert_eq!(server.ended.len(), 1);
}

#[test]
fn files_are_fetched_and_questions_are_answered() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = fill(there.path());
    let root = here.path().to_owned();
    let (news, _) = with_server(there.path(), |connection| async move {
        let query = Query::List { folder: String::new(), after: String::new(), most: 5 };
        let listed = connection.ask_files(query).await.unwrap();
        assert!(matches!(listed, Reply::Listing { entries, more: false } if entries.len() == 1));
        let query = Query::Order { token: Token([1; 16]), order: Order::Pause };
        let refused = connection.ask_files(query).await.unwrap();
        assert!(matches!(refused, Reply::Refused { code: Code::Refused, .. }), "{refused:?}");

        let keeper =
            Keeper::new(Box::new(Folder::new(&root)), Claims::default(), Receive::default());
        let token = Token([2; 16]);
        let request = Request { token, names: vec!["tree".into()], accept: Accept::default() };
        let transfer = connection.request_files(request, Box::new(keeper)).await.unwrap();
        let news = all(&transfer).await;
        assert_eq!(transfer.ended().await.how, End::Complete);
        connection.close(Code::None, "").await;
        news
    });
    check(here.path(), &files);
    assert!(news.contains(&News::Offered { entries: Some(1), bytes: None }), "{news:?}");
    let new = |news: &&News| matches!(news, News::Report(Report::Placed { how: How::New, .. }));
    assert!(news.iter().filter(new).count() >= 4, "{news:?}");
}

#[test]
fn a_refusal_a_cancellation_and_a_dropped_handle_end_a_transfer() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(here.path());
    let path = here.path().join("tree");
    let ((), server) = with_server(there.path(), |connection| async move {
        let worker = |connection: &Connection| giver(&path, connection.buffers());
        let refused = connection.offer_files(offer("no"), worker(&connection)).await.unwrap();
        assert_eq!(all(&refused).await, []);
        let how = refused.ended().await.how;
        assert_eq!(how, End::Peer(Code::Denied, "not you".to_owned()));

        let paused = connection.offer_files(offer(""), worker(&connection)).await.unwrap();
        paused.pause("wait").await.unwrap();
        assert_eq!(paused.next().await, Some(News::Accepted));
        paused.resume().await.unwrap();
        paused.set_limit(Some(1)).await.unwrap();
        paused.cancel(Code::Cancelled, "enough").await.unwrap();
        all(&paused).await;
        assert_eq!(paused.ended().await.how, End::Local(Code::Cancelled));

        let dropped = connection.offer_files(offer(""), worker(&connection)).await.unwrap();
        dropped.set_limit(Some(1)).await.unwrap();
        assert_eq!(dropped.next().await, Some(News::Accepted));
        drop(dropped);
        connection.ping().await.unwrap();
        connection.close(Code::None, "").await;
    });
    let how: Vec<&End> = server.ended.iter().map(|ended| &ended.how).collect();
    let cancelled = |reason: &str| End::Peer(Code::Cancelled, reason.to_owned());
    assert_eq!(how, [&End::Local(Code::Denied), &cancelled("enough"), &cancelled("")]);
}

#[test]
fn a_lost_connection_ends_transfers_and_questions() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(here.path());
    let path = here.path().join("tree");
    with_server(there.path(), |connection| async move {
        let worker = giver(&path, connection.buffers());
        let transfer = connection.offer_files(offer(""), worker).await.unwrap();
        transfer.set_limit(Some(1)).await.unwrap();
        assert_eq!(transfer.next().await, Some(News::Accepted));
        connection.close(Code::None, "").await;
        all(&transfer).await;
        assert_eq!(transfer.ended().await.how, End::ConnectionLost);
        let late = connection.ask_files(Query::Transfers { after: None, most: 1 }).await;
        assert_eq!(late, Err(RequestError::Lost(Why::Local(Code::None))));
    });
}

/// Does nothing but talk, and then panic.
struct Talker;

impl Worker for Talker {
    fn run(&mut self, task: Task, out: &mut dyn FnMut(Out)) {
        if matches!(task, Task::Event(Files::Accepted)) {
            for file in 0..5_000 {
                out(Out::Report(Report::Skipped { file, name: String::new() }));
            }
            panic!("a bug of a worker's");
        }
    }

    fn rest(&mut self, _: &mut dyn FnMut(Out)) {}
}

#[test]
fn no_report_is_lost_and_a_worker_that_dies_ends_its_transfer_alone() {
    let there = tempfile::tempdir().unwrap();
    with_server(there.path(), |connection| async move {
        let transfer = connection.offer_files(offer(""), Box::new(Talker)).await.unwrap();
        // It waits for somebody to listen, and nobody waits for it.
        for _ in 0..10 {
            connection.ping().await.unwrap();
        }
        let reports = all(&transfer).await;
        let numbers: Vec<u32> = reports
            .iter()
            .filter_map(|news| match news {
                News::Report(Report::Skipped { file, .. }) => Some(*file),
                _ => None,
            })
            .collect();
        assert!(numbers.iter().copied().eq(0..5_000), "{} of them", numbers.len());
        assert_eq!(transfer.ended().await.how, End::Local(Code::Internal));
        connection.ping().await.unwrap();
        connection.close(Code::None, "").await;
    });
}
