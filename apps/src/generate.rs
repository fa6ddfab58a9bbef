//! Test files: random, empty or readable bytes, a playable tone, a playable clip. The same seed
//! gives the same bytes on every machine.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use crate::exit::{Exit, Failure};
use crate::probe::{wav, y4m};

/// Bytes written at a time.
const BLOCK: usize = 64 << 10;
/// 256 kbit/s: plays in real time at the bitrate that servers grant by default.
const TONE: wav::Format = wav::Format { channels: 1, rate: 16_000, bits: 16 };
const CLIP: y4m::Format = y4m::Format { width: 96, height: 64, rate: 5 };
const WORDS: [&str; 16] = [
    "river",
    "channel",
    "leaves",
    "the",
    "main",
    "stem",
    "and",
    "joins",
    "it",
    "again",
    "many",
    "streams",
    "one",
    "connection",
    "water",
    "finds",
];

/// What to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Random bytes.
    #[default]
    Random,
    /// Zero bytes.
    Zero,
    /// Lines of words.
    Text,
    /// A WAV file with a tone (16 kHz, 16 bits, mono: 256 kbit/s).
    Wav,
    /// A Y4M file with a moving pattern (96x64, 5 frames per second: 369 kbit/s).
    Y4m,
}

/// How much to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many bytes. A tone or clip is cut to whole samples or frames, and has at least one.
    Bytes(u64),
    /// So much playing time (WAV and Y4M only).
    Time(Duration),
}

/// A repeatable source of bytes.
#[derive(Debug)]
pub struct Source {
    kind: Kind,
    rng: ChaCha8Rng,
    /// What is handed out next, from `at` on.
    block: Vec<u8>,
    at: usize,
    /// Samples or frames made.
    made: u64,
    left: u64,
    step: u16,
}

impl Source {
    /// A source of one file.
    ///
    /// # Errors
    /// For a playing time of something that does not play.
    pub fn new(kind: Kind, amount: Amount, seed: u64) -> Result<Self, Failure> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Half a tone's step for each seed: between 220 and 880 Hz.
        let hertz = 220 + u32::try_from(rng.next_u64() % 661).unwrap_or(220);
        let step = u16::try_from(hertz * 65_536 / TONE.rate).unwrap_or(1802);
        let (head, left) = match (kind, amount) {
            (Kind::Random | Kind::Zero | Kind::Text, Amount::Bytes(bytes)) => (Vec::new(), bytes),
            (Kind::Random | Kind::Zero | Kind::Text, Amount::Time(_)) => {
                return Err(Failure::new(Exit::Usage, "only wav and y4m have a playing time")
                    .hint("give --size, or another --kind"));
            }
            (Kind::Wav, amount) => {
                let frame = u64::from(TONE.frame());
                let data = frame * units(amount, wav::HEADER as u64, frame, TONE.rate);
                (wav::header(TONE, data).to_vec(), wav::HEADER as u64 + data)
            }
            (Kind::Y4m, amount) => {
                let head = y4m::header(CLIP).into_bytes();
                let frames = units(amount, head.len() as u64, CLIP.frame(), CLIP.rate);
                let bytes = head.len() as u64 + CLIP.frame() * frames;
                (head, bytes)
            }
        };
        Ok(Self { kind, rng, block: head, at: 0, made: 0, left, step })
    }

    /// Bytes still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The next bytes; empty at the end.
    pub fn block(&mut self) -> &[u8] {
        if self.at == self.block.len() {
            self.block.clear();
            self.at = 0;
            self.refill();
        }
        let from = self.at;
        let len = (self.block.len() - from).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.at = if len == 0 { self.block.len() } else { from + len };
        self.left -= len as u64;
        &self.block[from..from + len]
    }

    fn refill(&mut self) {
        if self.left == 0 {
            return;
        }
        match self.kind {
            Kind::Random => {
                self.block.resize(BLOCK, 0);
                self.rng.fill_bytes(&mut self.block);
            }
            Kind::Zero => self.block.resize(BLOCK, 0),
            Kind::Text => self.text(),
            Kind::Wav => self.tone(),
            Kind::Y4m => self.picture(),
        }
    }

    fn text(&mut self) {
        while self.block.len() < BLOCK {
            let draw = self.rng.next_u64();
            self.made += 1;
            self.block.extend_from_slice(format!("{:08}", self.made).as_bytes());
            for nibble in 0..8 {
                let word = WORDS[usize::try_from(draw >> (4 * nibble) & 15).unwrap_or(0)];
                self.block.push(b' ');
                self.block.extend_from_slice(word.as_bytes());
            }
            self.block.push(b'\n');
        }
    }

    fn tone(&mut self) {
        while self.block.len() < BLOCK {
            let phase = u16::try_from((self.made * u64::from(self.step)) & 0xffff).unwrap_or(0);
            self.made += 1;
            self.block.extend_from_slice(&(sine(phase) / 4).to_le_bytes());
        }
    }

    fn picture(&mut self) {
        let y4m::Format { width, height, .. } = CLIP;
        let shift = self.made * u64::from(self.step) / 256;
        self.made += 1;
        self.block.extend_from_slice(y4m::FRAME);
        let byte = |n: u64| u8::try_from(n & 0xff).unwrap_or(0);
        for y in 0..u64::from(height) {
            self.block.extend((0..u64::from(width)).map(|x| byte((x + shift) ^ (y * 2))));
        }
        for plane in 1..3 {
            for y in 0..u64::from(height / 2) {
                self.block
                    .extend((0..u64::from(width / 2)).map(|x| byte(64 + x * plane + y + shift)));
            }
        }
    }
}

/// Whole samples or frames in an amount, at least one.
fn units(amount: Amount, head: u64, unit: u64, rate: u32) -> u64 {
    let count = match amount {
        Amount::Bytes(bytes) => bytes.saturating_sub(head) / unit,
        Amount::Time(time) => {
            u64::try_from(time.as_millis() * u128::from(rate) / 1000).unwrap_or(u64::MAX / unit / 2)
        }
    };
    count.clamp(1, u64::MAX / unit / 2)
}

/// A wave very much like a sine, in whole numbers: parabolas of full height.
fn sine(phase: u16) -> i16 {
    let x = i32::from(phase.cast_signed());
    let y = (x * (32_768 - x.abs())) >> 13;
    i16::try_from(y.clamp(-32_767, 32_767)).unwrap_or(0)
}

/// Writes a whole source.
///
/// # Errors
/// What the writer says.
pub fn write(
    source: &mut Source,
    out: &mut dyn Write,
    mut progress: impl FnMut(u64),
) -> io::Result<u64> {
    let mut written = 0;
    loop {
        let block = source.block();
        if block.is_empty() {
            break;
        }
        out.write_all(block)?;
        written += block.len() as u64;
        progress(written);
    }
    out.flush()?;
    Ok(written)
}

/// Makes an output file.
///
/// # Errors
/// If it is there already (without `force`) or cannot be made.
pub fn create(path: &Path, force: bool) -> Result<File, Failure> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    if !force && !is_special(path) {
        options.create_new(true);
    }
    options.open(path).map_err(|error| {
        let failure = Failure::creating(path, &error);
        if error.kind() == io::ErrorKind::AlreadyExists {
            return failure.hint("use --force to write over it, or give another name");
        }
        failure
    })
}

/// A device or a pipe: writing to it destroys nothing.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;

    fn make(kind: Kind, amount: Amount, seed: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut source = Source::new(kind, amount, seed).unwrap();
        let announced = source.left();
        let written = write(&mut source, &mut out, |_| {}).unwrap();
        assert_eq!((written, out.len() as u64), (announced, announced));
        out
    }

    #[test]
    fn sizes_are_exact_and_seeds_repeat() {
        for kind in [Kind::Random, Kind::Zero, Kind::Text] {
            for size in [0, 1, 65_535, 65_536, 65_537, 200_000] {
                let first = make(kind, Amount::Bytes(size), 7);
                assert_eq!(first.len() as u64, size);
                assert_eq!(first, make(kind, Amount::Bytes(size), 7));
            }
        }
        let size = Amount::Bytes(1000);
        assert_ne!(make(Kind::Random, size, 1), make(Kind::Random, size, 2));
    }

    #[test]
    fn bytes_are_the_same_on_every_machine() {
        let hash =
            |kind| blake3::hash(&make(kind, Amount::Bytes(100_000), 1)).to_hex()[..16].to_owned();
        let all = [Kind::Random, Kind::Zero, Kind::Text, Kind::Wav, Kind::Y4m].map(hash);
        assert_eq!(all, KNOWN);
    }

    const KNOWN: [&str; 5] = [
        "6d6224695312308c",
        "b1fc3c3bf473596b",
        "4c3b38548209da5c",
        "06a9f4e2a74b97ae",
        "d2e7e330d752e92a",
    ];

    #[test]
    fn tones_and_clips_are_what_their_headers_say() {
        let tone = make(Kind::Wav, Amount::Time(Duration::from_secs(2)), 1);
        assert_eq!(tone.len(), wav::HEADER + 64_000);
        assert_eq!(probe::bitrate(&tone, tone.len() as u64), Some(256_000));
        assert_eq!(u32::from_le_bytes(tone[40..44].try_into().unwrap()), 64_000);

        let clip = make(Kind::Y4m, Amount::Bytes(100_000), 1);
        assert!(clip.len() <= 100_000 && clip.len() as u64 + CLIP.frame() > 100_000);
        assert_eq!(probe::bitrate(&clip, clip.len() as u64), Some(368_880));
        let head = y4m::header(CLIP).len();
        let frame = usize::try_from(CLIP.frame()).unwrap();
        assert_eq!((clip.len() - head) % frame, 0);
        assert_eq!(&clip[head + frame..head + frame + 6], y4m::FRAME);
    }

    #[test]
    fn the_tone_is_a_wave() {
        assert_eq!((sine(0), sine(0x8000)), (0, 0));
        assert!(sine(0x4000) > 32_000 && sine(0xc000) < -32_000);
    }

    #[test]
    fn a_file_is_not_written_over_unless_forced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        drop(create(&path, false).unwrap());
        assert_eq!(create(&path, false).unwrap_err().exit, Exit::CantCreate);
        assert!(create(&path, true).is_ok());
        assert!(create(Path::new("/dev/null"), false).is_ok());
    }
}
