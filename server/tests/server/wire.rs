//! The MongoDB wire door with clients that keep to the protocol.

use std::time::{Duration, Instant};

use sheaf_document::{RawDocumentBuf, ValueRef};
use sheaf_server::wire::Limits;

use crate::wire_client::{
    OP_MSG, OP_REPLY, WireDoor, body, command, cursor, document, error_code, is_ok, sequence,
};

const MORE_TO_COME: u32 = 2;
const EXHAUST_ALLOWED: u32 = 1 << 16;

fn int(reply: &RawDocumentBuf, field: &str) -> i32 {
    match reply.as_raw().get(field) {
        Some(ValueRef::Int32(number)) => number,
        other => panic!("{field}: {other:?} in {reply:?}"),
    }
}

fn hello(more: impl FnOnce(&mut sheaf_document::DocumentBuilder)) -> RawDocumentBuf {
    command("admin", |command| {
        command.append("hello", 1);
        more(command);
    })
}

#[test]
fn the_handshake_is_that_of_a_server_alone_with_sessions() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let legacy = document(|query| {
        query.append("isMaster", 1).append("helloOk", true);
    });
    let wrapped = document(|query| {
        query.document("$query", |inner| {
            inner.append("ismaster", 1).append("helloOk", true);
        });
    });
    for query in [legacy, wrapped] {
        let id = client.send_query("admin.$cmd", &query);
        let reply = client.read().unwrap();
        assert_eq!((reply.op_code, reply.response_to, reply.flags), (OP_REPLY, id, 8));
        let document = reply.document.as_raw();
        assert_eq!(document.get("ismaster"), Some(ValueRef::Boolean(true)));
        assert_eq!(document.get("helloOk"), Some(ValueRef::Boolean(true)));
    }
    let reply = client.run("admin", |command| {
        command.append("hello", 1);
    });
    assert!(is_ok(&reply));
    assert_eq!(reply.as_raw().get("isWritablePrimary"), Some(ValueRef::Boolean(true)));
    assert_eq!(reply.as_raw().get("setName"), None);
    assert_eq!(reply.as_raw().get("compression"), None);
    assert_eq!(int(&reply, "maxBsonObjectSize"), 16 << 20);
    assert_eq!(
        usize::try_from(int(&reply, "maxMessageSizeBytes")).unwrap(),
        Limits::default().message_bytes_max
    );
    assert_eq!(int(&reply, "maxWriteBatchSize"), 100_000);
    assert_eq!(int(&reply, "logicalSessionTimeoutMinutes"), 30);
    assert_eq!((int(&reply, "minWireVersion"), int(&reply, "maxWireVersion")), (0, 27));
}

#[test]
fn other_legacy_queries_are_refused() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let ping = document(|query| {
        query.append("ping", 1);
    });
    let hello = document(|query| {
        query.append("hello", 1);
    });
    for (namespace, query) in [("admin.$cmd", &ping), ("shop.orders", &hello), ("shop.$cmd", &hello)] {
        client.send_query(namespace, query);
        let reply = client.read().unwrap();
        assert_eq!(reply.op_code, OP_REPLY);
        assert_eq!(error_code(&reply.document), Some(352), "{reply:?}");
    }
    client.ping();
}

#[test]
fn both_kinds_of_section_carry_a_command() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let documents: Vec<_> = (0..300)
        .map(|n| {
            document(|document| {
                document.append("_id", n);
            })
        })
        .collect();
    let insert = command("shop", |command| {
        command.append("insert", "orders");
    });
    // The sequence may stand before the body.
    client.send(0, &[sequence("documents", &documents), body(&insert)]);
    let reply = client.read().unwrap();
    assert!(is_ok(&reply.document) && int(&reply.document, "n") == 300, "{reply:?}");
    let count = client.run("shop", |command| {
        command.append("count", "orders");
    });
    assert_eq!(int(&count, "n"), 300);
    let found = client.run("shop", |command| {
        command.append("find", "orders").append("batchSize", 250);
    });
    let (first, id) = cursor(&found);
    assert_eq!(first, 250);
    let rest = client.run("shop", |command| {
        command.append("getMore", id).append("collection", "orders");
    });
    assert_eq!(cursor(&rest), (50, 0));
}

#[test]
fn a_sequence_that_is_also_in_the_body_is_refused() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let one = document(|document| {
        document.append("_id", 1);
    });
    let insert = command("shop", |command| {
        command.append("insert", "orders").array("documents", |documents| {
            documents.push_ref(ValueRef::Document(one.as_raw()));
        });
    });
    client.send(0, &[body(&insert), sequence("documents", std::slice::from_ref(&one))]);
    client.expect_error(40413);
    client.ping();
}

#[test]
fn errors_are_replies() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let unknown = client.run("shop", |command| {
        command.append("atlasVersion", 1);
    });
    assert_eq!(error_code(&unknown), Some(59));
    client.send(
        0,
        &[body(&document(|command| {
            command.append("ping", 1);
        }))],
    );
    client.expect_error(40571);
    client.send(
        0,
        &[body(&document(|command| {
            command.append("ping", 1).append("$db", 5);
        }))],
    );
    client.expect_error(40571);
    let late = client.run("shop", |command| {
        command.append("ping", 1).append("maxTimeMS", -1);
    });
    assert_eq!(error_code(&late), Some(2));
    client.ping();
}

#[test]
fn a_message_with_more_to_come_is_run_and_not_answered() {
    let door = WireDoor::open();
    let mut client = door.connect();
    for n in 0..3 {
        let insert = command("shop", |command| {
            command.append("insert", "orders").array("documents", |documents| {
                documents.document(|document| {
                    document.append("_id", n);
                });
            });
            command.document("writeConcern", |concern| {
                concern.append("w", 0);
            });
        });
        client.send(MORE_TO_COME, &[body(&insert)]);
    }
    // Wrong ones, and the handshake, are not answered either.
    client.send(MORE_TO_COME, &[]);
    client.send(
        MORE_TO_COME,
        &[body(&document(|command| {
            command.append("nothing", 1);
        }))],
    );
    client.send(MORE_TO_COME, &[body(&hello(|_| {}))]);
    let count = client.run("shop", |command| {
        command.append("count", "orders");
    });
    assert_eq!(int(&count, "n"), 3);
}

#[test]
fn a_checksum_is_verified() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let ping = command("admin", |command| {
        command.append("ping", 1);
    });
    let rest = [&1u32.to_le_bytes()[..], &body(&ping)].concat();
    let length = i32::try_from(16 + rest.len() + 4).unwrap();
    let mut message = crate::wire_client::with_length(length, 5, OP_MSG, &rest);
    let checksum = crc32c::crc32c(&message).to_le_bytes();
    message.extend_from_slice(&checksum);
    client.write(&message);
    assert!(is_ok(&client.read().unwrap().document));

    let middle = message.len() / 2;
    message[middle] ^= 1;
    client.write(&message);
    client.expect_error(17);
    client.expect_end();
}

/// `hello` of a monitor that knows what `known` said.
fn awaiting(known: &RawDocumentBuf, millis: i32) -> RawDocumentBuf {
    let version = known.as_raw().get("topologyVersion").unwrap();
    hello(|command| {
        command.append_ref("topologyVersion", version).append("maxAwaitTimeMS", millis);
    })
}

#[test]
fn a_handshake_waits_for_news_that_do_not_come() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let known = client.run("admin", |command| {
        command.append("hello", 1);
    });
    let begun = Instant::now();
    client.send(0, &[body(&awaiting(&known, 120))]);
    assert!(is_ok(&client.read().unwrap().document));
    assert!(begun.elapsed() >= Duration::from_millis(120));

    // What somebody else said is no knowledge of this server.
    let foreign = hello(|command| {
        command.document("topologyVersion", |version| {
            version.append("processId", sheaf_document::ObjectId([7; 12])).append("counter", 0_i64);
        });
        command.append("maxAwaitTimeMS", 60_000);
    });
    let begun = Instant::now();
    client.send(0, &[body(&foreign)]);
    assert!(is_ok(&client.read().unwrap().document));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_waiting_handshake_streams_if_it_may_and_ends_with_the_server() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let known = client.run("admin", |command| {
        command.append("hello", 1);
    });
    let mut id = client.send(EXHAUST_ALLOWED, &[body(&awaiting(&known, 20))]);
    for _ in 0..3 {
        let reply = client.read().unwrap();
        assert_eq!((reply.flags, reply.response_to), (MORE_TO_COME, id));
        assert!(is_ok(&reply.document));
        id = reply.id;
    }
    // A client that speaks again gets the last of the stream, then its answer.
    client.send(
        0,
        &[body(&command("admin", |command| {
            command.append("ping", 1);
        }))],
    );
    let replies: Vec<_> = (0..100).map_while(|_| client.read().filter(|r| r.flags == MORE_TO_COME)).collect();
    assert!(replies.len() < 100, "the stream goes on");
    assert!(is_ok(&client.read().unwrap().document));

    client.send(EXHAUST_ALLOWED, &[body(&awaiting(&known, 60_000))]);
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    door.begin_to_stop();
    assert_eq!(client.read().unwrap().flags, 0);
    client.expect_end();
    door.stop();
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_drain_finishes_what_was_begun() {
    let door = WireDoor::open();
    let (mut busy, mut idle) = (door.connect(), door.connect());
    busy.ping();
    idle.ping();
    door.occupy(Duration::from_millis(300));
    std::thread::sleep(Duration::from_millis(50));
    busy.send(
        0,
        &[body(&command("shop", |command| {
            command.append("count", "orders");
        }))],
    );
    std::thread::sleep(Duration::from_millis(50));
    door.begin_to_stop();
    idle.expect_end();
    assert!(is_ok(&busy.read().unwrap().document));
    busy.expect_end();
    door.stop();
}

#[test]
fn what_others_wait_for_does_not_wait() {
    let door = WireDoor::open();
    let (mut usual, mut urgent) = (door.connect(), door.connect());
    let occupied = door.occupy_all();
    let begun = Instant::now();
    usual.send(
        0,
        &[body(&command("shop", |command| {
            command.append("count", "orders");
        }))],
    );
    urgent.ping();
    let hello = urgent.run("admin", |command| {
        command.append("hello", 1);
    });
    assert!(is_ok(&hello) && begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    drop(occupied);
    assert!(is_ok(&usual.read().unwrap().document));
}

#[test]
fn a_door_takes_clients_and_ends_while_its_pool_is_busy() {
    let (mut door, occupied) = WireDoor::behind_a_busy_pool();
    // By now it looks for idle cursors the first time, which waits for its turn on the pool, and nobody for that.
    std::thread::sleep(Duration::from_millis(50));
    let begun = Instant::now();
    door.connect().ping();
    door.end();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    drop(occupied);
}

#[test]
fn clients_that_wait_for_documents_leave_room_for_others() {
    let door = WireDoor::open();
    let mut other = door.connect();
    let made = other.run("shop", |command| {
        command.append("create", "log").append("capped", true).append("size", 4096);
    });
    assert!(is_ok(&made), "{made:?}");
    let written = other.run("shop", |command| {
        command.append("insert", "log").array("documents", |documents| {
            documents.document(|document| {
                document.append("_id", 1);
            });
        });
    });
    assert!(is_ok(&written), "{written:?}");
    // More of them than the pool has threads.
    let mut waiting: Vec<_> = (0..3).map(|_| door.connect()).collect();
    for client in &mut waiting {
        let found = client.run("shop", |command| {
            command.append("find", "log").append("tailable", true).append("awaitData", true);
        });
        let (_, id) = cursor(&found);
        let more = command("shop", |command| {
            command.append("getMore", id).append("collection", "log").append("maxTimeMS", 2_000);
        });
        client.send(0, &[body(&more)]);
    }
    std::thread::sleep(Duration::from_millis(100));
    let begun = Instant::now();
    let count = other.run("shop", |command| {
        command.append("count", "log");
    });
    assert_eq!(int(&count, "n"), 1);
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[test]
fn a_member_of_a_replica_set_tells_the_time() {
    let door = WireDoor::of_replica_set();
    let mut client = door.connect();
    let time = |reply: &RawDocumentBuf, field: &str| match reply.as_raw().get(field) {
        Some(ValueRef::Timestamp(time)) => time.as_u64(),
        other => panic!("{field}: {other:?} in {reply:?}"),
    };
    let gossip = |reply: &RawDocumentBuf| match reply.as_raw().get("$clusterTime") {
        Some(ValueRef::Document(given)) => given.to_buf(),
        other => panic!("{other:?} in {reply:?}"),
    };
    let mut last = 0;
    for id in 0..3 {
        let reply = client.run("shop", |insert| {
            insert.append("insert", "orders").array("documents", |documents| {
                documents.document(|order| {
                    order.append("_id", id);
                });
            });
        });
        assert!(is_ok(&reply), "{reply:?}");
        assert!(time(&reply, "operationTime") > last, "every write has a time of its own");
        last = time(&reply, "operationTime");
        assert!(time(&gossip(&reply), "clusterTime") >= last);
    }
    // What a driver does with them in a causal session, also over a connection that knows nothing of the first.
    let told = client.run("admin", |ping| {
        ping.append("ping", 1);
    });
    let reply = door.connect().run("shop", |find| {
        find.append("count", "orders").append("$clusterTime", gossip(&told).as_raw());
        find.document("readConcern", |concern| {
            concern.append("afterClusterTime", sheaf_document::Timestamp::from_u64(last));
        });
    });
    assert_eq!(int(&reply, "n"), 3);
    let refused = client.run("shop", |nothing| {
        nothing.append("nobodyHasThis", 1);
    });
    assert!(time(&refused, "operationTime") >= last, "errors have it too");
    let alone = WireDoor::open().connect().run("admin", |ping| {
        ping.append("ping", 1);
    });
    assert_eq!((alone.as_raw().get("operationTime"), alone.as_raw().get("$clusterTime")), (None, None));
}
