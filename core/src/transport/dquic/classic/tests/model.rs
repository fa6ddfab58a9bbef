//! The rules of the existing receivers once more, written down as plainly as possible, and
//! compared with ours on whatever a sender may send.

use std::collections::BTreeMap;

use super::*;
use crate::rng::Rng;

/// The counts of one sender, as numbers without bounds.
#[derive(Default)]
struct Model {
    counts: BTreeMap<u32, u128>,
}

impl Model {
    fn answer(&mut self, layout: Layout, datagram: &[u8], max_bytes: u64) -> Option<Vec<u8>> {
        let (kind, number) = (*datagram.first()?, datagram.get(1..5)?);
        if kind != 3 {
            return None;
        }
        let mut answer = [&[6], number].concat();
        let head = if layout == Layout::Classic { 16 } else { 20 };
        let (mut place, mut declared) = (5, 0);
        loop {
            let left = datagram.len().saturating_sub(place);
            if left < head {
                let is_end = layout == Layout::Wide || (left == 0 && place > 5);
                return is_end.then_some(answer);
            }
            let number = |from: usize, len: usize| {
                let bytes = &datagram[place + from..place + from + len];
                bytes.iter().fold(0_u128, |value, byte| value << 8 | u128::from(*byte))
            };
            let (stream, offset) = (number(0, 4) as u32, number(8, head - 12));
            let length = number(head - 4, 4);
            place += head + length as usize;
            declared += length;
            let count = self.counts.entry(stream).or_default();
            if offset == *count {
                *count += length;
            }
            if *count >> (8 * (head - 12)) > 0 {
                return None;
            }
            answer.extend(stream.to_be_bytes());
            answer.extend([0, 0, 0, 6]);
            answer.extend(&count.to_be_bytes()[16 - (head - 12)..]);
            answer.extend([0; 4]);
            if declared > u128::from(max_bytes) {
                return None;
            }
        }
    }

    fn count(&self, stream: u32) -> u128 {
        self.counts.get(&stream).copied().unwrap_or(0)
    }
}

/// A packet as senders send it, mostly: now and then with a wrong offset, length or end.
fn packet(rng: &mut Rng, layout: Layout, number: u32, model: &Model) -> Vec<u8> {
    let mut out = Header { packet_type: SHORT, packet_number: number }.to_bytes().to_vec();
    if rng.chance(1, 50) {
        out[0] = rng.array::<1>()[0];
    }
    let mut claimed = BTreeMap::new();
    for _ in 0..=rng.below(4) {
        let stream_id = u32::try_from(rng.below(3)).unwrap();
        let count = *claimed.entry(stream_id).or_insert(model.count(stream_id));
        let mut bytes = vec![0; usize::try_from(rng.below(60)).unwrap()];
        rng.fill(&mut bytes);
        let offset = match rng.below(8) {
            0 => rng.below(100),
            1 => u64::from(u32::MAX) - rng.below(3),
            _ => u64::try_from(count).unwrap_or(u64::MAX),
        };
        let length = match rng.below(40) {
            0 => rng.below(100),
            1 => 60_000 + rng.below(10_000),
            2 => u64::from(u32::MAX) - rng.below(3),
            _ => bytes.len() as u64,
        };
        let frame_type = if rng.chance(1, 20) { 77 } else { DATA };
        let length = u32::try_from(length).unwrap();
        let frame = Frame { stream_id, frame_type, offset, length };
        if frame.put(layout, &mut out).is_err() {
            continue;
        }
        out.extend(bytes);
        claimed.insert(stream_id, count + u128::from(length));
    }
    if rng.chance(1, 8) {
        let len = rng.below(out.len() as u64 + 1);
        out.truncate(usize::try_from(len).unwrap());
    }
    out
}

#[test]
fn acknowledgements_are_those_of_the_existing_receivers() {
    let mut compared = [0; 2];
    for seed in 0..300 {
        let mut rng = Seed::from_u64(seed).stream("model");
        let layout = if rng.chance(1, 2) { Layout::Classic } else { Layout::Wide };
        let (mut ours, mut model) = (endpoint(None), Model::default());
        // The first packet tells the layout.
        let mut datagram = short(layout, 0, &[data(9, 0, b"first")]);
        for number in 0..60 {
            let expected = model.answer(layout, &datagram, Config::default().max_bytes);
            let given = answer(&mut ours, peer(1), &datagram);
            assert_eq!(given, expected, "seed {seed}, packet {number}: {datagram:02x?}");
            compared[usize::from(given.is_some())] += 1;
            datagram = packet(&mut rng, layout, number, &model);
        }
        for (stream, inbound) in ours.connection(&peer(1)).unwrap().received_streams() {
            assert_eq!(u128::from(inbound.acknowledged()), model.count(stream), "seed {seed}");
        }
    }
    assert!(compared.iter().all(|n| *n > 1_000), "{compared:?}: without and with an answer");
}
