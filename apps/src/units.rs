//! Numbers with units, as people type and read them: sizes, bitrates, durations.

use std::time::Duration;

use bytesize::ByteSize;

/// Parses a size: `512KiB`, `2 MB`, `1000`.
///
/// # Errors
/// Says what is wrong with it.
pub fn size(text: &str) -> Result<u64, String> {
    text.trim()
        .parse::<ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| format!("{text:?} is not a size; write 65536, 64KiB or 2MB, for example"))
}

/// Parses a bitrate in bit/s: `500000`, `500k`, `2.5M`, `1Gbit/s`.
///
/// # Errors
/// Says what is wrong with it.
pub fn bitrate(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is not a bitrate; write 500000, 500k or 2.5M, for example");
    let lower = text.trim().to_ascii_lowercase();
    let number = ["bit/s", "bps"].iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
    let number = number.trim_end();
    let (digits, unit) = match number.chars().last() {
        Some('k') => (&number[..number.len() - 1], 1_000_u64),
        Some('m') => (&number[..number.len() - 1], 1_000_000),
        Some('g') => (&number[..number.len() - 1], 1_000_000_000),
        _ => (number, 1),
    };
    let (whole, part) = digits.trim_end().split_once('.').unwrap_or((digits.trim_end(), ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 9 || !all_digits(whole) || !all_digits(part) {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let nanos: u64 = format!("{part:0<9}").parse().map_err(|_| wrong())?;
    let bits = whole
        .checked_mul(unit)
        .and_then(|bits| {
            bits.checked_add(
                u64::try_from(u128::from(nanos) * u128::from(unit) / 1_000_000_000).ok()?,
            )
        })
        .and_then(|bits| u32::try_from(bits).ok())
        .ok_or_else(|| format!("{text:?} is more than the protocol can carry (4.29 Gbit/s)"))?;
    if bits == 0 { Err(wrong()) } else { Ok(bits) }
}

/// Parses a rate in bytes a second: `100MiB/s`, `500kB`.
///
/// # Errors
/// Says what is wrong with it.
pub fn byte_rate(text: &str) -> Result<u64, String> {
    let number = text.trim().strip_suffix("/s").unwrap_or(text);
    match size(number) {
        Ok(rate @ 1..) => Ok(rate),
        _ => Err(format!("{text:?} is not a rate; write 100MiB/s or 500kB/s, for example")),
    }
}

/// Parses a duration: `2s`, `500ms`, `1h 30m`, or a number of seconds.
///
/// # Errors
/// Says what is wrong with it.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let spelled = if text.bytes().last().is_some_and(|byte| byte.is_ascii_digit()) {
        format!("{text}s")
    } else {
        text.to_owned()
    };
    spelled
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| {
            format!("{text:?} is not a duration; write 2s, 500ms or 1m 30s, for example")
        })
}

/// A size as people read it.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    ByteSize(bytes).display().iec().to_string()
}

/// A rate of bytes as people read it.
#[must_use]
pub fn show_byte_rate(bytes_per_second: u64) -> String {
    format!("{}/s", show_size(bytes_per_second))
}

/// A bitrate as people read it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for the eye only")]
pub fn show_bitrate(bits_per_second: u64) -> String {
    let bits = bits_per_second as f64;
    match bits_per_second {
        0..1_000 => format!("{bits_per_second} bit/s"),
        1_000..1_000_000 => format!("{:.0} kbit/s", bits / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} Mbit/s", bits / 1e6),
        _ => format!("{:.2} Gbit/s", bits / 1e9),
    }
}

/// A duration as people read it.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() < 10 => format!("{:.2} ms", duration.as_secs_f64() * 1e3),
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// The rate of so many bytes in so much time, in bit/s.
#[must_use]
pub fn rate(bytes: u64, time: Duration) -> u64 {
    let nanos = time.as_nanos().max(1);
    u64::try_from(u128::from(bytes) * 8_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// So many of something, as people write it.
#[must_use]
pub fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Text from a peer, made harmless for a terminal.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("512KiB"), Ok(512 * 1024));
        assert_eq!(size("2 MB"), Ok(2_000_000));
        assert_eq!(size("17"), Ok(17));
        assert!(size("many").is_err());
        assert!(size("-1").is_err());
    }

    #[test]
    fn rates_of_bytes_have_units() {
        assert_eq!(byte_rate("100MiB/s"), Ok(100 << 20));
        assert_eq!(byte_rate("500 kB"), Ok(500_000));
        for wrong in ["", "0", "/s", "5/h"] {
            assert!(byte_rate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(show_byte_rate(2 << 20), "2.0 MiB/s");
    }

    #[test]
    fn bitrates_have_units() {
        assert_eq!(bitrate("500000"), Ok(500_000));
        assert_eq!(bitrate("500k"), Ok(500_000));
        assert_eq!(bitrate("2.5M"), Ok(2_500_000));
        assert_eq!(bitrate("1 Gbit/s"), Ok(1_000_000_000));
        for wrong in ["", "k", "5G5", "-1", "9G", "1e6", "0", "1.2.3", ".5M"] {
            assert!(bitrate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("-2s").is_err());
        assert!(duration("soon").is_err());
    }

    #[test]
    fn a_peer_cannot_write_to_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb"), "a\u{fffd}[2Jb");
    }

    #[test]
    fn people_read_units() {
        assert_eq!(show_size(512), "512 B");
        assert_eq!(show_size(512 * 1024), "512.0 KiB");
        assert_eq!(show_bitrate(500_000), "500 kbit/s");
        assert_eq!(show_bitrate(2_500_000), "2.50 Mbit/s");
        assert_eq!(show_duration(Duration::from_millis(3)), "3.00 ms");
        assert_eq!(show_duration(Duration::from_secs(75)), "1m 15s");
        assert_eq!(rate(125_000, Duration::from_secs(2)), 500_000);
    }
}
