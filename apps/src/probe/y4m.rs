//! Y4M files (uncompressed video with text headers): reading the bitrate, writing a header.

/// Shape and rate of a clip in 4:2:0, 8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Pixels in a line.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Frames per second.
    pub rate: u32,
}

/// The line in front of each frame.
pub const FRAME: &[u8] = b"FRAME\n";

impl Format {
    /// Bytes of a frame, its line included.
    #[must_use]
    pub const fn frame(self) -> u64 {
        let (width, height) = (self.width as u64, self.height as u64);
        FRAME.len() as u64 + width * height + 2 * width.div_ceil(2) * height.div_ceil(2)
    }
}

/// The line at the start of a file.
#[must_use]
pub fn header(format: Format) -> String {
    let Format { width, height, rate } = format;
    format!("YUV4MPEG2 W{width} H{height} F{rate}:1 Ip A1:1 C420jpeg\n")
}

/// The bitrate of a Y4M file, in bit/s, from its first bytes; at most that of `size` bytes in
/// a second.
#[must_use]
pub fn bitrate(head: &[u8], size: u64) -> Option<u32> {
    let line = head.split(|byte| *byte == b'\n').next().filter(|line| line.len() < head.len())?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    if words.next()? != "YUV4MPEG2" {
        return None;
    }
    let (mut width, mut height, mut rate, mut space) = (0_u64, 0_u64, None, "420");
    for word in words.filter(|word| word.is_ascii() && !word.is_empty()) {
        let (tag, value) = word.split_at(1);
        match tag {
            "W" => width = value.parse().ok()?,
            "H" => height = value.parse().ok()?,
            "F" => rate = Some(value.split_once(':')?),
            "C" => space = value,
            _ => {}
        }
    }
    let (num, den): (u64, u64) =
        rate.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)))?;
    let frame = frame_bytes(width, height, space)?;
    if num == 0 || den == 0 || frame > size {
        return None;
    }
    let bits = u128::from(frame) * 8 * u128::from(num) / u128::from(den);
    u32::try_from(bits).ok().filter(|bits| *bits > 0)
}

fn frame_bytes(width: u64, height: u64, space: &str) -> Option<u64> {
    const MOST: u64 = 1 << 16;
    if !(1..=MOST).contains(&width) || !(1..=MOST).contains(&height) {
        return None;
    }
    let luma = width * height;
    let half = width.div_ceil(2);
    let pixels = match space.split(['p', 'j', 'm']).next()? {
        "420" => luma + 2 * half * height.div_ceil(2),
        "411" => luma + 2 * width.div_ceil(4) * height,
        "422" => luma + 2 * half * height,
        "444" => 3 * luma,
        "444alpha" => 4 * luma,
        _ if space.starts_with("mono") => luma,
        _ => return None,
    };
    // 420p10, for example: samples of more than eight bits take two bytes.
    let deep =
        space.rsplit_once('p').is_some_and(|(_, bits)| bits.parse::<u8>().is_ok_and(|b| b > 8));
    Some(pixels * if deep { 2 } else { 1 } + FRAME.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Format = Format { width: 16, height: 8, rate: 25 };

    #[test]
    fn a_header_tells_its_bitrate() {
        let frame = 6 + 16 * 8 * 3 / 2;
        assert_eq!(SMALL.frame(), frame);
        let bits = u32::try_from(frame * 8 * 25).unwrap();
        assert_eq!(bitrate(header(SMALL).as_bytes(), 1 << 20), Some(bits));
    }

    #[test]
    fn colour_spaces_and_fractions_are_understood() {
        let told = |line: &str| bitrate(format!("{line}\n").as_bytes(), 1 << 30);
        assert_eq!(told("YUV4MPEG2 W4 H2 F1:1 C444"), Some((24 + 6) * 8));
        assert_eq!(told("YUV4MPEG2 W4 H2 F1:1 Cmono"), Some((8 + 6) * 8));
        assert_eq!(told("YUV4MPEG2 W4 H2 F1:1 C420p10"), Some((24 + 6) * 8));
        assert_eq!(told("YUV4MPEG2 W4 H2 F30000:1001 C444"), Some(30 * 8 * 30_000 / 1001));
    }

    #[test]
    fn odd_headers_are_survived() {
        for line in [
            "",
            "YUV4MPEG2",
            "YUV4MPEG2 W0 H0 F0:0",
            "YUV4MPEG2 W9 H9 F1:0",
            "YUV4MPEG2 W99999999999999999999 H1 F1:1",
            "YUV4MPEG2 W65536 H65536 F4000000000:1",
            "YUV4MPEG2 W1 H1 F",
            "YUV4MPEG2 Wé",
            "YUV4MPEG2 W8 H8 F1:1 Cwhat",
            "RIFF",
        ] {
            assert_eq!(bitrate(format!("{line}\n").as_bytes(), u64::MAX), None, "{line}");
        }
        let whole = header(SMALL);
        assert_eq!(bitrate(&whole.as_bytes()[..whole.len() - 1], u64::MAX), None);
        assert_eq!(bitrate(whole.as_bytes(), 10), None, "shorter than one frame");
    }
}
