//! Writing documents, element by element, straight into their bytes.

use super::element::find_nul;
use super::{EMPTY_DOCUMENT, Element, RawDocumentBuf};
use crate::{ArrayValue, BsonType, Value, ValueRef};

/// Bytes that most values fit into: room is made for key and value at once.
const SCALAR_BYTES: usize = 16;

/// Appends elements to a document. Nesting costs no second buffer: [`DocumentBuilder::document`] and
/// [`DocumentBuilder::array`] write in place and patch the length afterwards.
///
/// Keys must not contain NUL; one that does is cut there (the doors reject such keys long before).
#[derive(Clone, Debug)]
pub struct DocumentBuilder {
    bytes: Vec<u8>,
    start: usize,
}

/// Appends values to an array. The keys "0", "1", ... are written by the builder.
#[derive(Debug)]
pub struct ArrayBuilder {
    inner: DocumentBuilder,
    count: u32,
}

impl Default for DocumentBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl DocumentBuilder {
    /// An empty document.
    pub fn new() -> Self {
        Self::with_capacity(64)
    }

    /// An empty document with room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes.max(EMPTY_DOCUMENT.len()));
        buffer.extend_from_slice(&[0; 4]);
        Self { bytes: buffer, start: 0 }
    }

    pub(super) fn from_buf(document: RawDocumentBuf) -> Self {
        let mut bytes = document.into_bytes();
        bytes.pop();
        Self { bytes, start: 0 }
    }

    /// Bytes written so far.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Whether no element was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len_bytes() == 4
    }

    fn header(&mut self, kind: BsonType, key: &str) {
        let key = key.as_bytes();
        let key = key.get(..find_nul(key).unwrap_or(key.len())).unwrap_or_default();
        self.bytes.reserve(key.len() + 2 + SCALAR_BYTES);
        self.bytes.push(kind.tag());
        self.bytes.extend_from_slice(key);
        self.bytes.push(0);
    }

    /// Appends an element. A [`Value::Missing`] appends nothing.
    pub fn append<'v>(&mut self, key: &str, value: impl Into<Value<'v>>) -> &mut Self {
        self.append_value(key, &value.into());
        self
    }

    /// Appends a borrowed value.
    pub fn append_ref(&mut self, key: &str, value: ValueRef<'_>) -> &mut Self {
        self.header(value.kind(), key);
        value.write_to(&mut self.bytes);
        self
    }

    /// Appends a value by reference. A [`Value::Missing`] appends nothing.
    pub fn append_value(&mut self, key: &str, value: &Value<'_>) -> &mut Self {
        match value {
            Value::Missing => {}
            Value::Array(ArrayValue::Items(items)) => {
                self.array(key, |array| {
                    for item in items {
                        array.push_value(item);
                    }
                });
            }
            other => {
                if let Some(value) = other.as_ref() {
                    self.append_ref(key, value);
                }
            }
        }
        self
    }

    /// Appends an element of another document as it is.
    pub fn append_element(&mut self, element: Element<'_>) -> &mut Self {
        self.bytes.reserve(element.key_bytes().len() + element.value_bytes().len() + 2);
        self.bytes.push(element.kind().tag());
        self.bytes.extend_from_slice(element.key_bytes());
        self.bytes.push(0);
        self.bytes.extend_from_slice(element.value_bytes());
        self
    }

    /// Appends the value of an element under another key.
    pub fn append_element_as(&mut self, key: &str, element: Element<'_>) -> &mut Self {
        self.header(element.kind(), key);
        self.bytes.extend_from_slice(element.value_bytes());
        self
    }

    /// Appends a nested document that `write` fills in place.
    pub fn document(&mut self, key: &str, write: impl FnOnce(&mut DocumentBuilder)) -> &mut Self {
        self.header(BsonType::Document, key);
        self.nested(write);
        self
    }

    /// Appends a nested array that `write` fills in place.
    pub fn array(&mut self, key: &str, write: impl FnOnce(&mut ArrayBuilder)) -> &mut Self {
        self.header(BsonType::Array, key);
        self.nested_array(write);
        self
    }

    /// Like [`DocumentBuilder::document`] where writing may fail; on failure the builder must be thrown away.
    pub fn try_document<E>(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut DocumentBuilder) -> std::result::Result<(), E>,
    ) -> std::result::Result<&mut Self, E> {
        let mut outcome = Ok(());
        self.document(key, |nested| outcome = write(nested));
        outcome.map(|()| self)
    }

    /// Like [`DocumentBuilder::array`] where writing may fail; on failure the builder must be thrown away.
    pub fn try_array<E>(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut ArrayBuilder) -> std::result::Result<(), E>,
    ) -> std::result::Result<&mut Self, E> {
        let mut outcome = Ok(());
        self.array(key, |nested| outcome = write(nested));
        outcome.map(|()| self)
    }

    fn nested(&mut self, write: impl FnOnce(&mut DocumentBuilder)) {
        let start = self.bytes.len();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.extend_from_slice(&[0; 4]);
        let mut nested = DocumentBuilder { bytes, start };
        write(&mut nested);
        nested.close();
        self.bytes = nested.bytes;
    }

    fn nested_array(&mut self, write: impl FnOnce(&mut ArrayBuilder)) {
        self.nested(|nested| {
            let inner = DocumentBuilder { bytes: std::mem::take(&mut nested.bytes), start: nested.start };
            let mut array = ArrayBuilder { inner, count: 0 };
            write(&mut array);
            nested.bytes = array.inner.bytes;
        });
    }

    fn close(&mut self) {
        self.bytes.push(0);
        let len = i32::try_from(self.bytes.len() - self.start).unwrap_or(i32::MAX);
        if let Some(prefix) = self.bytes.get_mut(self.start..self.start + 4) {
            prefix.copy_from_slice(&len.to_le_bytes());
        }
    }

    /// The finished document.
    pub fn build(mut self) -> RawDocumentBuf {
        self.close();
        RawDocumentBuf::from_parts(self.bytes)
    }
}

impl Default for ArrayBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ArrayBuilder {
    /// An empty array.
    pub fn new() -> Self {
        Self { inner: DocumentBuilder::new(), count: 0 }
    }

    fn next_key(&mut self) -> DecimalKey {
        let key = DecimalKey::new(self.count);
        self.count = self.count.saturating_add(1);
        key
    }

    /// Values appended so far.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Bytes written so far.
    pub fn len_bytes(&self) -> usize {
        self.inner.len_bytes()
    }

    /// Appends a value. A [`Value::Missing`] becomes null, as in MongoDB's array expressions.
    pub fn push<'v>(&mut self, value: impl Into<Value<'v>>) -> &mut Self {
        self.push_value(&value.into());
        self
    }

    /// Appends a value by reference. A [`Value::Missing`] becomes null.
    pub fn push_value(&mut self, value: &Value<'_>) -> &mut Self {
        let key = self.next_key();
        match value {
            Value::Missing => self.inner.append_ref(key.as_str(), ValueRef::Null),
            other => self.inner.append_value(key.as_str(), other),
        };
        self
    }

    /// Appends a borrowed value.
    pub fn push_ref(&mut self, value: ValueRef<'_>) -> &mut Self {
        let key = self.next_key();
        self.inner.append_ref(key.as_str(), value);
        self
    }

    /// Appends the value of an element as it is, under the next key.
    pub fn push_element(&mut self, element: Element<'_>) -> &mut Self {
        let key = self.next_key();
        self.inner.append_element_as(key.as_str(), element);
        self
    }

    /// Appends a nested document that `write` fills in place.
    pub fn document(&mut self, write: impl FnOnce(&mut DocumentBuilder)) -> &mut Self {
        let key = self.next_key();
        self.inner.document(key.as_str(), write);
        self
    }

    /// Appends a nested array that `write` fills in place.
    pub fn array(&mut self, write: impl FnOnce(&mut ArrayBuilder)) -> &mut Self {
        let key = self.next_key();
        self.inner.array(key.as_str(), write);
        self
    }

    /// The finished array, in the bytes a document would have.
    pub fn build(self) -> RawDocumentBuf {
        self.inner.build()
    }
}

/// A number in decimal digits without an allocation: the key of an array element.
struct DecimalKey {
    digits: [u8; 10],
    start: usize,
}

impl DecimalKey {
    fn new(mut number: u32) -> Self {
        let mut digits = [b'0'; 10];
        let mut start = digits.len();
        for (position, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            start = position;
            if number == 0 {
                break;
            }
        }
        Self { digits, start }
    }

    fn as_str(&self) -> &str {
        self.digits.get(self.start..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or("0")
    }
}
