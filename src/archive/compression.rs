//! The compressions in which barman stores WAL and tars, each a stream of one or several members. Every decoder here
//! ends in an error when its input was cut or has something behind it, as far as the format lets one know: the snappy
//! framing has no end mark, so a cut between two of its chunks shows only in the size of what comes out.

use std::fmt;
use std::io::{self, BufRead, Cursor, Read};

/// How an object is compressed. It may differ from object to object in one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    /// The framing format, not raw blocks.
    Snappy,
    Zstd,
    /// The frame format, not raw blocks.
    Lz4,
}

impl Compression {
    pub const ALL: [Self; 7] = [Self::None, Self::Gzip, Self::Bzip2, Self::Xz, Self::Snappy, Self::Zstd, Self::Lz4];

    /// What barman appends to the name, with its dot; empty for [`Compression::None`].
    pub const fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Xz => ".xz",
            Self::Snappy => ".snappy",
            Self::Zstd => ".zst",
            Self::Lz4 => ".lz4",
        }
    }

    /// The name without its extension, and what the extension says. A name without one is whole, and not compressed.
    pub fn from_extension(name: &str) -> (&str, Self) {
        let compressed = Self::ALL.into_iter().filter(|&compression| compression != Self::None);
        let mut stems = compressed.filter_map(|it| Some((name.strip_suffix(it.extension())?, it)));
        stems.next().unwrap_or((name, Self::None))
    }

    /// What the first bytes of a content say; [`Compression::None`] when no known compression begins so.
    pub fn from_magic(head: &[u8]) -> Self {
        let compressed = Self::ALL.into_iter().filter(|&compression| compression != Self::None);
        compressed.into_iter().find(|it| head.starts_with(it.magic())).unwrap_or(Self::None)
    }

    const fn magic(self) -> &'static [u8] {
        match self {
            Self::None => b"",
            Self::Gzip => b"\x1f\x8b\x08",
            Self::Bzip2 => b"BZh",
            Self::Xz => b"\xfd7zXZ\0",
            Self::Snappy => b"\xff\x06\0\0sNaPpY",
            Self::Zstd => b"\x28\xb5\x2f\xfd",
            Self::Lz4 => b"\x04\x22\x4d\x18",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "no compression",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Snappy => "snappy",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// Why an object cannot be decompressed as its name says.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("it is named {}, but is empty", named.extension())]
    Empty { named: Compression },
    /// `holds` is [`Compression::None`] when no known compression begins so.
    #[error("it is named {}, but holds {}", named.extension(), content(*holds))]
    Mismatch { named: Compression, holds: Compression },
    #[error("read its first bytes")]
    Read(#[from] io::Error),
}

fn content(holds: Compression) -> String {
    if holds == Compression::None { "nothing that is known as compressed".to_owned() } else { holds.to_string() }
}

/// The longest magic: snappy's.
const LONGEST_MAGIC: u64 = 10;

/// Decompresses what a name's extension says, after a look at whether the content agrees. For [`Compression::None`] any
/// content is handed on as it is: a raw WAL segment has a magic of its own.
pub fn open(
    extension: Compression,
    mut reader: impl BufRead + Send + 'static,
) -> Result<Box<dyn Read + Send>, OpenError> {
    if extension == Compression::None {
        return Ok(Box::new(reader));
    }
    // Not `fill_buf` alone: what it gives may be shorter than the magic.
    let mut head = Vec::new();
    reader.by_ref().take(LONGEST_MAGIC).read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(OpenError::Empty { named: extension });
    }
    if !head.starts_with(extension.magic()) && !extension.magic().starts_with(&head) {
        return Err(OpenError::Mismatch { named: extension, holds: Compression::from_magic(&head) });
    }
    Ok(decoder(extension, Cursor::new(head).chain(reader))?)
}

/// Enough for the dictionary of `xz -9`, 64 MiB, and a bound on what a damaged header can ask for.
const XZ_MEMORY: u64 = 256 << 20;

/// Decompresses all members of a stream, one after another. No input at all is an error, but for [`Compression::None`].
pub fn decoder(
    compression: Compression,
    mut reader: impl BufRead + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    // The decoders of zstd, snappy and lz4 take no input for a complete stream.
    if compression != Compression::None && reader.fill_buf()?.is_empty() {
        return Err(cut());
    }
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        Compression::Snappy => Box::new(snap::read::FrameDecoder::new(reader)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(reader)?),
        Compression::Lz4 => {
            Box::new(Lz4Frames { frames: lz4_flex::frame::FrameDecoder::new(EndSeen { reader, seen: false }) })
        }
    })
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed data ends too early")
}

/// Reads one lz4 frame after another. The library's decoder stops behind each frame, and takes an end of input between
/// two blocks for the end of the frame; only a frame's end mark makes it stop without having met the end of input.
struct Lz4Frames<R: BufRead> {
    frames: lz4_flex::frame::FrameDecoder<EndSeen<R>>,
}

impl<R: BufRead> Read for Lz4Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = self.frames.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let input = self.frames.get_mut();
            if input.seen {
                return Err(cut());
            }
            if input.reader.fill_buf()?.is_empty() {
                return Ok(0);
            }
        }
    }
}

/// Remembers whether anybody was told that the input is at its end.
struct EndSeen<R> {
    reader: R,
    seen: bool,
}

impl<R: Read> Read for EndSeen<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.seen |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{BufReader, Write};

    const COMPRESSED: [Compression; 6] = [
        Compression::Gzip,
        Compression::Bzip2,
        Compression::Xz,
        Compression::Snappy,
        Compression::Zstd,
        Compression::Lz4,
    ];

    /// Compressible, and long enough for several blocks of the small-block codecs.
    fn plain() -> Vec<u8> {
        (0..70_000_u32).flat_map(|number| (number / 7).wrapping_mul(number).to_le_bytes()[..2].to_owned()).collect()
    }

    fn compress(compression: Compression, plain: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => plain.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Snappy => {
                let mut encoder = snap::write::FrameEncoder::new(Vec::new());
                encoder.write_all(plain).unwrap();
                encoder.into_inner().unwrap()
            }
            Compression::Zstd => zstd::encode_all(plain, 1).unwrap(),
            Compression::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(plain).unwrap();
                encoder.finish().unwrap()
            }
        }
    }

    /// Through a reader that gives few bytes at a time, as a network does.
    fn decompress(compression: Compression, content: &[u8]) -> io::Result<Vec<u8>> {
        let reader = BufReader::with_capacity(7, Cursor::new(content.to_vec()));
        let mut plain = Vec::new();
        open(compression, reader).map_err(io::Error::other)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn several_members_are_read_as_one_stream() {
        let plain = plain();
        for compression in COMPRESSED {
            let mut content = compress(compression, &plain[..1000]);
            content.extend(compress(compression, b""));
            content.extend(compress(compression, &plain[1000..]));
            assert!(decompress(compression, &content).unwrap() == plain, "{compression}");
        }
    }

    #[test]
    fn a_cut_stream_is_an_error_wherever_it_was_cut() {
        let plain = plain();
        for compression in COMPRESSED {
            let content = compress(compression, &plain);
            let near_the_ends = (0..60).chain(content.len() - 60..content.len());
            for length in near_the_ends.chain((0..content.len()).step_by(content.len() / 50)) {
                let result = decompress(compression, &content[..length]);
                // The framing of snappy cannot tell a cut between chunks, but what comes out is then shorter.
                let short =
                    compression == Compression::Snappy && result.as_ref().is_ok_and(|it| it.len() < plain.len());
                assert!(result.is_err() || short, "{compression} cut at {length} of {}", content.len());
            }
        }
    }

    #[test]
    fn an_lz4_frame_that_is_cut_between_two_blocks_is_an_error() {
        let content = compress(Compression::Lz4, &plain());
        let (mut offset, mut blocks) = (7, 0);
        loop {
            let size = u32::from_le_bytes(*content[offset..].first_chunk().unwrap()) & 0x7FFF_FFFF;
            if size == 0 {
                break;
            }
            assert!(decompress(Compression::Lz4, &content[..offset]).is_err(), "before block {blocks}");
            offset += 4 + usize::try_from(size).unwrap();
            blocks += 1;
        }
        assert!(blocks > 1);
    }

    #[test]
    fn something_behind_the_stream_is_an_error() {
        for compression in COMPRESSED {
            for garbage in [&b"x"[..], b"\0", b"garb", b"garbage behind the end of the stream"] {
                let mut content = compress(compression, b"some content");
                content.extend(garbage);
                assert!(decompress(compression, &content).is_err(), "{compression} with {} bytes", garbage.len());
            }
        }
    }

    #[test]
    fn a_wrong_checksum_of_gzip_is_an_error() {
        let content = compress(Compression::Gzip, &plain());
        for back in 1..=8 {
            let mut damaged = content.clone();
            damaged[content.len() - back] ^= 1;
            assert!(decompress(Compression::Gzip, &damaged).is_err(), "{back} bytes from the end");
        }
    }

    #[test]
    fn a_damaged_payload_is_an_error_or_changes_nothing() {
        let plain = plain();
        // The lz4 frames that barman writes have no checksum.
        for compression in COMPRESSED.into_iter().filter(|&compression| compression != Compression::Lz4) {
            let content = if compression == Compression::Zstd {
                let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            } else {
                compress(compression, &plain)
            };
            for offset in (0..content.len()).step_by(content.len() / 40) {
                let mut damaged = content.clone();
                damaged[offset] ^= 0x10;
                let result = decompress(compression, &damaged);
                assert!(result.is_err() || result.is_ok_and(|it| it == plain), "{compression} at {offset}");
            }
        }
    }

    #[test]
    fn a_name_that_does_not_fit_the_content_is_told_from_damage() {
        let message = |named, content: &[u8]| {
            let reader = Cursor::new(content.to_vec());
            open(named, reader).err().map(|error| error.to_string())
        };
        let zstd = compress(Compression::Zstd, b"x");
        assert_eq!(message(Compression::Gzip, &zstd).unwrap(), "it is named .gz, but holds zstd");
        assert_eq!(
            message(Compression::Gzip, b"\x10\xd1\x02\0 a raw segment").unwrap(),
            "it is named .gz, but holds nothing that is known as compressed"
        );
        assert_eq!(message(Compression::Xz, b"").unwrap(), "it is named .xz, but is empty");
        assert_eq!(message(Compression::None, &zstd), None);
        for named in COMPRESSED {
            for holds in COMPRESSED.into_iter().filter(|&holds| holds != named) {
                let result = open(named, Cursor::new(compress(holds, b"some content")));
                let agrees = matches!(result.err(), Some(OpenError::Mismatch { named: n, holds: h }) if (n, h) == (named, holds));
                assert!(agrees, "{named} and {holds}");
            }
        }
    }

    #[test]
    fn uncompressed_content_is_handed_on_as_it_is() {
        assert_eq!(decompress(Compression::None, b"anything").unwrap(), b"anything");
        assert_eq!(decompress(Compression::None, b"").unwrap(), b"");
    }

    #[test]
    fn extensions_and_names_belong_together() {
        assert_eq!(Compression::from_extension("data.tar.gz"), ("data.tar", Compression::Gzip));
        assert_eq!(Compression::from_extension("data.tar"), ("data.tar", Compression::None));
        for compression in Compression::ALL {
            let name = format!("00000002.history{}", compression.extension());
            assert_eq!(Compression::from_extension(&name), ("00000002.history", compression));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_content_survives_a_round_trip(plain in prop::collection::vec(any::<u8>(), 1..500)) {
            for compression in Compression::ALL {
                prop_assert_eq!(&decompress(compression, &compress(compression, &plain)).unwrap(), &plain);
            }
        }
    }
}
