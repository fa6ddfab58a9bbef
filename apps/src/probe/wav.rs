//! WAV files (RIFF): reading the bitrate, writing a header.

/// Chunks looked at before giving up.
const MAX_CHUNKS: usize = 32;

/// Linear PCM, as it is written in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Channels.
    pub channels: u16,
    /// Samples per second of each channel.
    pub rate: u32,
    /// Bits of a sample: a multiple of 8.
    pub bits: u16,
}

impl Format {
    /// Bytes of one sample of all channels.
    #[must_use]
    pub const fn frame(self) -> u32 {
        self.channels as u32 * (self.bits as u32 / 8)
    }
}

/// Bytes of the header that [`header`] makes.
pub const HEADER: usize = 44;

/// The header of a file with `data` bytes of samples. Longer files than 4 GiB say the most
/// that the format can, as players expect of streams.
#[must_use]
pub fn header(format: Format, data: u64) -> [u8; HEADER] {
    let data = u32::try_from(data).unwrap_or(u32::MAX - 36);
    let mut out = [0; HEADER];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&data.saturating_add(36).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&format.channels.to_le_bytes());
    put(&format.rate.to_le_bytes());
    put(&(format.rate * format.frame()).to_le_bytes());
    put(&u16::try_from(format.frame()).unwrap_or(u16::MAX).to_le_bytes());
    put(&format.bits.to_le_bytes());
    put(b"data");
    put(&data.to_le_bytes());
    out
}

/// The bitrate of a WAV file, in bit/s, from its first bytes: the byte rate of its `fmt ` chunk.
#[must_use]
pub fn bitrate(head: &[u8]) -> Option<u32> {
    if head.get(..4)? != b"RIFF" || head.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut rest = head.get(12..)?;
    for _ in 0..MAX_CHUNKS {
        let len = u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?);
        let body = rest.get(8..)?;
        if rest.get(..4)? == b"fmt " {
            let rate = u32::from_le_bytes(body.get(8..12)?.try_into().ok()?);
            return rate.checked_mul(8).filter(|bits| *bits > 0);
        }
        // Chunks are padded to an even length.
        let next = usize::try_from(len).ok()?.checked_add(usize::from(len % 2 == 1))?;
        rest = body.get(next..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const CD: Format = Format { channels: 2, rate: 44_100, bits: 16 };

    #[test]
    fn a_header_tells_its_bitrate() {
        assert_eq!(bitrate(&header(CD, 1000)), Some(1_411_200));
    }

    #[test]
    fn chunks_before_the_format_are_skipped() {
        let whole = header(CD, 1000);
        let mut file = whole[..12].to_vec();
        file.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        file.extend_from_slice(&whole[12..]);
        assert_eq!(bitrate(&file), Some(1_411_200));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_survived() {
        let whole = header(CD, 1000);
        for cut in 0..HEADER {
            let told = bitrate(&whole[..cut]);
            assert!(told.is_none() || cut >= 32, "{cut}");
        }
        for at in 0..HEADER {
            for flip in [0x01, 0x80, 0xff] {
                let mut bad = whole;
                bad[at] ^= flip;
                let _ = bitrate(&bad);
            }
        }
        let mut endless = b"RIFF\0\0\0\0WAVE".to_vec();
        endless.extend_from_slice(&[0; 4000]);
        assert_eq!(bitrate(&endless), None);
    }
}
