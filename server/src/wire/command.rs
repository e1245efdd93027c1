//! From the parts of a message to one command document, and from there to its reply.

use bytes::Bytes;
use sheaf_command::{CommandReply, CommandSession, run_command};
use sheaf_document::{DOCUMENT_BYTES_HEADROOM, DOCUMENT_BYTES_MAX, RawDocument, ValueRef};
use sheaf_engine::{Error, error_code};

use super::fault::{Fault, NO_DATABASE};
use super::message::{Message, length_at};

/// Largest document of a message in bytes: the largest that is stored, with what a command puts around it.
const PART_BYTES_MAX: usize = DOCUMENT_BYTES_MAX + DOCUMENT_BYTES_HEADROOM;

/// Runs a message. Whatever goes wrong is in the reply.
pub fn run(session: &CommandSession, message: &Message) -> CommandReply {
    let command = match assemble(message) {
        Ok(command) => command,
        Err(fault) => return CommandReply::failure(&fault.error),
    };
    // Every part has its own limit, and all together are a message: a third limit would refuse nothing more.
    match RawDocument::validate_with_limit(&command, usize::MAX) {
        Ok(command) => run_on_its_database(session, command).with_times(session.commands()),
        Err(error) => CommandReply::failure(&Error::from(error)),
    }
}

fn run_on_its_database(session: &CommandSession, command: RawDocument<'_>) -> CommandReply {
    match command.get("$db") {
        Some(ValueRef::String(database)) => run_command(session, database, command),
        _ => CommandReply::failure(&Error::new(
            NO_DATABASE,
            "an OP_MSG request needs the name of a database, a string, as $db",
        )),
    }
}

/// The body with every sequence as an array at its end. A message without sequences is not copied.
fn assemble(message: &Message) -> Result<Bytes, Fault> {
    let parts = message.sequences.iter().map(|(_, documents)| documents.len());
    check_size(message.body.len())?;
    let Some((_terminator, fields)) = message.body.split_last().filter(|_| !message.sequences.is_empty())
    else {
        return Ok(message.body.clone());
    };
    // The keys of the arrays come on top; they are what the buffer grows for.
    let mut command = Vec::with_capacity(message.body.len() + parts.sum::<usize>());
    command.extend_from_slice(fields);
    for (name, documents) in &message.sequences {
        append_array(&mut command, name, documents)?;
    }
    command.push(0);
    close(&mut command, 0);
    Ok(Bytes::from(command))
}

/// Appends the documents of a sequence as the elements of an array.
fn append_array(command: &mut Vec<u8>, name: &str, mut documents: &[u8]) -> Result<(), Fault> {
    const DOCUMENT: u8 = 3;
    const ARRAY: u8 = 4;
    command.push(ARRAY);
    command.extend_from_slice(name.as_bytes());
    command.push(0);
    let start = command.len();
    command.extend_from_slice(&[0; 4]);
    let mut index = 0u32;
    while !documents.is_empty() {
        let length = length_at(documents, 5)?;
        check_size(length)?;
        let (document, rest) = documents.split_at(length);
        command.push(DOCUMENT);
        command.extend_from_slice(index.to_string().as_bytes());
        command.push(0);
        command.extend_from_slice(document);
        documents = rest;
        index += 1;
    }
    command.push(0);
    close(command, start);
    Ok(())
}

/// Writes the length of what begins at `start` and ends here.
fn close(command: &mut [u8], start: usize) {
    // The shortest document of a sequence has 5 bytes and gets a key of 10 at most: a message of 48 MB stays below
    // 150 MB, far from where 32 bits end.
    let length = i32::try_from(command.len() - start).unwrap_or(i32::MAX);
    if let Some(slot) = command.get_mut(start..start + 4) {
        slot.copy_from_slice(&length.to_le_bytes());
    }
}

fn check_size(bytes: usize) -> Result<(), Fault> {
    if bytes <= PART_BYTES_MAX {
        return Ok(());
    }
    let text = format!("a document of {bytes} bytes is larger than the limit of {PART_BYTES_MAX}");
    Err(Fault::of_request(error_code::OBJECT_TOO_LARGE, text))
}

#[cfg(test)]
mod tests {
    use sheaf_document::DocumentBuilder;

    use super::*;

    fn document(n: i32) -> Vec<u8> {
        let mut builder = DocumentBuilder::new();
        builder.append("n", n);
        builder.build().into_bytes()
    }

    fn message(sequences: &[(&str, Vec<u8>)]) -> Message {
        Message {
            more_to_come: false,
            exhaust_allowed: false,
            body: Bytes::from(document(7)),
            sequences: sequences
                .iter()
                .map(|(name, documents)| ((*name).to_owned(), Bytes::from(documents.clone())))
                .collect(),
        }
    }

    #[test]
    fn sequences_become_arrays_behind_the_body() {
        let twelve: Vec<u8> = (0..12).flat_map(document).collect();
        let command = assemble(&message(&[("documents", twelve), ("none", Vec::new())])).unwrap();
        let command = RawDocument::validate(&command).unwrap();
        let keys: Vec<_> = command.iter().map(|element| element.key().to_owned()).collect();
        assert_eq!(keys, ["n", "documents", "none"]);
        let mut same = DocumentBuilder::new();
        same.append("n", 7);
        same.array("documents", |array| {
            for n in 0..12 {
                array.document(|item| {
                    item.append("n", n);
                });
            }
        });
        same.array("none", |_| {});
        assert_eq!(command.as_bytes(), same.build().as_bytes());
    }

    #[test]
    fn a_body_alone_is_not_copied() {
        let message = message(&[]);
        assert_eq!(assemble(&message).unwrap().as_ptr(), message.body.as_ptr());
    }

    #[test]
    fn sequences_of_broken_documents_are_refused() {
        for documents in [vec![1], vec![4, 0, 0, 0], vec![9, 0, 0, 0, 0], [document(1), vec![0]].concat()] {
            assert!(assemble(&message(&[("documents", documents)])).is_err());
        }
    }

    #[test]
    fn every_part_has_its_limit() {
        let of_size = |bytes: usize| {
            let mut builder = DocumentBuilder::new();
            builder.append("text", "x".repeat(bytes - 16));
            builder.build().into_bytes()
        };
        assert_eq!(of_size(PART_BYTES_MAX).len(), PART_BYTES_MAX);
        assert!(assemble(&message(&[("documents", of_size(PART_BYTES_MAX).repeat(2))])).is_ok());
        let fault = assemble(&message(&[("documents", of_size(PART_BYTES_MAX + 1))])).unwrap_err();
        assert_eq!(fault.error.code, error_code::OBJECT_TOO_LARGE);
        let body = Bytes::from(of_size(PART_BYTES_MAX + 1));
        assert!(assemble(&Message { body, ..message(&[]) }).is_err());
    }
}
