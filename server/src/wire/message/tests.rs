use super::*;
use crate::wire::header::{OP_MSG, encode};

const EMPTY: [u8; 5] = [5, 0, 0, 0, 0];

/// A whole message of these flags and sections.
fn whole(flags: u32, sections: &[&[u8]]) -> Bytes {
    let mut rest = flags.to_le_bytes().to_vec();
    rest.extend(sections.concat());
    let extra = if flags & CHECKSUM_PRESENT != 0 { 4 } else { 0 };
    let mut message = encode(rest.len() + extra, 1, 0, OP_MSG).to_vec();
    message.extend(rest);
    if extra != 0 {
        message.extend(crc32c::crc32c(&message).to_le_bytes());
    }
    Bytes::from(message)
}

fn body() -> Vec<u8> {
    [&[0][..], &EMPTY].concat()
}

fn sequence_of(name: &str, documents: usize) -> Vec<u8> {
    let mut section = [name.as_bytes(), &[0]].concat();
    section.extend(EMPTY.repeat(documents));
    let size = i32::try_from(section.len() + 4).unwrap();
    [&[1][..], &size.to_le_bytes(), &section].concat()
}

fn read(message: &Bytes) -> Result<Message, Fault> {
    parse(message, &Limits::default())
}

#[test]
fn sections_come_in_any_order() {
    for sections in [
        [&body()[..], &sequence_of("ops", 2), &sequence_of("nsInfo", 0)],
        [&sequence_of("ops", 2)[..], &body(), &sequence_of("nsInfo", 0)],
        [&sequence_of("ops", 2)[..], &sequence_of("nsInfo", 0), &body()],
    ] {
        let message = read(&whole(EXHAUST_ALLOWED | MORE_TO_COME, &sections)).unwrap();
        assert!(message.exhaust_allowed && message.more_to_come);
        assert_eq!(message.body, EMPTY.as_slice());
        let found: Vec<_> = message.sequences.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
        assert_eq!(found, [("ops", 10), ("nsInfo", 0)]);
    }
}

#[test]
fn the_checksum_covers_every_bit() {
    let message = whole(CHECKSUM_PRESENT, &[&body(), &sequence_of("documents", 1)]);
    assert!(read(&message).is_ok());
    let flags_at = HEADER_BYTES * 8;
    for bit in 0..message.len() * 8 {
        let mut damaged = message.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // Without its flag the checksum is a section of a strange kind, which may look like a part of the message.
        if bit != flags_at {
            assert!(read(&Bytes::from(damaged)).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn flags_that_must_be_understood_are_refused_and_others_ignored() {
    for bit in 2..16 {
        let fault = read(&whole(1 << bit, &[&body()])).unwrap_err();
        assert!(fault.error.code == ILLEGAL_OP_MSG_FLAG && !fault.is_fatal, "{fault:?}");
    }
    for bit in 17..32 {
        assert!(read(&whole(1 << bit, &[&body()])).is_ok());
    }
}

#[test]
fn bodies_are_there_once() {
    for sections in [&[][..], &[&sequence_of("a", 0)[..]], &[&body()[..], &body()]] {
        let fault = read(&whole(0, sections)).unwrap_err();
        assert_eq!(fault.error.code, PROTOCOL_ERROR);
    }
}

#[test]
fn strange_sections_end_the_connection() {
    assert!(read(&whole(0, &[&body(), &[2, 1, 2, 3]])).unwrap_err().is_fatal);
    assert!(read(&whole(0, &[&[0xff]])).unwrap_err().is_fatal);
}

#[test]
fn sequences_are_counted() {
    let limits = Limits { sequences_max: 3, ..Limits::default() };
    let many = [body(), sequence_of("a", 1).repeat(3)].concat();
    assert_eq!(parse(&whole(0, &[&many]), &limits).unwrap().sequences.len(), 3);
    let more = [body(), sequence_of("a", 1).repeat(4)].concat();
    assert!(parse(&whole(0, &[&more]), &limits).is_err());
}

#[test]
fn every_cut_is_refused_and_none_panics() {
    let message = whole(0, &[&body(), &sequence_of("documents", 3)]);
    let whole_sections = [HEADER_BYTES + 4 + body().len(), message.len()];
    for end in 0..=message.len() {
        let read = read(&message.slice(..end));
        assert_eq!(read.is_ok(), whole_sections.contains(&end), "{end}: {read:?}");
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    for claimed in [i32::MIN, -1, 0, 4, 6, i32::MAX] {
        let lying = [&[0][..], &claimed.to_le_bytes(), &[0]].concat();
        assert!(read(&whole(0, &[&lying])).is_err(), "body of {claimed}");
        let lying = [&body()[..], &[1], &claimed.to_le_bytes(), b"a"].concat();
        assert!(read(&whole(0, &[&lying])).is_err(), "sequence of {claimed}");
    }
    // A sequence of five bytes has an empty name and no documents; of six without a zero it has a name without end.
    assert!(read(&whole(0, &[&body(), &[1, 5, 0, 0, 0, 0]])).is_ok());
    assert!(read(&whole(0, &[&body(), &[1, 6, 0, 0, 0, b'a', b'b']])).is_err());
    assert!(read(&whole(0, &[&body(), &[1, 6, 0, 0, 0, 0xff, 0]])).is_err());
}
