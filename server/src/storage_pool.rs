//! Where blocking work happens: threads beside the ones that serve the network.
//!
//! A bound on the requests that work at once, and a bound on those that wait for their turn. More than that is refused
//! at once, which a caller can handle better than a queue that grows until every deadline has passed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Code, Status};

use crate::grpc::status;

/// Requests that may wait for a thread. At a millisecond each over 128 threads, the last waits about 80 ms.
const WAITING_MAX: usize = 10_000;

/// The threads for blocking work.
#[derive(Clone)]
pub struct StoragePool {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Counts a waiting request for as long as it lives.
struct Waiting<'p>(&'p AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl StoragePool {
    /// A pool in which this many requests work at once.
    pub fn new(threads_max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(threads_max)), waiting: Arc::new(AtomicUsize::new(0)) }
    }

    /// Runs blocking work on a thread of the pool. If the caller goes away while it waits for its turn, the work is
    /// not done; once begun it is finished.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = self.permit().await?;
        let worker = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        // A worker that panics says so in the log through the panic hook.
        worker.await.map_err(|_| status::lost_worker())
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, Status> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            let message = format!("{WAITING_MAX} requests are waiting already");
            return Err(status::with_reason(Code::ResourceExhausted, message, "OVERLOADED", HashMap::new()));
        }
        let closed = |_| {
            status::with_reason(
                Code::Unavailable,
                "the server is shutting down".to_owned(),
                "SHUTTING_DOWN",
                HashMap::new(),
            )
        };
        Arc::clone(&self.permits).acquire_owned().await.map_err(closed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_is_bounded_and_all_of_it_is_done() {
        let pool = StoragePool::new(2);
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (pool, running, most) = (pool.clone(), Arc::clone(&running), Arc::clone(&most));
                tokio::spawn(async move {
                    pool.run(move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                        number
                    })
                    .await
                })
            })
            .collect();
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap().unwrap(), number);
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(pool.waiting.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_panic_in_the_work_is_an_error_of_the_call() {
        let pool = StoragePool::new(1);
        let status = pool.run(|| panic!("on purpose")).await.map(|(): ()| ()).unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(pool.run(|| 5).await.unwrap(), 5);
    }
}
