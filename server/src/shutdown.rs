//! When to stop.

use tokio::sync::watch;

/// Tells everybody who listens that the server is to stop.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// Waits for the server to be told to stop. Clones hear the same.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and what it triggers.
pub fn channel() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// Tells the server to stop. Telling it twice changes nothing.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns when the server is to stop, or when nobody is left who could say so.
    pub async fn requested(mut self) {
        // An error means that the trigger is gone: then nobody wants the server any more.
        let _gone = self.0.wait_for(|stop| *stop).await;
    }

    /// Whether the server was told to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }
}

/// Returns at the next SIGTERM or SIGINT; the name of the signal is for the log.
#[cfg(unix)]
pub async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Returns at the next Ctrl-C.
#[cfg(not(unix))]
pub async fn signal() -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await?;
    Ok("Ctrl-C")
}
