//! Reading traces: any bytes at all, and any bytes inside blocks that are whole.

use anabranch_core::trace::{self, Decoder, Record, TraceError};

/// A whole trace, or the entries of one: the first byte says which.
pub fn traces(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else { return };
    if how & 1 == 0 {
        let _any = read(rest);
        return;
    }
    let base = trace::seal(&[&[], rest]);
    let (records, _) = read(&base);
    let header = trace::header(&base).expect("an empty header is one");
    // What was read can be written, and is read again as the same.
    let again = trace::write(&header, records.iter().map(|r| (r.at, r.entry.clone())));
    let (same, _) = read(&again);
    assert_eq!(records.len(), same.len());
    for (a, b) in records.iter().zip(&same) {
        assert_eq!((a.number, a.at, &a.entry), (b.number, b.at, &b.entry));
        assert!(!a.to_string().is_empty());
    }
}

/// Everything that can be read, at once and byte by byte.
fn read(bytes: &[u8]) -> (Vec<Record>, Result<(), TraceError>) {
    let pieces = |size: usize| {
        let mut decoder = Decoder::default();
        let mut records = Vec::new();
        let mut end = Ok(());
        for piece in bytes.chunks(size.max(1)) {
            decoder.push(piece);
            while let Some(record) = decoder.next().unwrap_or_else(|error| {
                end = Err(error);
                None
            }) {
                records.push(record);
            }
        }
        (records, end.and_then(|()| decoder.end()))
    };
    let whole = pieces(bytes.len());
    if let (_, Err(error)) = &whole {
        assert!(!error.to_string().is_empty());
    }
    if bytes.len() < 500 {
        assert_eq!(pieces(1), whole);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are made in Python, from the documentation of the format.
    #[test]
    fn the_seeds_are_whole_entries() {
        let seeds: [(&[u8], usize); 3] = [
            (include_bytes!("../../fuzz/seeds/traces/inputs"), 7),
            (include_bytes!("../../fuzz/seeds/traces/outputs"), 4),
            (include_bytes!("../../fuzz/seeds/traces/calls"), 6),
        ];
        for (seed, entries) in seeds {
            let (records, end) = read(&trace::seal(&[&[], &seed[1..]]));
            assert_eq!(records.len(), entries, "{end:?}, after {records:#?}");
        }
    }
}
