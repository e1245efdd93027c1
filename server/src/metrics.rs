//! Figures of the server, in OpenMetrics' text form.
//!
//! Names begin with `sheafd_`, units are base units and stand last. Labels take few values: never a collection or a
//! client.

mod storage;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use sheaf_storage::Store;

use storage::StorageFigures;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WireOutcome {
    outcome: &'static str,
}

/// The figures. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<Outcome, Counter>,
    seconds: Family<Method, Histogram>,
    in_flight: Gauge,
    documents_sent: Counter<u64, AtomicU64>,
    bytes_sent: Counter<u64, AtomicU64>,
    wire_connections: Gauge,
    wire_requests: Family<WireOutcome, Counter>,
    wire_seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::register(Registry::with_prefix("sheafd"))
    }
}

impl Metrics {
    /// With the figures of a store beside the server's own.
    pub fn of_store(store: Store) -> Self {
        let mut registry = Registry::with_prefix("sheafd");
        registry.register_collector(Box::new(StorageFigures(store)));
        Self::register(registry)
    }

    fn register(mut registry: Registry) -> Self {
        let requests = Family::default();
        // 50 us to 26 s, doubling.
        let histogram = || Histogram::new(exponential_buckets(0.000_05, 2.0, 20));
        let seconds: Family<Method, Histogram> = Family::new_with_constructor(histogram);
        let in_flight = Gauge::default();
        let (documents_sent, bytes_sent) = (Counter::default(), Counter::default());
        registry.register("grpc_requests", "gRPC requests answered, by outcome", requests.clone());
        registry.register(
            "grpc_request_seconds",
            "Time to the answer, or to its first batch",
            seconds.clone(),
        );
        registry.register("grpc_requests_in_flight", "gRPC requests being answered", in_flight.clone());
        registry.register(
            "documents_sent",
            "Documents sent by Find, FindPage and Aggregate",
            documents_sent.clone(),
        );
        registry.register("document_bytes_sent", "Bytes of these documents", bytes_sent.clone());
        let (wire_connections, wire_requests, wire_seconds) =
            (Gauge::default(), Family::default(), histogram());
        registry.register("wire_connections", "Open MongoDB wire connections", wire_connections.clone());
        registry.register("wire_requests", "MongoDB wire commands run, by outcome", wire_requests.clone());
        registry.register("wire_request_seconds", "Time to their reply", wire_seconds.clone());
        Self {
            registry: Arc::new(registry),
            requests,
            seconds,
            in_flight,
            documents_sent,
            bytes_sent,
            wire_connections,
            wire_requests,
            wire_seconds,
        }
    }
}

impl Metrics {
    /// A request begins.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request was answered.
    pub fn answered(&self, method: &'static str, code: tonic::Code, after: Duration) {
        self.requests.get_or_create(&Outcome { method, code: code_name(code) }).inc();
        self.seconds.get_or_create(&Method { method }).observe(after.as_secs_f64());
    }

    /// Documents were sent.
    pub fn sent(&self, documents: u64, bytes: u64) {
        self.documents_sent.inc_by(documents);
        self.bytes_sent.inc_by(bytes);
    }

    /// A MongoDB wire connection begins.
    pub fn wire_connection(&self) -> InFlight {
        self.wire_connections.inc();
        InFlight(self.wire_connections.clone())
    }

    /// A command of the MongoDB wire door was run.
    pub fn wire_answered(&self, is_ok: bool, after: Duration) {
        let outcome = if is_ok { "ok" } else { "error" };
        self.wire_requests.get_or_create(&WireOutcome { outcome }).inc();
        self.wire_seconds.observe(after.as_secs_f64());
    }

    /// Everything, as a scraper reads it. Takes locks of the store: not for a thread that serves the network.
    pub fn to_text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// Counts a request as being answered, or a connection as open, for as long as it lives.
pub struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_appear_in_the_text() {
        let metrics = Metrics::default();
        let request = metrics.begin();
        metrics.answered("Get", tonic::Code::NotFound, Duration::from_millis(3));
        metrics.sent(7, 700);
        let connection = metrics.wire_connection();
        metrics.wire_answered(false, Duration::from_millis(1));
        let text = metrics.to_text().unwrap();
        for line in [
            "sheafd_grpc_requests_total{method=\"Get\",code=\"NOT_FOUND\"} 1",
            "sheafd_grpc_request_seconds_count{method=\"Get\"} 1",
            "sheafd_grpc_requests_in_flight 1",
            "sheafd_documents_sent_total 7",
            "sheafd_document_bytes_sent_total 700",
            "sheafd_wire_connections 1",
            "sheafd_wire_requests_total{outcome=\"error\"} 1",
            "sheafd_wire_request_seconds_count 1",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        drop((request, connection));
        let text = metrics.to_text().unwrap();
        assert!(
            text.contains("sheafd_grpc_requests_in_flight 0") && text.contains("sheafd_wire_connections 0")
        );
    }
}
