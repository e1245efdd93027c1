//! The MongoDB wire door under noise: messages put together at random, mostly from valid parts.

use std::time::{Duration, Instant};

use sheaf_document::{DocumentBuilder, RawDocumentBuf};
use sheaf_server::wire::Limits;

use crate::wire_client::{OP_MSG, OP_QUERY, WireDoor, body, document, message, sequence, with_length};

/// Messages of an ordinary run, and of a deep one.
const MESSAGES: usize = 2_000;
const MESSAGES_DEEP: usize = 200_000;

const NAMES: [&str; 14] = [
    "ping",
    "hello",
    "insert",
    "find",
    "getMore",
    "update",
    "delete",
    "aggregate",
    "endSessions",
    "killCursors",
    "bulkWrite",
    "isMaster",
    "documents",
    "$db",
];

/// splitmix64 with a fixed seed, so that every failure repeats.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB) ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % bound
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.below(NAMES.len())]
    }

    fn document(&mut self, depth: usize) -> RawDocumentBuf {
        document(|builder| {
            for _ in 0..self.below(4) {
                self.field(builder, depth);
            }
            if self.below(4) > 0 {
                builder.append("$db", "noise");
            }
        })
    }

    fn field(&mut self, builder: &mut DocumentBuilder, depth: usize) {
        let key = self.name();
        match self.below(6) {
            0 => builder.append(key, "noise"),
            1 => builder.append(key, i32::try_from(self.below(5)).unwrap()),
            2 => builder.append(key, self.next() & 1 == 0),
            3 => builder.append(key, 1.5),
            4 if depth > 0 => {
                let inner = self.document(depth - 1);
                builder.append_ref(key, sheaf_document::ValueRef::Document(inner.as_raw()))
            }
            _ => builder.array(key, |array| {
                array.document(|item| {
                    item.append("_id", 1);
                });
            }),
        };
    }

    /// A message; sometimes with a wrong length, a flipped bit or a cut.
    fn message(&mut self) -> Vec<u8> {
        let flags = [0u32, 0, 0, 0, 1, 2, 4, 1 << 16][self.below(8)];
        let mut rest = flags.to_le_bytes().to_vec();
        for _ in 0..1 + self.below(3) {
            if self.below(3) > 0 {
                rest.extend(body(&self.document(2)));
            } else {
                let documents: Vec<_> = (0..self.below(4)).map(|_| self.document(1)).collect();
                rest.extend(sequence(self.name(), &documents));
            }
        }
        let op_code = [OP_MSG, OP_MSG, OP_MSG, OP_MSG, OP_QUERY, 2012][self.below(6)];
        let mut whole = match self.below(12) {
            0 => with_length(
                i32::from_le_bytes(self.next().to_le_bytes()[..4].try_into().unwrap()),
                1,
                op_code,
                &rest,
            ),
            _ => message(1, op_code, &rest),
        };
        match self.below(4) {
            0 => {
                let bit = self.below(whole.len() * 8);
                whole[bit / 8] ^= 1 << (bit % 8);
            }
            1 => whole.truncate(self.below(whole.len())),
            _ => {}
        }
        whole
    }
}

#[test]
fn deep_wire_noise() {
    let is_deep = std::env::var("SHEAF_DEEP").is_ok_and(|value| value == "1");
    let messages = if is_deep { MESSAGES_DEEP } else { MESSAGES };
    let limits = Limits { step_time_max: Duration::from_millis(500), ..Limits::default() };
    let door = WireDoor::with_limits(limits);
    let mut random = Random(26);
    let (begun, mut replies) = (Instant::now(), 0usize);
    let mut sent = 0;
    while sent < messages {
        let mut client = door.connect();
        for _ in 0..1 + random.below(20) {
            client.write(&random.message());
            sent += 1;
        }
        client.finish();
        while client.read().is_some() {
            replies += 1;
        }
    }
    // What is left of the noise is nothing: no connection, no cursor, and a door that answers.
    door.connect().ping();
    assert!(
        replies > sent / 10,
        "{replies} replies to {sent} messages: the noise is too wild to test anything"
    );
    println!("stage wire_noise: {sent} messages, {replies} replies in {:.1?}", begun.elapsed());
    let waiting = Instant::now();
    while door.commands.database().cursors().count() > 0 {
        assert!(waiting.elapsed() < Duration::from_secs(10), "cursors outlive their connections");
        std::thread::sleep(Duration::from_millis(5));
    }
}
