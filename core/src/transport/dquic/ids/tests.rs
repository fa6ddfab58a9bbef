use super::*;
use crate::rng::Seed;

const LIMIT: u64 = limits::ACTIVE_CONNECTION_IDS;

fn own() -> OwnIds {
    let seed = Seed::from_u64(1);
    let tokens = Tokens::new(&[3; 32], &seed);
    OwnIds::new(ConnId { slot: 1, generation: 2 }, Cids::new(0, &seed), tokens)
}

fn tell(ids: &mut OwnIds) -> Vec<u32> {
    std::iter::from_fn(|| {
        let (sequence, frame) = ids.untold()?;
        let Frame::NewConnectionId { cid, token, .. } = frame else { panic!("{frame:?}") };
        assert_eq!(ids.sequence(cid.as_slice()), Some(sequence));
        assert_eq!(token, ids.tokens.reset(cid.as_slice()));
        ids.told(sequence);
        Some(sequence)
    })
    .collect()
}

fn peer_id(n: u8) -> PeerId {
    PeerId { cid: CidBytes::new(&[n; 8]).unwrap(), token: Some([n; 16]) }
}

fn peer(spares: u64) -> PeerIds {
    let mut ids = PeerIds::new(peer_id(0).cid);
    for n in 1..=spares {
        ids.add(n, 0, peer_id(u8::try_from(n).unwrap())).unwrap();
    }
    ids
}

#[test]
fn the_peer_is_supplied_with_as_many_ids_as_it_keeps() {
    for (keeps, spares) in [(2, 1), (5, 4), (LIMIT, LIMIT - 1), (1 << 60, LIMIT - 1)] {
        let mut ids = own();
        assert_eq!(tell(&mut ids), []);
        ids.supply(keeps);
        assert_eq!(tell(&mut ids).len() as u64, spares);
        assert_eq!(tell(&mut ids), []);
    }
}

#[test]
fn a_retired_id_is_replaced_once() {
    let mut ids = own();
    ids.supply(4);
    assert_eq!(tell(&mut ids), [1, 2, 3]);
    ids.retired(2, Some(0)).unwrap();
    ids.retired(2, Some(0)).unwrap();
    assert_eq!(tell(&mut ids), [4]);
    // What was lost is said again, unless it means nothing any more.
    ids.lost(3);
    ids.lost(2);
    assert_eq!(tell(&mut ids), [3]);
    assert_eq!(ids.retired(5, Some(0)), Err(TransportError::ProtocolViolation), "never issued");
    assert_eq!(ids.retired(3, Some(3)), Err(TransportError::ProtocolViolation), "in use");
    assert_eq!(ids.retired(1 << 40, Some(0)), Err(TransportError::ProtocolViolation));
}

#[test]
fn only_ids_that_were_issued_are_ours() {
    let mut ids = own();
    let next = ids.cid(1);
    assert_eq!(ids.sequence(ids.first().as_slice()), Some(0));
    assert_eq!(ids.sequence(next.as_slice()), None);
    ids.supply(2);
    assert_eq!(ids.sequence(next.as_slice()), Some(1));
    assert_eq!(ids.sequence(&[0; 17]), None);
    let other = ids.cids.encode(ConnId { slot: 9, generation: 9 }, 0);
    assert_eq!(ids.sequence(&other), None);
}

#[test]
fn each_move_takes_an_id_and_gives_one_back() {
    let mut ids = peer(2);
    for n in 1..=2 {
        assert!(ids.advance());
        assert_eq!(ids.current(), peer_id(n));
    }
    assert!(!ids.advance(), "there is none left");
    assert_eq!(ids.current(), peer_id(2));
    assert_eq!(ids.untold(), Some(0));
    ids.told(0);
    ids.told(1);
    assert_eq!(ids.untold(), None);
    ids.lost(1);
    assert_eq!(ids.untold(), Some(1));
    ids.told(1);
    ids.acked(1);
    ids.lost(1);
    assert_eq!(ids.untold(), None, "it has arrived");
    // A late repeat of an id that was given back means nothing.
    ids.add(1, 0, peer_id(1)).unwrap();
    assert!(!ids.advance());
}

#[test]
fn the_peer_may_ask_for_its_ids_back() {
    let mut ids = peer(3);
    ids.add(4, 3, peer_id(4)).unwrap();
    assert_eq!(ids.current(), peer_id(3));
    assert_eq!(ids.untold.iter().copied().collect::<Vec<_>>(), [0, 1, 2]);
    // An id that is asked back before it comes is given back at once.
    let mut ids = peer(0);
    ids.add(5, 5, peer_id(5)).unwrap();
    ids.add(3, 0, peer_id(3)).unwrap();
    assert_eq!(ids.current(), peer_id(5));
    assert!(ids.untold.contains(&3), "it is below what was asked back");
}

#[test]
fn ids_that_cannot_be() {
    let mut ids = peer(LIMIT - 1);
    ids.add(1, 0, peer_id(1)).expect("a repeat");
    assert_eq!(ids.add(1, 0, peer_id(9)), Err(TransportError::ProtocolViolation));
    let one_more = ids.add(LIMIT, 0, peer_id(50));
    assert_eq!(one_more, Err(TransportError::ConnectionIdLimit));
}

#[test]
fn ids_that_are_given_back_are_bounded() {
    // Nobody acknowledges that they were given back.
    let mut ids = peer(0);
    let error = (1..1_000).find_map(|n| ids.add(n, n, peer_id(1)).err());
    assert_eq!(error, Some(TransportError::ConnectionIdLimit));
    assert!(ids.untold.len() <= limits::MAX_RETIRING_IDS + 1);
    // Gaps in the numbers, acknowledged or not.
    let mut ids = peer(0);
    let error = (1..1_000).find_map(|n| {
        while let Some(sequence) = ids.untold() {
            ids.told(sequence);
            ids.acked(sequence);
        }
        ids.add(2 * n, 2 * n, peer_id(1)).err()
    });
    assert_eq!(error, Some(TransportError::ConnectionIdLimit));
}
