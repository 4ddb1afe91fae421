//! `ChunkDecoder`: the framing `aws-chunked` with a signature for each chunk.
//!
//! ```text
//! 10000;chunk-signature=<64 digits>\r\n<65536 bytes>\r\n
//! 0;chunk-signature=<64 digits>\r\n
//! x-amz-checksum-crc32:AAAAAA==\r\n
//! x-amz-trailer-signature:<64 digits>\r\n\r\n
//! ```
//! Without a trailer, the last chunk is followed by an empty line.

use bytes::{Buf, Bytes, BytesMut};

/// Limit on the data of a chunk, which is buffered until its signature is verified. SDKs send 64 KiB or 128 KiB.
pub(crate) const MAX_CHUNK: usize = 1024 * 1024;
/// Limit on the line before the data of a chunk.
const MAX_HEADER: usize = 128;
/// Limit on the lines after the last chunk.
const MAX_TRAILER: usize = 4 * 1024;

const LINE_END: &[u8] = b"\r\n";
const SIGNATURE_FIELD: &str = ";chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// The body has another form, or exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MalformedChunk;

/// A part of the body whose signature is to be verified.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(super) enum SignedPart {
    /// A chunk. The last one has no data.
    Chunk {
        /// The size as it was written, so that the body keeps its length when it is written again.
        size: String,
        data: Bytes,
        signature: String,
    },
    /// The trailer: the lines before its signature, and the names and values in them.
    Trailer { lines: Bytes, fields: Vec<(String, String)>, signature: String },
}

#[derive(Clone, PartialEq, Eq)]
enum Position {
    Header,
    /// The data of a chunk of `length` bytes follows.
    Data {
        size: String,
        length: usize,
        signature: String,
    },
    /// The lines after the last chunk follow.
    Trailer,
    End,
}

/// Splits a body into its parts. It buffers at most one part, and the bytes that were pushed beyond it.
pub(super) struct ChunkDecoder {
    received: BytesMut,
    position: Position,
    has_trailer: bool,
}

impl ChunkDecoder {
    pub(super) fn new(has_trailer: bool) -> Self {
        Self { received: BytesMut::new(), position: Position::Header, has_trailer }
    }

    /// Adds received bytes. Call [`next_part`](Self::next_part) until it returns `None` before the next call.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
    }

    /// Returns whether the whole body was read.
    pub(super) fn is_complete(&self) -> bool {
        self.position == Position::End && self.received.is_empty()
    }

    /// Returns the next part; `None` if more bytes are needed, or after the last part.
    pub(super) fn next_part(&mut self) -> Result<Option<SignedPart>, MalformedChunk> {
        if self.position == Position::Header && !self.read_header()? {
            return Ok(None);
        }
        match self.position.clone() {
            Position::Header => Ok(None),
            Position::Data { size, length, signature } => Ok(self.read_data(length)?.map(|data| {
                let is_last = length == 0;
                self.position = if is_last { Position::Trailer } else { Position::Header };
                SignedPart::Chunk { size, data, signature }
            })),
            Position::Trailer if self.has_trailer => self.read_trailer(),
            Position::Trailer => {
                if self.take_line(LINE_END.len())?.is_some() {
                    self.position = Position::End;
                }
                Ok(None)
            }
            Position::End if self.received.is_empty() => Ok(None),
            Position::End => Err(MalformedChunk),
        }
    }

    fn read_header(&mut self) -> Result<bool, MalformedChunk> {
        let Some(line) = self.take_line(MAX_HEADER)? else { return Ok(false) };
        let line = std::str::from_utf8(&line).map_err(|_| MalformedChunk)?;
        let (size, signature) = line.split_once(SIGNATURE_FIELD).ok_or(MalformedChunk)?;
        let is_size = (1..=8).contains(&size.len()) && size.bytes().all(|digit| digit.is_ascii_hexdigit());
        let length = usize::from_str_radix(size, 16).ok().filter(|length| is_size && *length <= MAX_CHUNK);
        self.position = Position::Data {
            size: size.to_owned(),
            length: length.ok_or(MalformedChunk)?,
            signature: parse_signature(signature)?,
        };
        Ok(true)
    }

    /// Returns the data with the line end after it removed. The last chunk has neither.
    fn read_data(&mut self, length: usize) -> Result<Option<Bytes>, MalformedChunk> {
        if length == 0 {
            return Ok(Some(Bytes::new()));
        }
        if self.received.len() < length + LINE_END.len() {
            return Ok(None);
        }
        let data = self.received.split_to(length).freeze();
        if !self.received.starts_with(LINE_END) {
            return Err(MalformedChunk);
        }
        self.received.advance(LINE_END.len());
        Ok(Some(data))
    }

    /// Reads all lines up to the empty one at once.
    fn read_trailer(&mut self) -> Result<Option<SignedPart>, MalformedChunk> {
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end.filter(|end| *end <= MAX_TRAILER) else {
            return if self.received.len() > MAX_TRAILER { Err(MalformedChunk) } else { Ok(None) };
        };
        let text = self.received.split_to(end).freeze();
        self.received.advance(2 * LINE_END.len());
        let fields = std::str::from_utf8(&text).map_err(|_| MalformedChunk)?;
        let mut fields: Vec<_> = fields.split("\r\n").map(parse_field).collect::<Result<_, _>>()?;
        let (name, signature) = fields.pop().ok_or(MalformedChunk)?;
        if name != TRAILER_SIGNATURE || fields.iter().any(|(name, _)| name == TRAILER_SIGNATURE) {
            return Err(MalformedChunk);
        }
        let signature = parse_signature(&signature)?;
        let lines = text.len().checked_sub(TRAILER_SIGNATURE.len() + ":".len() + signature.len());
        self.position = Position::End;
        Ok(Some(SignedPart::Trailer { lines: text.slice(..lines.ok_or(MalformedChunk)?), fields, signature }))
    }

    /// Returns the next line of at most `max` bytes, without its end.
    fn take_line(&mut self, max: usize) -> Result<Option<Bytes>, MalformedChunk> {
        let searched = &self.received[..self.received.len().min(max)];
        match searched.windows(2).position(|window| window == LINE_END) {
            Some(end) => {
                let line = self.received.split_to(end).freeze();
                self.received.advance(LINE_END.len());
                Ok(Some(line))
            }
            None if self.received.len() >= max => Err(MalformedChunk),
            None => Ok(None),
        }
    }
}

/// Parses `name:value`. Names are in lower case, and values are printable.
fn parse_field(line: &str) -> Result<(String, String), MalformedChunk> {
    // Some SDKs end the line before the signature with an additional line feed.
    let (name, value) = line.strip_suffix('\n').unwrap_or(line).split_once(':').ok_or(MalformedChunk)?;
    let is_name =
        !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let is_value = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_name && is_value { Ok((name.to_owned(), value.to_owned())) } else { Err(MalformedChunk) }
}

fn parse_signature(text: &str) -> Result<String, MalformedChunk> {
    let is_signature =
        text.len() == 64 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if is_signature { Ok(text.to_owned()) } else { Err(MalformedChunk) }
}
