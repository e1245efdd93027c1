//! The queue under random schedules: one leader at a time, one answer for each request, nobody left waiting. Shuttle
//! reports a schedule in which all threads wait as a deadlock.

use std::sync::Arc;

use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use shuttle::thread;

use super::{CommitQueue, Request};
use crate::error::{Error, Result};
use crate::options::{Durability, WalCompression};
use crate::timestamp::Timestamp;
use crate::wal::compression::EncodedOperations;
use crate::write_batch::{Operation, WriteBatch};

const SCHEDULES: usize = 20_000;
const THREADS: u64 = 4;
const COMMITS: u64 = 3;

fn request(number: u64, durability: Durability) -> Request {
    let mut batch = WriteBatch::new();
    batch.delete(number.to_le_bytes());
    let operations = EncodedOperations::new(batch.reduce(), WalCompression::None);
    Request { operations, durability, timestamp: None, check: None }
}

/// A store that answers each request with its own number, and fails if two lead at once.
#[derive(Default)]
struct Committed {
    leading: AtomicBool,
    count: AtomicU64,
}

impl Committed {
    fn commit(&self, group: &[Request]) -> Vec<Result<Timestamp>> {
        assert!(!self.leading.swap(true, Ordering::SeqCst), "two leaders");
        thread::yield_now();
        let answer = |request: &Request| {
            self.count.fetch_add(1, Ordering::SeqCst);
            let Some(Operation::Delete { key }) = request.operations.batch().operations().next() else {
                return Err(Error::Closed);
            };
            let number: [u8; 8] = key.try_into().map_err(|_| Error::Closed)?;
            Ok(Timestamp(u64::from_le_bytes(number)))
        };
        let answers = group.iter().map(answer).collect();
        assert!(self.leading.swap(false, Ordering::SeqCst));
        answers
    }
}

#[test]
fn every_request_gets_its_own_answer_from_one_leader_at_a_time() {
    let run = || {
        let (queue, store) = (Arc::new(CommitQueue::default()), Arc::new(Committed::default()));
        let threads = (0..THREADS).map(|thread| {
            let (queue, store) = (Arc::clone(&queue), Arc::clone(&store));
            thread::spawn(move || {
                for commit in 0..COMMITS {
                    let number = thread * COMMITS + commit;
                    let durability = if number % 3 == 0 { Durability::Sync } else { Durability::Async };
                    let answer = queue.commit(request(number, durability), |group| store.commit(&group));
                    assert_eq!(answer.unwrap(), Timestamp(number), "the answer of another");
                }
            })
        });
        for thread in threads.collect::<Vec<_>>() {
            thread.join().unwrap();
        }
        assert_eq!(store.count.load(Ordering::SeqCst), THREADS * COMMITS);
    };
    shuttle::check_random(run, SCHEDULES);
    println!("stage interleavings: {SCHEDULES} schedules of {THREADS} committers");
}
