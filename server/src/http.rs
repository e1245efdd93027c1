//! The HTTP door: health for people and orchestrators, metrics for scrapers.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;
use crate::shutdown::Shutdown;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone)]
struct Door {
    metrics: Metrics,
    /// Fires when the server begins to drain: it is not ready from then on.
    draining: Shutdown,
}

/// Serves until `closed` fires.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    draining: Shutdown,
    closed: Shutdown,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .with_state(Door { metrics, draining });
    axum::serve(listener, router).with_graceful_shutdown(closed.requested()).await
}

/// The process answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The server takes requests.
async fn readyz(State(door): State<Door>) -> Response {
    if door.draining.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    "ready\n".into_response()
}

async fn metrics_text(State(door): State<Door>) -> Response {
    let failed = |error: String| (StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
    match tokio::task::spawn_blocking(move || door.metrics.to_text()).await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Ok(Err(error)) => failed(error.to_string()),
        Err(error) => failed(error.to_string()),
    }
}
