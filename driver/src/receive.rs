//! Receive buffers, and what comes out of them.

use std::io::IoSliceMut;

use anabranch_core::{Ecn, Instant, Path};
use quinn_udp::{EcnCodepoint, RecvMeta};

use crate::address;
use crate::counters::Counters;
use crate::port::{Datagrams, Port};

/// Messages taken by one receive call.
const BATCH: usize = 4;
/// Bytes of one buffer. The kernel joins datagrams up to this length, and cuts off silently what
/// does not fit.
const BUFFER: usize = 64 << 10;

/// The buffers of a driver, allocated once.
pub(crate) struct Receiver {
    bytes: Box<[u8]>,
    meta: [RecvMeta; BATCH],
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; BATCH * BUFFER].into_boxed_slice(),
            meta: [RecvMeta::default(); BATCH],
        }
    }

    /// One receive call. Each datagram goes to `take`. Returns the number of bytes taken, or
    /// `None` if there was nothing.
    pub(crate) fn receive<S: Datagrams>(
        &mut self,
        now: Instant,
        port: &mut Port<S>,
        counters: &mut Counters,
        mut take: impl FnMut(Path, Option<Ecn>, &mut [u8]),
    ) -> Option<usize> {
        let mut rest = self.bytes.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH] =
            std::array::from_fn(|_| IoSliceMut::new(rest.next().unwrap_or_default()));
        let count = port.receive(now, &mut slices, &mut self.meta, counters)?;
        counters.receives += u64::from(count > 0);
        let mut total = 0;
        for (meta, slice) in self.meta.iter().zip(&mut slices).take(count) {
            let len = meta.len.min(slice.len());
            total += len;
            let Some((path, stride)) = admit(port, meta) else {
                counters.unanswerable += 1;
                continue;
            };
            counters.bytes_received += len as u64;
            for datagram in slice[..len].chunks_mut(stride) {
                counters.datagrams_received += 1;
                take(path, meta.ecn.map(ecn), datagram);
            }
        }
        Some(total)
    }
}

/// The path of what was received, and the length of its datagrams; `None` for what must not
/// reach the endpoint, because an answer to it would do harm (see [`crate::port`]).
pub(crate) fn admit<S: Datagrams>(port: &Port<S>, meta: &RecvMeta) -> Option<(Path, usize)> {
    if meta.addr.port() == 0 || meta.len == 0 || meta.stride == 0 {
        return None;
    }
    let path = Path { local: port.local_of(meta.dst_ip), remote: address::normal(meta.addr) };
    let group = meta.dst_ip.is_some_and(|ip| !address::can_be_source(ip.to_canonical()));
    (!group && address::can_be_source(path.remote.ip())).then_some((path, meta.stride))
}

const fn ecn(point: EcnCodepoint) -> Ecn {
    match point {
        EcnCodepoint::Ect0 => Ecn::Ect0,
        EcnCodepoint::Ect1 => Ecn::Ect1,
        EcnCodepoint::Ce => Ecn::Ce,
    }
}
