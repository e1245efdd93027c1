//! Cluster time: what clients and servers of a replica set tell each other, so that a client reads what it wrote wherever it
//! asks next.
//!
//! A reply says when its operation was (`operationTime`) and the latest time anybody knows of (`$clusterTime`). A client
//! sends the latter back and asks for reads that are not older than the former (`afterClusterTime`). There is one member
//! here, which reads all that it acknowledged: such a read need not wait, but a time that nobody gave out is refused.

use sheaf_document::{Binary, DocumentBuilder, ValueRef};
use sheaf_engine::{Error, Result, Timestamp};

use crate::arguments::{Arguments, TYPE_MISMATCH};
use crate::clock::now_millis;
use crate::reply::CommandReply;
use crate::service::Commands;
use crate::transaction::timestamp_value;

/// How far ahead of the server's clock a time may be that a client brings: a year, as in MongoDB.
const DRIFT_SECONDS_MAX: i64 = 365 * 24 * 60 * 60;

/// Takes note of the cluster time that came with a command.
pub(crate) fn learn(commands: &Commands, arguments: &Arguments<'_>) -> Result<()> {
    let Some(given) = arguments.value("$clusterTime").filter(|_| commands.is_replica_set()) else {
        return Ok(());
    };
    let wrong = |what| Err(Error::new(TYPE_MISMATCH, format!("$clusterTime {what}")));
    let ValueRef::Document(given) = given else { return wrong("is a document") };
    let Some(ValueRef::Timestamp(time)) = given.get("clusterTime") else {
        return wrong("has a timestamp in clusterTime");
    };
    let now_seconds = now_millis() / 1000;
    if i64::from(time.seconds) > now_seconds.saturating_add(DRIFT_SECONDS_MAX) {
        return Err(Error::new(
            crate::codes::CLUSTER_TIME_FAILS_RATE_LIMITER,
            format!(
                "$clusterTime is at {} seconds, more than a year ahead of the server's {now_seconds}",
                time.seconds
            ),
        ));
    }
    commands.learn_cluster_time(Timestamp(time.as_u64()));
    Ok(())
}

impl CommandReply {
    /// The reply with `operationTime` and `$clusterTime`, as a member of a replica set sends it.
    #[must_use]
    pub fn with_times(self, commands: &Commands) -> Self {
        if !commands.is_replica_set() {
            return self;
        }
        let operation_time = commands.database().operation_time();
        let mut body: DocumentBuilder = self.document.into_builder();
        body.append_value("operationTime", &timestamp_value(operation_time));
        body.document("$clusterTime", |time| {
            time.append_value("clusterTime", &timestamp_value(commands.cluster_time()));
            time.document("signature", |signature| {
                // Nobody is authenticated: there is no key to sign with.
                let hash = Binary { subtype: 0, bytes: &[0; 20] };
                signature.append_ref("hash", ValueRef::Binary(hash)).append("keyId", 0i64);
            });
        });
        Self { document: body.build() }
    }
}
