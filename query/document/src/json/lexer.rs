//! JSON (RFC 8259) as a tree that keeps order, duplicates and the text of numbers.

use super::JSON_DEPTH_MAX;
use crate::{Error, Result};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Boolean(bool),
    /// A number as it was written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads one JSON value with nothing but white space around it.
pub fn read(text: &str) -> Result<Json> {
    let mut lexer = Lexer { text, position: 0, depth: 0 };
    let value = lexer.value()?;
    lexer.skip_space();
    if lexer.position < text.len() {
        return Err(lexer.error("there is more text behind the value"));
    }
    Ok(value)
}

struct Lexer<'t> {
    text: &'t str,
    position: usize,
    depth: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn error(&self, reason: &str) -> Error {
        let before = self.text.as_bytes().get(..self.position).unwrap_or_default();
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        Error::Invalid { what: "JSON", reason: format!("line {line}, column {column}: {reason}") }
    }

    fn skip_space(&mut self) {
        let space =
            self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.position += space;
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word.as_bytes());
        if found {
            self.position += word.len();
        }
        found
    }

    fn value(&mut self) -> Result<Json> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Json::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("true") => Ok(Json::Boolean(true)),
            _ if self.take("false") => Ok(Json::Boolean(false)),
            _ if self.take("null") => Ok(Json::Null),
            Some(_) => Err(self.error("this starts no value")),
            None => Err(self.error("the text ends where a value is expected")),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Json>) -> Result<Json> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(self.error("the nesting is too deep"));
        }
        self.depth += 1;
        self.position += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Json> {
        let mut members = Vec::new();
        self.skip_space();
        if self.take("}") {
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("the name of a field is expected, in double quotes"));
            }
            let name = self.string()?;
            self.skip_space();
            if !self.take(":") {
                return Err(self.error("a colon is expected behind the name of a field"));
            }
            members.push((name, self.value()?));
            self.skip_space();
            if self.take("}") {
                return Ok(Json::Object(members));
            }
            if !self.take(",") {
                return Err(self.error("a comma or a closing brace is expected"));
            }
        }
    }

    fn array(&mut self) -> Result<Json> {
        let mut items = Vec::new();
        self.skip_space();
        if self.take("]") {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.skip_space();
            if self.take("]") {
                return Ok(Json::Array(items));
            }
            if !self.take(",") {
                return Err(self.error("a comma or a closing bracket is expected"));
            }
        }
    }

    fn number(&mut self) -> Result<Json> {
        let start = self.position;
        self.take("-");
        let digits = |lexer: &mut Self| {
            let count = lexer.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
            lexer.position += count;
            count
        };
        let zero = self.peek() == Some(b'0');
        let whole = digits(self);
        if whole == 0 || (zero && whole > 1) {
            return Err(self.error("a number needs digits, and no zeros in front"));
        }
        if self.take(".") && digits(self) == 0 {
            return Err(self.error("digits are expected behind the point"));
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            if digits(self) == 0 {
                return Err(self.error("digits are expected in the exponent"));
            }
        }
        Ok(Json::Number(self.text.get(start..self.position).unwrap_or_default().to_owned()))
    }

    fn string(&mut self) -> Result<String> {
        self.position += 1;
        let mut out = String::new();
        loop {
            let plain = self.rest().iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            out.push_str(self.text.get(self.position..self.position + plain).unwrap_or_default());
            self.position += plain;
            match self.peek() {
                Some(b'"') => {
                    self.position += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.position += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.error("a control character must be escaped in a string")),
                None => return Err(self.error("the string is not closed")),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let letter = self.peek().ok_or_else(|| self.error("the string is not closed"))?;
        self.position += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.error("unknown escape in a string")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.hex()?;
        let code = match first {
            0xD800..0xDC00 => {
                let pair = if self.take("\\u") { self.hex()? } else { 0 };
                if !(0xDC00..0xE000).contains(&pair) {
                    return Err(self.error("half of a surrogate pair is missing"));
                }
                0x10000 + ((first - 0xD800) << 10) + (pair - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.error("half of a surrogate pair is missing"))
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.position..self.position + 4);
        let code = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error("four hexadecimal digits are expected"))?;
        self.position += 4;
        Ok(code)
    }
}
