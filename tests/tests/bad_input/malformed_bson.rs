//! Bytes that are no BSON: every cut and every changed byte of a document is refused or another valid document.

use sheaf_document::{Error, RawDocument};

#[test]
fn a_cut_document_is_malformed_at_every_length() {
    let bytes = sample();
    assert!(RawDocument::validate(&bytes).is_ok());
    for length in 0..bytes.len() {
        let result = RawDocument::validate(&bytes[..length]);
        assert!(matches!(result, Err(Error::Malformed { .. })), "{length} bytes are taken");
    }
}

#[test]
fn a_changed_byte_never_yields_a_document_that_cannot_be_read() {
    let bytes = sample();
    let mut refused = 0;
    for position in 0..bytes.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[position] = value;
            match RawDocument::validate(&changed) {
                Ok(document) => {
                    let text = sheaf_document::json::to_canonical(document);
                    assert!(text.starts_with('{'), "{text}");
                }
                Err(Error::Malformed { .. } | Error::Limit { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(refused > bytes.len(), "only {refused} were refused");
}

fn sample() -> Vec<u8> {
    let document = bson::doc! {
        "_id": 1, "text": "häuser", "list": [1, 2.5, { "deep": true }], "none": null, "long": 5_i64,
        "binary": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3] },
    };
    bson::serialize_to_vec(&document).unwrap()
}
