//! Cursors and sessions at the MongoDB wire door.

use std::time::{Duration, Instant};

use sheaf_document::{Binary, DocumentBuilder, RawDocumentBuf, Value, ValueRef};

use crate::wire_client::{Client, WireDoor, cursor, error_code, is_ok};

fn fill(client: &mut Client) {
    let reply = client.run("shop", |command| {
        command.append("insert", "orders").array("documents", |documents| {
            for n in 0..50 {
                documents.document(|document| {
                    document.append("_id", n);
                });
            }
        });
    });
    assert!(is_ok(&reply), "{reply:?}");
}

fn session(command: &mut DocumentBuilder, id: [u8; 16]) {
    command.document("lsid", |lsid| {
        lsid.append_ref("id", ValueRef::Binary(Binary { subtype: 4, bytes: &id }));
    });
}

fn open(client: &mut Client, lsid: Option<[u8; 16]>) -> i64 {
    let reply = client.run("shop", |command| {
        command.append("find", "orders").append("batchSize", 10);
        if let Some(id) = lsid {
            session(command, id);
        }
    });
    let (documents, id) = cursor(&reply);
    assert!(documents == 10 && id != 0, "{reply:?}");
    id
}

fn get_more(client: &mut Client, id: i64, lsid: Option<[u8; 16]>) -> RawDocumentBuf {
    client.run("shop", |command| {
        command.append("getMore", id).append("collection", "orders").append("batchSize", 5);
        if let Some(id) = lsid {
            session(command, id);
        }
    })
}

/// The number of open cursors becomes this.
fn expect_cursors(door: &WireDoor, count: usize) {
    let begun = Instant::now();
    while door.commands.database().cursors().count() != count {
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", door.commands.database().cursors());
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_cursor_dies_with_its_connection() {
    let door = WireDoor::open();
    let (mut stays, mut leaves) = (door.connect(), door.connect());
    fill(&mut stays);
    let kept = open(&mut stays, None);
    let lost = open(&mut leaves, None);
    expect_cursors(&door, 2);
    assert_eq!(error_code(&get_more(&mut stays, lost, None)), Some(13));
    drop(leaves);
    expect_cursors(&door, 1);
    assert_eq!(error_code(&get_more(&mut stays, lost, None)), Some(43));
    assert_eq!(cursor(&get_more(&mut stays, kept, None)), (5, kept));
}

#[test]
fn a_cursor_of_a_session_lives_across_connections_and_dies_with_the_session() {
    let door = WireDoor::open();
    let lsid = Some([9; 16]);
    let mut first = door.connect();
    fill(&mut first);
    let id = open(&mut first, lsid);
    drop(first);
    let mut second = door.connect();
    assert_eq!(cursor(&get_more(&mut second, id, lsid)), (5, id));
    assert_eq!(error_code(&get_more(&mut second, id, Some([8; 16]))), Some(13));
    let ended = second.run("admin", |command| {
        command.array("endSessions", |sessions| {
            sessions.document(|document| {
                document.append_ref("id", ValueRef::Binary(Binary { subtype: 4, bytes: &[9; 16] }));
            });
        });
    });
    assert!(is_ok(&ended), "{ended:?}");
    expect_cursors(&door, 0);
    assert_eq!(error_code(&get_more(&mut second, id, lsid)), Some(43));
}

#[test]
fn cursors_are_killed_by_number() {
    let door = WireDoor::open();
    let mut client = door.connect();
    fill(&mut client);
    let id = open(&mut client, None);
    let reply = client.run("shop", |command| {
        command.append("killCursors", "orders");
        command.append("cursors", vec![Value::Int64(id), Value::Int64(77)]);
    });
    let list = |field| match reply.as_raw().get(field) {
        Some(ValueRef::Array(array)) => array.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(list("cursorsKilled"), [format!("{:?}", ValueRef::Int64(id))]);
    assert_eq!(list("cursorsNotFound"), [format!("{:?}", ValueRef::Int64(77))]);
    expect_cursors(&door, 0);
}

#[test]
fn a_client_learns_where_it_comes_from() {
    let door = WireDoor::open();
    let mut client = door.connect();
    let reply = client.run("admin", |command| {
        command.append("whatsmyuri", 1);
    });
    let Some(ValueRef::String(you)) = reply.as_raw().get("you") else { panic!("{reply:?}") };
    let you: std::net::SocketAddr = you.parse().unwrap();
    assert!(you.ip().is_loopback() && you != door.address, "{you}");
}
