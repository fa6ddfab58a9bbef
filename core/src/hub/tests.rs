use super::*;
use crate::session::media::PausePolicy;

fn entry(name: &str, bitrate: Option<u32>) -> (MediaId, Entry) {
    let id = MediaId(name.len() as u32);
    (id, Entry { name: name.into(), size: Some(100_000), bitrate, kind: String::new() })
}

fn hub() -> Hub {
    let mut hub = Hub::default();
    let entries = vec![entry("b", Some(1_411_200)), entry("ccc", None)];
    hub.set_catalogue(entries, None).unwrap();
    hub
}

fn ask(request: Request) -> Result<Grant, Nack> {
    let open = OpenStream { request, ..OpenStream::default() };
    hub().grant(&open, &MediaPolicy::default()).map(|(_, grant)| grant)
}

fn any() -> Request {
    Request::default()
}

#[test]
fn a_catalogue_with_a_fault_is_refused_and_the_old_one_stays() {
    let mut hub = hub();
    let long = "n".repeat(limits::MAX_NAME + 1);
    let mut kind = entry("k", None);
    kind.1.kind = "k".repeat(limits::MAX_KIND + 1);
    let many = (0..=limits::MAX_CATALOGUE).map(|n| entry(&n.to_string(), None)).collect();
    let faults = [
        (vec![entry("", None)], None),
        (vec![entry("a", None), entry("a", None)], None),
        (vec![entry("a", None)], Some("b")),
        (vec![entry(&long, None)], None),
        (vec![kind], None),
        (many, None),
    ];
    for (entries, default) in faults {
        assert!(hub.set_catalogue(entries, default).is_err());
        assert_eq!(hub.page(None, 9).0.len(), 2);
    }
    hub.set_catalogue(vec![entry("x", None), entry("y", None)], Some("y")).unwrap();
    let grant =
        hub.grant(&OpenStream { request: any(), ..OpenStream::default() }, &MediaPolicy::default());
    assert_eq!(grant.unwrap().1.name.as_deref(), Some("y"));
}

#[test]
fn pages_are_in_order_of_name_and_say_where_the_next_one_starts() {
    let mut hub = Hub::default();
    assert_eq!(hub.page(None, 2), (vec![], None));
    let names = ["d", "a", "c", "b"];
    hub.set_catalogue(names.iter().map(|name| entry(name, None)).collect(), None).unwrap();
    let names = |page: (Vec<Entry>, Option<String>)| {
        let names: Vec<String> = page.0.into_iter().map(|entry| entry.name).collect();
        (names.concat(), page.1)
    };
    assert_eq!(names(hub.page(None, 2)), ("ab".into(), Some("b".into())));
    assert_eq!(names(hub.page(Some("b"), 2)), ("cd".into(), None));
    assert_eq!(names(hub.page(Some("bb"), 1)), ("c".into(), Some("c".into())));
    assert_eq!(names(hub.page(Some("d"), 2)), (String::new(), None));
}

#[test]
fn the_bitrate_rule() {
    let policy = MediaPolicy { max_bitrate: 1_000_000, ..MediaPolicy::default() };
    let rate = |bitrates: &[u32], name: &str| {
        let request =
            Request { bitrates: bitrates.to_vec(), name: Some(name.into()), ..Request::default() };
        let open = OpenStream { request, ..OpenStream::default() };
        hub().grant(&open, &policy).unwrap().1.bitrate
    };
    assert_eq!(rate(&[500_000, 900_000, 2_000_000], "b"), 900_000, "highest allowed");
    assert_eq!(rate(&[3_000_000, 2_000_000], "b"), 1_000_000, "all above");
    assert_eq!(rate(&[0], "b"), 1_000_000, "nought is no offer");
    assert_eq!(rate(&[], "b"), 1_000_000, "the entry's own, capped");
    assert_eq!(rate(&[], "ccc"), 500_000, "unknown: the default");
    assert_eq!(ask(any()).unwrap().bitrate, 1_411_200, "a CD plays in real time by default");
}

#[test]
fn chunk_keepalive_and_timeout_are_bounded_on_both_sides() {
    let grant = |chunk, keepalive, timeout| {
        let request = Request {
            max_chunk: Some(chunk),
            keepalive: Some(keepalive),
            timeout: Some(timeout),
            ..Request::default()
        };
        let grant = ask(request).unwrap();
        (grant.chunk, grant.keepalive, grant.timeout)
    };
    assert_eq!(grant(0, 0, 0), (limits::MIN_CHUNK, 1, 2));
    assert_eq!(grant(u32::MAX, u32::MAX, u32::MAX), (65_536, 5, 30));
    assert_eq!(grant(10_000, 3, 4), (10_000, 3, 6));
    let wild = MediaPolicy {
        max_chunk: u32::MAX,
        keepalive: u32::MAX,
        timeout: 0,
        max_bitrate: 0,
        ..MediaPolicy::default()
    };
    let open = OpenStream { request: any(), ..OpenStream::default() };
    let grant = hub().grant(&open, &wild).unwrap().1;
    assert_eq!((grant.chunk as usize, grant.bitrate), (limits::MAX_WANTED, 1));
    assert_eq!((grant.keepalive, grant.timeout), (u32::MAX, u32::MAX));
}

#[test]
fn every_refusal_has_its_code() {
    let open = |encryption, delivery| {
        let open = OpenStream { request: any(), encryption, delivery };
        hub().grant(&open, &MediaPolicy::default()).map(drop)
    };
    assert_eq!(open(0, 0), Ok(()));
    assert_eq!(open(1, 0), Ok(()));
    assert_eq!(open(2, 0), Err(Nack::UnsupportedEncryption));
    assert_eq!(open(0, 1), Err(Nack::MulticastUnsupported));
    assert_eq!(open(0, 2), Err(Nack::MulticastUnsupported));
    let codec = Request { codec: String::new(), ..any() };
    assert_eq!(ask(codec), Err(Nack::UnsupportedCodec));
    let name = Request { name: Some("zzz".into()), ..any() };
    assert_eq!(ask(name), Err(Nack::NoSuchMedia));
    let empty = Hub::default()
        .grant(&OpenStream { request: any(), ..OpenStream::default() }, &MediaPolicy::default());
    assert_eq!(empty.map(drop), Err(Nack::NoSuchMedia));
}

#[test]
fn a_start_is_a_place_in_the_media() {
    let start = |start| {
        let request = Request { start, max_chunk: Some(10_000), ..any() };
        ask(request).map(|grant| grant.start)
    };
    assert_eq!(start(Start::Beginning), Ok(0));
    assert_eq!(start(Start::Sequence(1)), Ok(0));
    assert_eq!(start(Start::Sequence(4)), Ok(30_000));
    assert_eq!(start(Start::Sequence(11)), Ok(100_000), "the end itself");
    assert_eq!(start(Start::Sequence(12)), Err(Nack::StartOutOfRange));
    assert_eq!(start(Start::Byte(12_345)), Ok(12_345));
    assert_eq!(start(Start::Byte(100_000)), Ok(100_000));
    assert_eq!(start(Start::Byte(100_001)), Err(Nack::StartOutOfRange));
}

#[test]
fn pacing_is_the_clients_choice_unless_the_policy_says() {
    let pace = |pacing, pace| {
        let policy = MediaPolicy { pacing, ..MediaPolicy::default() };
        let request = Request { pace, pause: PausePolicy::Live, ..any() };
        let open = OpenStream { request, ..OpenStream::default() };
        let grant = hub().grant(&open, &policy).unwrap().1;
        assert_eq!(grant.pause, PausePolicy::Live);
        grant.pace
    };
    for asked in [Pace::Bitrate, Pace::Unpaced] {
        assert_eq!(pace(Pacing::ByClient, asked), asked);
        assert_eq!(pace(Pacing::On, asked), Pace::Bitrate);
        assert_eq!(pace(Pacing::Off, asked), Pace::Unpaced);
    }
}
