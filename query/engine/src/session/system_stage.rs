//! Stages that read the system instead of a collection's documents. They read it when the pipeline starts.

use sheaf_document::{DocumentBuilder, RawDocument, RawDocumentBuf, Value};

use super::Session;
use super::aggregate::base_collection;
use super::stage_arguments as arguments;
use crate::catalog::{CollectionOptions, measurement_specification};
use crate::operation::{CollectionKind, CollectionStatistics, SystemSource};
use crate::{Error, Namespace, Result, error_code};

impl Session {
    /// The documents of a system stage, of a pipeline on a collection or on a database.
    pub(super) fn system_documents(
        &self,
        name: &str,
        stage: RawDocument<'_>,
        (namespace, is_collection): (&Namespace, bool),
        source: Option<SystemSource<'_>>,
    ) -> Result<Vec<RawDocumentBuf>> {
        let ask = |argument| source.map_or_else(|| Ok(Vec::new()), |source| source.0(name, argument));
        let argument = arguments::document(&stage, name)?;
        match name {
            "$collStats" => {
                let figures = arguments::collection_figures(argument)?;
                demand_collection(name, is_collection)?;
                self.collection_figures(namespace, &figures, source)
            }
            "$indexStats" => {
                arguments::flags(name, argument, &[])?;
                demand_collection(name, is_collection)?;
                self.index_figures(namespace)
            }
            "$planCacheStats" => {
                arguments::flags(name, argument, &["allHosts"])?;
                demand_collection(name, is_collection)?;
                self.cached_plans(argument, namespace)
            }
            "$querySettings" => {
                demand_database(name, is_collection, error_code::INVALID_NAMESPACE.0)?;
                arguments::flags(name, argument, &["showDebugQueryShape"])?;
                ask(argument)
            }
            "$listClusterCatalog" => {
                demand_database(name, is_collection, 9_621_301)?;
                arguments::flags(name, argument, &["shards", "balancingConfiguration", "tracked"])?;
                self.cluster_catalog(namespace.database())
            }
            "$currentOp" => {
                demand_database(name, is_collection, error_code::INVALID_NAMESPACE.0)?;
                arguments::current_op(argument)?;
                demand_admin(name, namespace)?;
                ask(argument)
            }
            "$listLocalSessions" | "$listSessions" => {
                arguments::sessions(name, argument)?;
                // What a server writes down every few minutes is nothing here: sessions are kept in memory.
                let is_local = name == "$listLocalSessions";
                let all = if is_local { self.database().list_logical_sessions() } else { Vec::new() };
                let names_users = argument.get("users").is_some();
                Ok(all.into_iter().filter(|_| !names_users).map(session_document).collect())
            }
            other => Err(Error::not_supported(format_args!("the stage {other}"))),
        }
    }

    fn collection_figures(
        &self,
        namespace: &Namespace,
        figures: &arguments::CollectionFigures,
        source: Option<SystemSource<'_>>,
    ) -> Result<Vec<RawDocumentBuf>> {
        let Some(collection) = self.find_collection(namespace) else {
            return if figures.storage || figures.count {
                Err(Error::new(
                    error_code::NAMESPACE_NOT_FOUND,
                    format!("there is no collection {namespace} to be measured"),
                ))
            } else {
                Ok(vec![self.figures_head(namespace).build()])
            };
        };
        if collection.options.view_on.is_some() && (figures.storage || figures.count) {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{namespace} is a view and cannot be measured"),
            ));
        }
        let mut out = self.figures_head(namespace);
        if figures.latency {
            out.append("latencyStats", latencies(namespace, source)?);
        }
        if figures.storage || figures.count {
            let measured = self.collection_statistics(namespace)?;
            let count = Value::Int32(i32::try_from(measured.documents).unwrap_or(i32::MAX));
            if figures.storage {
                storage_figures(&measured, &count, figures.scale, &collection.options, &mut out);
            }
            if figures.count {
                out.append_value("count", &count);
            }
        }
        if figures.executions {
            out.document("queryExecStats", |executions| {
                executions.document("collectionScans", |scans| {
                    scans.append("total", 0i64).append("nonTailable", 0i64);
                });
            });
        }
        Ok(vec![out.build()])
    }

    fn figures_head(&self, namespace: &Namespace) -> DocumentBuilder {
        let mut out = DocumentBuilder::new();
        out.append("ns", namespace.to_string())
            .append("host", HOST)
            .append("localTime", Value::DateTime(self.database().now_millis()));
        out
    }

    /// The plan cache of a collection, that behind it if it is a view.
    fn cached_plans(&self, argument: RawDocument<'_>, namespace: &Namespace) -> Result<Vec<RawDocumentBuf>> {
        if arguments::is_set(argument, "allHosts") {
            let message = "allHosts is for a sharded cluster, which this is not";
            return Err(Error::location(ALL_HOSTS_UNSHARDED, message));
        }
        match base_collection(&self.catalog_state(), namespace, true) {
            Some(collection) => Ok(collection.plan_cache.list(HOST)),
            None => Err(Error::location(NO_PLAN_CACHE, format!("there is no collection {namespace}"))),
        }
    }

    fn index_figures(&self, namespace: &Namespace) -> Result<Vec<RawDocumentBuf>> {
        let Some(collection) = self.find_collection(namespace) else { return Ok(Vec::new()) };
        if collection.options.view_on.is_some() {
            return Err(Error::new(
                error_code::COMMAND_NOT_SUPPORTED_ON_VIEW,
                format!("{namespace} is a view and has no indexes"),
            ));
        }
        let series = collection.time_series()?;
        let figures = |index: &std::sync::Arc<crate::index::Index>| {
            let specification = match &series {
                Some(series) => measurement_specification(series, &index.specification),
                None => index.specification.to_document(),
            };
            let mut out = DocumentBuilder::new();
            out.append("name", index.specification.name.as_str());
            if let Some(key) = specification.as_raw().get("key") {
                out.append_ref("key", key);
            }
            out.append("host", HOST);
            out.document("accesses", |accesses| {
                let operations = i64::try_from(index.usage.operations()).unwrap_or(i64::MAX);
                let since = Value::DateTime(index.usage.since_millis());
                accesses.append("ops", operations).append_value("since", &since);
            });
            out.append("spec", specification);
            out.build()
        };
        Ok(collection.listed_indexes().map(figures).collect())
    }

    fn cluster_catalog(&self, database: &str) -> Result<Vec<RawDocumentBuf>> {
        let state = self.catalog_state();
        let names: Vec<&str> = if database == "admin" { state.databases().collect() } else { vec![database] };
        let mut found = Vec::new();
        for name in names {
            for info in self.list_collections(name)? {
                let mut out = DocumentBuilder::new();
                out.append("db", name).append("ns", format!("{name}.{}", info.name));
                out.append(
                    "type",
                    match info.kind {
                        CollectionKind::Collection => "collection",
                        CollectionKind::View => "view",
                        CollectionKind::TimeSeries => "timeseries",
                    },
                );
                out.append("options", info.options);
                out.document("info", |own| {
                    own.append("readOnly", info.kind == CollectionKind::View);
                    if let Some(uuid) = info.uuid {
                        own.append("uuid", Value::Binary { subtype: 4, bytes: uuid.to_vec().into() });
                    }
                });
                if let Some(index) = info.id_index {
                    out.append("idIndex", index);
                }
                out.append("sharded", false);
                found.push(out.build());
            }
        }
        Ok(found)
    }
}

/// The name of this machine in figures: an embedded database has none of its own.
const HOST: &str = "localhost";

/// How long operations on a collection took, as the caller counted them; nothing was counted without one.
fn latencies(namespace: &Namespace, source: Option<SystemSource<'_>>) -> Result<RawDocumentBuf> {
    let mut asked = DocumentBuilder::new();
    asked.append("ns", namespace.to_string());
    let counted = source.map(|source| source.0("$collStats", asked.build().as_raw())).transpose()?;
    if let Some(counted) = counted.and_then(|mut counted| counted.pop()) {
        return Ok(counted);
    }
    let mut none = DocumentBuilder::new();
    for kind in ["reads", "writes", "commands", "transactions"] {
        none.document(kind, |counters| {
            counters.append("latency", 0i64).append("ops", 0i64);
            counters.append("queryableEncryptionLatencyMicros", 0i64);
        });
    }
    Ok(none.build())
}

/// The errors of `$planCacheStats` on a server that is no part of a sharded cluster, and without a collection.
const ALL_HOSTS_UNSHARDED: i32 = 4_503_200;
const NO_PLAN_CACHE: i32 = 50_933;

fn demand_collection(name: &str, is_collection: bool) -> Result<()> {
    if is_collection {
        return Ok(());
    }
    Err(Error::new(
        error_code::INVALID_NAMESPACE,
        format!("{name} needs a collection; this pipeline is on a database"),
    ))
}

fn demand_database(name: &str, is_collection: bool, code: i32) -> Result<()> {
    if !is_collection {
        return Ok(());
    }
    Err(Error::location(code, format!("{name} is for a database; this pipeline is on a collection")))
}

fn demand_admin(name: &str, namespace: &Namespace) -> Result<()> {
    if namespace.database() == "admin" {
        return Ok(());
    }
    Err(Error::new(error_code::INVALID_NAMESPACE, format!("{name} is for the database \"admin\" only")))
}

/// The `storageStats` of `$collStats`, bytes divided by `scale`.
fn storage_figures(
    measured: &CollectionStatistics,
    count: &Value<'_>,
    scale: i64,
    options: &CollectionOptions,
    out: &mut DocumentBuilder,
) {
    let scaled = |bytes: u64| {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX) / scale;
        i32::try_from(bytes).map_or(Value::Int64(bytes), Value::Int32)
    };
    let index_bytes: u64 = measured.indexes.iter().map(|index| index.bytes).sum();
    out.document("storageStats", |storage| {
        storage.append_value("size", &scaled(measured.document_bytes)).append_value("count", count);
        if let Some(average) = measured.document_bytes.checked_div(measured.documents) {
            storage.append_value("avgObjSize", &scaled(average * u64::try_from(scale).unwrap_or(1)));
        }
        storage
            .append("numOrphanDocs", 0)
            .append_value("storageSize", &scaled(measured.document_bytes))
            .append("freeStorageSize", 0)
            .append("capped", options.capped);
        if options.capped {
            let limit = |limit: Option<i64>| u64::try_from(limit.unwrap_or(0)).unwrap_or(0);
            let documents = limit(options.documents_max);
            storage
                .append_value("max", &i32::try_from(documents).map_or(Value::Int32(i32::MAX), Value::Int32))
                .append_value("maxSize", &scaled(limit(options.size_bytes)));
        }
        storage
            .append("nindexes", i32::try_from(measured.indexes.len()).unwrap_or(i32::MAX))
            .append("indexBuilds", Value::array(Vec::new()))
            .append_value("totalIndexSize", &scaled(index_bytes))
            .append_value("totalSize", &scaled(index_bytes + measured.document_bytes))
            .document("indexSizes", |sizes| {
                for index in &measured.indexes {
                    sizes.append_value(&index.name, &scaled(index.bytes));
                }
            })
            .append("scaleFactor", i32::try_from(scale).unwrap_or(i32::MAX));
    });
}

/// The hash that stands for nobody in the identity of a session: SHA-256 of nothing.
const NOBODY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A session of a client as `$listLocalSessions` shows it.
fn session_document((id, last_use_millis): ([u8; 16], i64)) -> RawDocumentBuf {
    let mut out = DocumentBuilder::new();
    out.document("_id", |key| {
        key.append("id", Value::Binary { subtype: 4, bytes: id.to_vec().into() });
        key.append("uid", Value::Binary { subtype: 0, bytes: NOBODY.to_vec().into() });
    });
    out.append("lastUse", Value::DateTime(last_use_millis));
    out.build()
}
