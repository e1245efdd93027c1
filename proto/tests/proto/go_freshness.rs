//! The Go code under `clients/go/internal/gen` was made from the contracts as they are now.
//!
//! Every generated file holds the descriptor it was made from as a string literal. It is read back and compared with
//! the descriptor of this build, so that no generator is needed to notice a stale file.

use std::path::Path;

use prost::Message;
use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

const REGENERATE: &str = "run `buf generate --template buf.gen.go.yaml` in proto/";

#[test]
fn the_generated_go_code_is_that_of_these_contracts() {
    let built =
        FileDescriptorSet::decode(sheaf_proto::FILE_DESCRIPTOR_SET).expect("the build wrote a descriptor");
    let generated = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/go/internal/gen");
    let mut compared = 0;
    for file in built.file {
        let path = generated.join(file.name().replace(".proto", ".pb.go"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let bytes = raw_descriptor(&text).unwrap_or_else(|| panic!("{} holds no descriptor", path.display()));
        let committed =
            FileDescriptorProto::decode(bytes.as_slice()).expect("the generated descriptor decodes");
        assert!(comparable(committed) == comparable(file), "{} is stale: {REGENERATE}", path.display());
        compared += 1;
    }
    assert_eq!(compared, 3);
}

/// Without what compilers fill in as they like.
fn comparable(mut file: FileDescriptorProto) -> FileDescriptorProto {
    file.source_code_info = None;
    file.message_type.iter_mut().for_each(forget_json_names);
    file
}

fn forget_json_names(message: &mut DescriptorProto) {
    message.field.iter_mut().for_each(|field| field.json_name = None);
    message.nested_type.iter_mut().for_each(forget_json_names);
}

/// The bytes of the constant that ends in `_rawDesc`: string literals joined by `+`.
fn raw_descriptor(text: &str) -> Option<Vec<u8>> {
    let (_, literals) = text.split_once("_rawDesc = \"\" +\n")?;
    let mut bytes = Vec::new();
    for line in literals.lines() {
        let line = line.trim();
        let continues = line.ends_with('+');
        let literal = line.trim_end_matches('+').trim_end().strip_prefix('"')?.strip_suffix('"')?;
        unescape(literal, &mut bytes)?;
        if !continues {
            return Some(bytes);
        }
    }
    None
}

/// Go's escapes in an interpreted string literal, as its generator writes them.
fn unescape(literal: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let mut letters = literal.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        bytes.push(match letters.next()? {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 0x0b,
            '\\' => b'\\',
            '"' => b'"',
            'x' => {
                let digits: String = letters.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(())
}
