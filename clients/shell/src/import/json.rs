//! JSON input: one document a line, or one array of documents. Both read extended JSON v2, canonical or relaxed.

use std::io::{self, BufRead};

use sheaf_document::{RawDocumentBuf, json};

use super::record::Record;

/// Bytes one record may have as text; extended JSON is at most a few times larger than the document it says.
pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

fn parse(text: &[u8]) -> Result<RawDocumentBuf, String> {
    let text = std::str::from_utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
    json::parse_document(text).map_err(|error| error.to_string())
}

/// Documents one a line. Empty lines are passed over.
pub struct JsonLines<R> {
    input: R,
    line: u64,
}

impl<R: BufRead> JsonLines<R> {
    /// Reads from here.
    pub fn new(input: R) -> Self {
        Self { input, line: 0 }
    }

    /// The next record; nothing at the end of the input.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        loop {
            let mut text = Vec::new();
            let too_long = read_line(&mut self.input, &mut text)?;
            if text.is_empty() && !too_long {
                return Ok(None);
            }
            self.line += 1;
            let trimmed = text.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            let document = if too_long {
                Err(format!("the line is longer than {RECORD_BYTES_MAX} bytes"))
            } else {
                parse(trimmed)
            };
            return Ok(Some(Record { line: self.line, text: trimmed.to_vec(), document }));
        }
    }
}

/// Reads a line with its end into `text`; of a line that is too long only the start is kept. Says whether it was.
fn read_line(input: &mut impl BufRead, text: &mut Vec<u8>) -> io::Result<bool> {
    let mut too_long = false;
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(too_long);
        }
        let (part, ended) = match buffer.iter().position(|&byte| byte == b'\n') {
            Some(end) => (buffer.get(..=end).unwrap_or(buffer), true),
            None => (buffer, false),
        };
        let used = part.len();
        if text.len() + used <= RECORD_BYTES_MAX {
            text.extend_from_slice(part);
        } else {
            too_long = true;
        }
        input.consume(used);
        if ended {
            return Ok(too_long);
        }
    }
}

/// The documents of one JSON array, found by counting brackets outside strings, so that the array is never in memory
/// whole and a bad document does not spoil the ones after it.
pub struct JsonArray<R> {
    input: R,
    line: u64,
    opened: bool,
    closed: bool,
}

impl<R: BufRead> JsonArray<R> {
    /// Reads from here.
    pub fn new(input: R) -> Self {
        Self { input, line: 1, opened: false, closed: false }
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let Some(&byte) = self.input.fill_buf()?.first() else { return Ok(None) };
        self.input.consume(1);
        if byte == b'\n' {
            self.line += 1;
        }
        Ok(Some(byte))
    }

    /// The next record; nothing after the closing bracket. An array that never closes is an error of the file.
    pub fn next_record(&mut self) -> io::Result<Option<Record>> {
        if self.closed {
            return Ok(None);
        }
        loop {
            match self.next_byte()? {
                None => return Err(self.broken("the array is not closed")),
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(b'[') if !self.opened => self.opened = true,
                Some(_) if !self.opened => return Err(self.broken("the input does not start with an array")),
                Some(b',') => {}
                Some(b']') => {
                    self.closed = true;
                    return Ok(None);
                }
                Some(byte) => return self.element(byte).map(Some),
            }
        }
    }

    fn broken(&self, reason: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {reason}", self.line))
    }

    /// Collects one element that starts with `first`, up to the comma or bracket that ends it.
    fn element(&mut self, first: u8) -> io::Result<Record> {
        let line = self.line;
        let mut text = Vec::new();
        let mut depth = 0usize;
        let (mut in_string, mut escaped) = (false, false);
        let mut next = Some(first);
        loop {
            let Some(byte) = next else { return Err(self.broken("the array is not closed")) };
            if !in_string && depth == 0 && matches!(byte, b',' | b']') {
                self.closed = byte == b']';
                break;
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
                _ => {}
            }
            if text.len() == RECORD_BYTES_MAX {
                return Err(self.broken("a document of the array is too long, or a string is not closed"));
            }
            text.push(byte);
            next = self.next_byte()?;
        }
        let document = parse(text.trim_ascii());
        Ok(Record { line, text: text.trim_ascii().to_vec(), document })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_does_not_spoil_the_others() {
        let mut lines = JsonLines::new(&b"{\"a\":1}\n\n{\"a\":\n{\"a\":2}"[..]);
        let mut seen = Vec::new();
        while let Some(record) = lines.next_record().unwrap() {
            seen.push((record.line, record.document.is_ok()));
        }
        assert_eq!(seen, [(1, true), (3, false), (4, true)]);
    }

    #[test]
    fn an_array_is_split_at_its_own_commas_only() {
        let text = b"[ {\"a\":\"],}\\\"\"},\n {\"b\":[1,2]} , 7,\n{\"c\":1}]";
        let mut array = JsonArray::new(&text[..]);
        let mut seen = Vec::new();
        while let Some(record) = array.next_record().unwrap() {
            seen.push((record.line, record.document.is_ok()));
        }
        assert_eq!(seen, [(1, true), (2, true), (2, false), (3, true)]);
    }

    #[test]
    fn an_array_that_never_closes_is_an_error() {
        let mut array = JsonArray::new(&b"[{\"a\":1},{\"b\""[..]);
        assert!(array.next_record().unwrap().is_some());
        assert!(array.next_record().is_err());
        assert!(JsonArray::new(&b"{}"[..]).next_record().is_err());
    }
}
