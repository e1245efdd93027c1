//! The MongoDB wire door with clients that break the protocol: each is told, or hung up on, and nobody else notices.

use std::time::{Duration, Instant};

use sheaf_document::ValueRef;
use sheaf_server::wire::Limits;

use crate::wire_client::{
    OP_MSG, OP_QUERY, WireDoor, body, command, document, is_ok, message, sequence, with_length,
};

const PROTOCOL_ERROR: i32 = 17;

fn ping() -> sheaf_document::RawDocumentBuf {
    command("admin", |command| {
        command.append("ping", 1);
    })
}

#[test]
fn wrong_lengths_end_the_connection() {
    let door = WireDoor::open();
    let mut witness = door.connect();
    for length in [i32::MIN, -1, 0, 15, 48_000_001, i32::MAX] {
        let mut client = door.connect();
        client.write(&with_length(length, 1, OP_MSG, &[0; 100]));
        client.expect_error(PROTOCOL_ERROR);
        client.expect_end();
        witness.ping();
    }
    // Who does not speak the protocol gets no answer in it.
    let mut client = door.connect();
    client.write(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    client.expect_end();
}

#[test]
fn a_message_at_its_limit_is_taken_and_one_byte_more_is_not() {
    let ping = [&[0; 4][..], &body(&ping())].concat();
    let exact = message(1, OP_MSG, &ping);
    let door = WireDoor::with_limits(Limits { message_bytes_max: exact.len(), ..Limits::default() });
    let mut client = door.connect();
    client.write(&exact);
    assert!(is_ok(&client.read().unwrap().document));
    client.write(&message(1, OP_MSG, &[&ping[..], &[0]].concat()));
    client.expect_error(PROTOCOL_ERROR);
    client.expect_end();
}

#[test]
fn claims_are_not_believed() {
    let door = WireDoor::open();
    let mut witness = door.connect();
    let mut claimants: Vec<_> = (0..100).map(|_| door.connect()).collect();
    for claimant in &mut claimants {
        claimant.write(&with_length(48_000_000, 1, OP_MSG, &[0; 64]));
    }
    witness.ping();
    let begun = Instant::now();
    drop(claimants);
    // Inside a message, too: lengths of sections and documents that are not there.
    for claim in [48_000_000, i32::MAX] {
        for section in [vec![0], vec![1]] {
            witness.send(0, &[[&section[..], &claim.to_le_bytes(), &[0; 30]].concat()]);
            witness.expect_error(PROTOCOL_ERROR);
        }
    }
    witness.ping();
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_message_that_does_not_go_on_ends_the_connection() {
    let limits = Limits { step_time_max: Duration::from_millis(100), ..Limits::default() };
    let door = WireDoor::with_limits(limits);
    let mut silent = door.connect();
    silent.ping();
    let whole = message(1, OP_MSG, &[&[0; 4][..], &body(&ping())].concat());
    for cut in [1, 15, 16, 20, whole.len() - 1] {
        let mut client = door.connect();
        client.write(&whole[..cut]);
        let begun = Instant::now();
        client.expect_end();
        assert!(begun.elapsed() < Duration::from_secs(10), "{cut}");
    }
    // Between messages a client may be silent as long as it likes.
    silent.ping();
}

#[test]
fn one_byte_at_a_time_is_slow_but_not_wrong() {
    let door = WireDoor::open();
    let mut client = door.connect();
    for byte in message(1, OP_MSG, &[&[0; 4][..], &body(&ping())].concat()) {
        client.write(&[byte]);
    }
    assert!(is_ok(&client.read().unwrap().document));
}

#[test]
fn broken_messages_are_refused_and_the_next_is_answered() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let whole = body(&ping());
    for (flags, sections) in [
        (0, vec![]),
        (0, vec![whole.clone(), whole.clone()]),
        (0, vec![sequence("documents", &[])]),
        (0, vec![whole[..whole.len() - 1].to_vec()]),
        (0, vec![whole.clone(), vec![1, 4, 0, 0, 0]]),
        (0, vec![whole.clone(), vec![1, 9, 0, 0, 0, b'a']]),
        (0, vec![whole.clone(), vec![1, 6, 0, 0, 0, 0xff, 0]]),
        (0, vec![whole.clone(), vec![1, 7, 0, 0, 0, b'a', 0, 0]]),
    ] {
        client.send(flags, &sections);
        client.expect_error(PROTOCOL_ERROR);
        client.ping();
    }
    client.send(4, std::slice::from_ref(&whole));
    client.expect_error(223);
    let mut not_bson = whole.clone();
    not_bson[5] = 0x7e;
    client.send(0, &[not_bson]);
    client.expect_error(22);
    client.ping();
}

#[test]
fn many_sequences_are_refused() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let mut sections = vec![sequence("a", &[]); 100_000];
    sections.push(body(&ping()));
    client.send(0, &sections);
    client.expect_error(PROTOCOL_ERROR);
    client.ping();
}

#[test]
fn many_fields_and_many_documents_take_bounded_time() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let begun = Instant::now();
    let many = client.run("admin", |command| {
        command.append("ping", 1);
        for n in 0..200_000 {
            command.append(&format!("f{n}"), 1);
        }
    });
    assert!(!many.as_raw().is_empty());
    let empty = vec![document(|_| {}); 200_000];
    let insert = command("shop", |command| {
        command.append("insert", "orders");
    });
    client.send(0, &[body(&insert), sequence("documents", &empty)]);
    // More than a write batch may have.
    client.expect_error(16);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn operations_that_are_not_spoken_end_the_connection() {
    let door = WireDoor::open();
    for code in [1, 2001, 2002, 2005, 2006, 2007, 2012] {
        let mut client = door.connect();
        client.write(&message(1, code, &[0; 32]));
        client.expect_error(PROTOCOL_ERROR);
        client.expect_end();
    }
    for code in [0, -1, 1000, 2003, 2010, 2014, i32::MAX] {
        let mut client = door.connect();
        client.write(&message(1, code, &[0; 32]));
        while let Some(reply) = client.read() {
            // 2003 lies among the legacy operations.
            assert_eq!(code, 2003, "{reply:?}");
        }
    }
}

#[test]
fn cut_legacy_queries_are_refused() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let query = document(|query| {
        query.append("isMaster", 1);
    });
    let whole = [&[0; 4][..], b"admin.$cmd\0", &[0; 8], query.as_bytes()].concat();
    for cut in 0..whole.len() {
        client.write(&message(1, OP_QUERY, &whole[..cut]));
        let reply = client.read().expect("an error");
        assert_eq!(reply.document.as_raw().get("ok"), Some(ValueRef::Double(0.0)), "{cut}: {reply:?}");
    }
    client.write(&message(1, OP_QUERY, &whole));
    assert!(is_ok(&client.read().unwrap().document));
}

#[test]
fn flipped_bits_never_stop_the_door() {
    let door = WireDoor::open();
    let whole = message(
        1,
        OP_MSG,
        &[
            &[0; 4][..],
            &body(&command("shop", |command| {
                command.append("insert", "orders");
            })),
            &sequence(
                "documents",
                &[document(|document| {
                    document.append("a", "text");
                })],
            ),
        ]
        .concat(),
    );
    // Not the first four bytes: a longer length only waits for what does not come.
    for bit in 32..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut client = door.connect();
        client.write(&damaged);
        client.finish();
        // An answer, an error or silence: all but a panic.
        while client.read().is_some() {}
    }
    door.connect().ping();
}

#[test]
fn connections_are_counted() {
    let door = WireDoor::with_limits(Limits { connections_max: 2, ..Limits::default() });
    let (mut first, mut second) = (door.connect(), door.connect());
    first.ping();
    second.ping();
    door.connect().expect_end();
    drop(first);
    let begun = Instant::now();
    loop {
        let mut third = door.connect();
        third.send(0, &[body(&ping())]);
        if third.read().is_some() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "the place is not given back");
        std::thread::sleep(Duration::from_millis(5));
    }
    second.ping();
}
