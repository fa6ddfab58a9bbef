//! The packets of a capture file.

use std::fmt;
use std::fs::File;
use std::path::Path;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, PcapBlockOwned, PcapError, create_reader};

use crate::exit::{Exit, Failure};

/// Room for the first blocks; larger ones make it grow.
const BUFFER: usize = 1 << 16;
/// The largest block that is read. The longest packet is far below.
const MAX_BUFFER: usize = 64 << 20;
/// The block type of packets in early versions of pcapng.
const OBSOLETE_PACKET: u32 = 2;

/// A packet as it was captured.
pub(super) struct Packet<'a> {
    /// In nanoseconds since the Unix epoch.
    pub(super) time: u64,
    pub(super) interface: u32,
    /// As in <https://www.tcpdump.org/linktypes.html>.
    pub(super) link: u32,
    pub(super) bytes: &'a [u8],
}

/// Why and where reading ended before the end of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// How many bytes were understood.
    pub at: usize,
    /// The file ends in the middle of a block; otherwise the block makes no sense.
    pub cut_off: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.cut_off { "cut off" } else { "damaged" };
        write!(f, "{how}: only its first {} bytes could be read", self.at)
    }
}

/// How a file came to its end.
pub(super) struct End {
    pub(super) homeless: u64,
    pub(super) end: Option<Damage>,
}

/// What a file says about an interface.
#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    snap: usize,
    /// Ticks of the clock in a second: a power of ten or of two.
    ticks: u128,
    /// Seconds to add.
    offset: i64,
}

impl Interface {
    fn nanos(&self, ticks: u64) -> u64 {
        let nanos = u128::from(ticks) * 1_000_000_000 / self.ticks;
        let offset = i128::from(self.offset) * 1_000_000_000;
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(nanos.max(0)).unwrap_or(u64::MAX)
    }
}

/// Ticks in a second from `if_tsresol`: the highest bit tells powers of two from powers of ten.
fn resolution(code: u8) -> u128 {
    let exponent = u32::from(code & 0x7f);
    let ticks =
        if code & 0x80 == 0 { 10_u128.checked_pow(exponent) } else { 2_u128.checked_pow(exponent) };
    ticks.unwrap_or(u128::MAX)
}

struct Reader<'a> {
    interfaces: Vec<Interface>,
    big_endian: bool,
    last_time: u64,
    homeless: u64,
    each: &'a mut dyn FnMut(Packet<'_>),
}

impl Reader<'_> {
    fn block(&mut self, block: &PcapBlockOwned<'_>) {
        match block {
            PcapBlockOwned::NG(block) => self.ng(block),
            PcapBlockOwned::LegacyHeader(header) => {
                let nanos = header.is_nanosecond_precision();
                self.interfaces = vec![Interface {
                    // The upper bits tell the length of the frame check sequence.
                    link: header.network.0.cast_unsigned() & 0xffff,
                    snap: usize::MAX,
                    ticks: if nanos { 1_000_000_000 } else { 1_000_000 },
                    offset: 0,
                }];
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some(interface) = self.interfaces.first() else { return };
                let seconds = u64::from(packet.ts_sec) * 1_000_000_000;
                let ticks = u64::from(packet.ts_usec);
                let time = seconds.saturating_add(interface.nanos(ticks));
                self.packet(0, time, packet.data);
            }
        }
    }

    fn ng(&mut self, block: &Block<'_>) {
        match block {
            Block::SectionHeader(header) => {
                self.interfaces.clear();
                self.big_endian = header.big_endian();
            }
            Block::InterfaceDescription(block) => {
                // The parser reads this option as little-endian always.
                let offset = block.if_tsoffset;
                let snap = usize::try_from(block.snaplen).ok().filter(|snap| *snap > 0);
                self.interfaces.push(Interface {
                    link: block.linktype.0.cast_unsigned() & 0xffff,
                    snap: snap.unwrap_or(usize::MAX),
                    ticks: resolution(block.if_tsresol),
                    offset: if self.big_endian { offset.swap_bytes() } else { offset },
                });
            }
            Block::EnhancedPacket(block) => {
                let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                let index = usize::try_from(block.if_id).unwrap_or(usize::MAX);
                let time = self.interfaces.get(index).map_or(0, |found| found.nanos(ticks));
                let bytes = captured(block.data, block.caplen);
                self.packet(block.if_id, time, bytes);
            }
            // It has no time of its own.
            Block::SimplePacket(block) => {
                let bytes = captured(block.data, block.origlen);
                self.packet(0, self.last_time, bytes);
            }
            Block::Unknown(block) if block.block_type == OBSOLETE_PACKET => self.homeless += 1,
            Block::NameResolution(_)
            | Block::InterfaceStatistics(_)
            | Block::SystemdJournalExport(_)
            | Block::DecryptionSecrets(_)
            | Block::ProcessInformation(_)
            | Block::Custom(_)
            | Block::Unknown(_) => {}
        }
    }

    fn packet(&mut self, interface: u32, time: u64, bytes: &[u8]) {
        let index = usize::try_from(interface).unwrap_or(usize::MAX);
        let Some(&Interface { link, snap, .. }) = self.interfaces.get(index) else {
            self.homeless += 1;
            return;
        };
        self.last_time = time;
        let bytes = &bytes[..bytes.len().min(snap)];
        (self.each)(Packet { time, interface, link, bytes });
    }
}

/// The bytes of a block without its padding.
fn captured(data: &[u8], length: u32) -> &[u8] {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    &data[..data.len().min(length)]
}

/// Hands every packet of the file to `each`.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(Packet<'_>)) -> Result<End, Failure> {
    let file = File::open(path).map_err(|error| Failure::reading(path, &error))?;
    let mut file = create_reader(BUFFER, file).map_err(|error| unusable(path, &error))?;
    let mut reader =
        Reader { interfaces: Vec::new(), big_endian: false, last_time: 0, homeless: 0, each };
    let mut room = BUFFER;
    let end = loop {
        let cut_off = match file.next() {
            Ok((size, block)) => {
                reader.block(&block);
                file.consume(size);
                continue;
            }
            Err(PcapError::Eof) => break None,
            Err(PcapError::Incomplete(_) | PcapError::BufferTooSmall) => {
                match refill(path, file.as_mut(), &mut room)? {
                    true => continue,
                    false => false,
                }
            }
            Err(PcapError::UnexpectedEof) => true,
            Err(_) => false,
        };
        break Some(Damage { at: file.consumed(), cut_off });
    };
    Ok(End { homeless: reader.homeless, end })
}

/// Reads on, in a larger buffer if this one is full. `false`: no block is that large.
fn refill(
    path: &Path,
    file: &mut dyn PcapReaderIterator,
    room: &mut usize,
) -> Result<bool, Failure> {
    let before = file.data().len();
    file.refill().map_err(|error| unusable(path, &error))?;
    if file.data().len() == before && !file.reader_exhausted() {
        *room *= 2;
        return Ok(*room <= MAX_BUFFER && file.grow(*room));
    }
    Ok(true)
}

fn unusable<I>(path: &Path, error: &PcapError<I>) -> Failure {
    let name = path.display();
    match error {
        PcapError::ReadError => Failure::new(Exit::Io, format!("cannot read {name}")),
        PcapError::Eof => Failure::new(Exit::Data, format!("{name} is empty")),
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => {
            Failure::new(Exit::Data, format!("{name} ends in the middle of its header"))
        }
        _ => Failure::new(Exit::Data, format!("{name} is neither a pcapng nor a pcap file")),
    }
}
