//! Hostile bytes: whatever is done to a document, checking it and walking it never panics, and what passes the check
//! can be walked to the end, written as text, read back, compared and hashed.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;

use sheaf_document::json::{parse_document, to_canonical};
use sheaf_document::{Element, Elements, RawArray, RawDocument, Value, ValueRef, compare, hash_value};

use crate::generate;
use crate::random::Random;
use crate::stage::rounds;

/// Walks everything. `Err` if an element does not decode or a walk ends before the bytes do.
fn walk(document: RawDocument<'_>) -> Result<usize, ()> {
    walk_elements(document.iter())
}

fn walk_elements(mut elements: Elements<'_>) -> Result<usize, ()> {
    let mut count = 0;
    while !elements.rest().is_empty() {
        let element = elements.next().ok_or(())?;
        count += 1 + walk_value(element)?;
    }
    Ok(count)
}

fn walk_value(element: Element<'_>) -> Result<usize, ()> {
    match element.value_checked().ok_or(())? {
        ValueRef::Document(inner) | ValueRef::JavaScriptWithScope { scope: inner, .. } => walk(inner),
        ValueRef::Array(inner) => walk_elements(RawArray::elements(inner)),
        _ => Ok(0),
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len());
    match random.below(6) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = *random.pick(&[0, 1, 2, 3, 4, 5, 0x0B, 0x0D, 0x0F, 0x10, 0x13, 0x7F, 0x80, 0xFF]),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, random.next() as u8),
        4 => {
            bytes.remove(at);
        }
        _ => {
            let claim: i32 = *random.pick(&[-1, 0, 1, 4, 5, i32::MAX, i32::MIN, 1 << 24]);
            for (offset, byte) in claim.to_le_bytes().into_iter().enumerate() {
                if let Some(slot) = bytes.get_mut(at + offset) {
                    *slot = byte;
                }
            }
        }
    }
    // Half of the time the outer frame is repaired, so that the damage inside is reached.
    if bytes.len() >= 5 && random.below(2) == 0 {
        let len = i32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        *bytes.last_mut().unwrap() = 0;
    }
}

#[test]
fn deep_mutated_documents() {
    let documents = rounds(60_000, 2_000_000);
    let mut random = Random(0xF022);
    let mut accepted = 0usize;
    for _ in 0..documents {
        let mut bytes = generate::document(&mut random, 0).into_bytes();
        assert!(RawDocument::validate(&bytes).is_ok_and(|document| walk(document).is_ok()), "{bytes:?}");
        for _ in 0..=random.below(3) {
            if !bytes.is_empty() {
                mutate(&mut bytes, &mut random);
            }
        }
        // Bytes that were never validated: the walk may end early and nothing more.
        if let Ok(document) = RawDocument::from_bytes(&bytes) {
            let _ = (walk(document), to_canonical(document));
        }
        let Ok(document) = RawDocument::validate(&bytes) else { continue };
        accepted += 1;
        assert!(walk(document).is_ok(), "accepted, but not walked to the end: {bytes:?}");
        let mut hasher = DefaultHasher::new();
        hash_value(&Value::from(document), None, &mut hasher);
        let _ = hasher.finish();
        assert!(compare(&Value::from(document), &Value::from(document.to_buf()), None).is_eq());
        let text = to_canonical(document);
        if let Ok(parsed) = parse_document(&text) {
            // Reading sorts the options of regular expressions; everything else stays.
            let again = to_canonical(parsed.as_raw());
            assert!(again == text || text.contains("$regularExpression"), "{text} became {again}");
            assert_eq!(parse_document(&again).unwrap(), parsed, "{text}");
        }
    }
    assert!(accepted > documents / 20, "hardly any mutation passes the check: {accepted}");
    println!("stage mutated_documents: {documents} documents, {accepted} accepted");
}

#[test]
fn mutated_text_never_panics() {
    let mut random = Random(0x7E87);
    for _ in 0..rounds(30_000, 500_000) {
        let mut text = to_canonical(generate::document(&mut random, 0).as_raw()).into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            match random.below(3) {
                0 => text[at] = *random.pick(b"{}[]\",:\\$0-.eEntfu \x00\xff"),
                1 => text.truncate(at.max(1)),
                _ => text.insert(at, *random.pick(b"{[\"\\u9")),
            }
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        if let Ok(document) = parse_document(&text) {
            assert!(
                RawDocument::validate(document.as_bytes()).is_ok(),
                "text makes a malformed document: {text}"
            );
        }
    }
    for bomb in
        ["[".repeat(1_000_000), "{\"a\":".repeat(1_000_000), "{\"$code\":\"\",\"$scope\":".repeat(100_000)]
    {
        assert!(parse_document(&bomb).is_err());
        assert!(parse_document(&format!("{{\"a\":{bomb}")).is_err());
    }
}
