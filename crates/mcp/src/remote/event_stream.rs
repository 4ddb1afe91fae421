//! `EventDecoder`: reads server-sent events, each within a limit.

use hyper::body::Bytes;

/// The maximum size of an event, in bytes, as for a line of a child.
pub(super) const MAX_EVENT_SIZE: usize = 16 * 1024 * 1024;

/// The data of an event, as one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: Option<String>,
    /// The delay before a reconnection, in milliseconds.
    pub(super) retry: Option<u64>,
    /// Without line breaks: JSON has none inside its texts.
    pub(super) data: Vec<u8>,
}

/// An event, or the rest of a line, is larger than [`MAX_EVENT_SIZE`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventTooLarge;

/// Decodes the chunks of a body.
#[derive(Default)]
pub(super) struct EventDecoder {
    line: Vec<u8>,
    event: Event,
    /// The previous byte was a carriage return, which ends a line together with a line feed.
    after_return: bool,
}

impl EventDecoder {
    /// Reads a chunk, and adds each event that it completes to `events`.
    pub(super) fn push(&mut self, chunk: &Bytes, events: &mut Vec<Event>) -> Result<(), EventTooLarge> {
        let mut rest = &chunk[..];
        if std::mem::take(&mut self.after_return) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.extend_line(&rest[..end])?;
            events.extend(self.end_line());
            let is_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            match rest.strip_prefix(b"\n").filter(|_| is_return) {
                Some(after) => rest = after,
                None => self.after_return = is_return && rest.is_empty(),
            }
        }
        self.extend_line(rest)
    }

    fn extend_line(&mut self, part: &[u8]) -> Result<(), EventTooLarge> {
        if self.line.len() + self.event.data.len() + part.len() > MAX_EVENT_SIZE {
            return Err(EventTooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// Reads a complete line. An empty one ends the event.
    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Some(event).filter(|event| *event != Event::default());
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(end) => (&line[..end], &line[end + 1..]),
            None => (&line[..], &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || std::str::from_utf8(value).ok();
        match field.strip_prefix("\u{feff}".as_bytes()).unwrap_or(field) {
            b"data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push(b' ');
                }
                self.event.data.extend_from_slice(value);
            }
            b"id" if value.len() <= 1024 => self.event.id = text().map(str::to_owned),
            b"retry" => self.event.retry = text().and_then(|text| text.parse().ok()),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]]) -> Result<Vec<Event>, EventTooLarge> {
        let (mut decoder, mut events) = (EventDecoder::default(), Vec::new());
        for chunk in chunks {
            decoder.push(&Bytes::copy_from_slice(chunk), &mut events)?;
        }
        Ok(events)
    }

    fn event(data: &str) -> Event {
        Event { data: data.into(), ..Event::default() }
    }

    #[test]
    fn event_decoder_reads_events_of_any_chunks() {
        let text = "\u{feff}data: {\"a\":\ndata: 1}\n\n: comment\r\n\r\nevent: message\rid: 7\rretry: 20\rdata:x\r\rdata: y\r\n\r\ndata: unfinished";
        let expected = [
            event("{\"a\": 1}"),
            Event { id: Some("7".into()), retry: Some(20), data: b"x".into() },
            event("y"),
        ];
        assert_eq!(decode(&[text.as_bytes()]).unwrap(), expected);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(decode(&bytes).unwrap(), expected);
    }

    #[test]
    fn event_decoder_overlong_event_is_refused() {
        let half = vec![b'x'; MAX_EVENT_SIZE / 2];
        assert_eq!(decode(&[b"data: ", &half, &half, b"x"]), Err(EventTooLarge));
        assert_eq!(decode(&[b"data: ", &half, b"\ndata: ", &half, b"\n"]), Err(EventTooLarge));
        assert_eq!(decode(&[b"data: ", &half[..10], b"\n\n", b": ", &half, b"\n"]).unwrap().len(), 1);
    }
}
