//! What a media file is, from its name and its first bytes.

pub mod wav;
pub mod y4m;

use std::path::Path;

/// Bytes at the start of a file that are enough for every header known here.
pub const HEAD: usize = 4096;

/// Media types by file name extension.
const TYPES: [(&str, &str); 27] = [
    ("aac", "audio/aac"),
    ("avi", "video/x-msvideo"),
    ("bin", "application/octet-stream"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("h264", "video/h264"),
    ("jpg", "image/jpeg"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mjpeg", "video/x-motion-jpeg"),
    ("mkv", "video/matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("png", "image/png"),
    ("pcm", "audio/L16"),
    ("ts", "video/mp2t"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("y4m", "video/x-yuv4mpeg"),
];

/// The media type of a file name; empty if the extension says nothing.
#[must_use]
pub fn media_type(path: &Path) -> &'static str {
    let Some(extension) = path.extension().and_then(|text| text.to_str()) else { return "" };
    let extension = extension.to_ascii_lowercase();
    TYPES.iter().find(|(known, _)| *known == extension).map_or("", |(_, kind)| kind)
}

/// The bitrate at which a file of `size` bytes plays in real time, in bit/s, where its first
/// bytes tell.
#[must_use]
pub fn bitrate(head: &[u8], size: u64) -> Option<u32> {
    wav::bitrate(head).or_else(|| y4m::bitrate(head, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_name_types() {
        assert_eq!(media_type(Path::new("a/b.WAV")), "audio/wav");
        assert_eq!(media_type(Path::new("x.y4m")), "video/x-yuv4mpeg");
        assert_eq!(media_type(Path::new("x")), "");
        assert_eq!(media_type(Path::new("x.what")), "");
    }

    #[test]
    fn rubbish_has_no_bitrate() {
        for len in [0, 1, 11, 12, 44, 4096] {
            assert_eq!(bitrate(&vec![0xff; len], 4096), None);
        }
    }
}
