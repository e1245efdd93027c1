//! sheafd over gRPC. The rows bear the names of the peer that they stand beside: a point read and one-document inserts as
//! PostgreSQL's, a streamed find beside the bare gRPC stream, which is what the transport alone could do.
use crate::{chan_to, join, M};
use anyhow::Result;
use bytes::Bytes;
use common::*;
use sheaf_proto::v1::{self, document_service_client::DocumentServiceClient};
use std::time::{Duration, Instant};
use tonic::transport::Channel;

type Client = DocumentServiceClient<Channel>;
/// Documents that reads find, as many as PostgreSQL's table has rows.
const STORED: i64 = 50_000;
/// Documents of one streamed find, as many as messages of the bare stream.
const STREAMED: i64 = 10_000;

fn bson(id: i64) -> Result<Bytes> {
    Ok(Bytes::from(bson2::to_vec(&common::doc_to_bson!(bson2, &corpus::doc(id)))?))
}
async fn insert(c: &mut Client, into: &str, ids: impl Iterator<Item = i64>, durability: v1::Durability) -> Result<()> {
    let operations = ids
        .map(|id| {
            let insert = v1::InsertOperation { document: bson(id)? };
            Ok(v1::WriteOperation { operation: Some(v1::write_operation::Operation::Insert(insert)) })
        })
        .collect::<Result<Vec<_>>>()?;
    let request = v1::WriteRequest {
        database: "bench".into(),
        collection: into.into(),
        operations,
        durability: durability.into(),
        ..Default::default()
    };
    let reply = c.write(request).await?.into_inner();
    let inserted = |r: &v1::WriteResult| matches!(r.outcome, Some(v1::write_result::Outcome::Insert(_)));
    anyhow::ensure!(reply.results.iter().all(inserted), "a document was not inserted");
    Ok(())
}
async fn get(c: &mut Client, id: i64) -> Result<()> {
    let request = v1::GetRequest {
        database: "bench".into(),
        collection: "netdocs".into(),
        key: Bytes::from(bson2::to_vec(&bson2::doc! {"_id": id})?),
        ..Default::default()
    };
    let reply = c.get(request).await?.into_inner();
    anyhow::ensure!(reply.document.len() > 300, "a short document");
    Ok(())
}
async fn find(c: &mut Client, n: i64) -> Result<u64> {
    let query = v1::Query { limit: n, ..Default::default() };
    let request =
        v1::FindRequest { database: "bench".into(), collection: "netdocs".into(), query: Some(query), ..Default::default() };
    let mut stream = c.find(request).await?.into_inner();
    let mut found = 0;
    while let Some(m) = stream.message().await? {
        found += m.documents.len() as u64;
    }
    anyhow::ensure!(found == n as u64, "{found} of {n} documents");
    Ok(found)
}
async fn client(url: &str) -> Result<Client> {
    Ok(Client::new(chan_to(url).await?).max_decoding_message_size(20 << 20))
}

/// `url`: where sheafd serves gRPC.
pub async fn run(url: &str, pid: u32, secs: f64) -> Result<()> {
    let d = Duration::from_secs_f64(secs);
    let mut c0 = client(url).await?;
    for b in 0..STORED / 1000 {
        insert(&mut c0, "netdocs", b * 1000..(b + 1) * 1000, v1::Durability::Written).await?;
    }
    let rows = [
        ("pg_select1_jsonb", None),
        ("pg_insert_jsonb", Some(v1::Durability::Written)),
        ("pg_insert_jsonb_fsync", Some(v1::Durability::Synced)),
    ];
    for (wl, durability) in rows {
        for conc in [1usize, 8, 64] {
            let into = format!("netins{wl}{conc}");
            let mut clients = vec![];
            for _ in 0..conc {
                clients.push(client(url).await?);
            }
            let m = M::new(pid);
            let hs = clients
                .into_iter()
                .enumerate()
                .map(|(i, mut c)| {
                    let into = into.clone();
                    tokio::spawn(async move {
                        let (mut h, mut k) = (Hist::new(), 0u64);
                        let mut r = Rng::new(i as u64 + 5);
                        let end = Instant::now() + d;
                        let mut lap = Lap::start();
                        loop {
                            match durability {
                                None => get(&mut c, r.below(STORED as u64) as i64).await?,
                                Some(durability) => {
                                    let id = ((i as i64) << 40) + k as i64;
                                    insert(&mut c, &into, id..id + 1, durability).await?
                                }
                            }
                            k += 1;
                            if lap.lap(&mut h) >= end {
                                return Ok((h, k));
                            }
                        }
                    })
                })
                .collect();
            let (h, k) = join(hs).await?;
            m.done("sheaf", wl, conc, conc, k, &h);
        }
    }
    for conc in [1usize, 8] {
        let m = M::new(pid);
        let hs = (0..conc)
            .map(|_| {
                let mut c = c0.clone();
                tokio::spawn(async move {
                    let (mut h, mut n) = (Hist::new(), 0);
                    let end = Instant::now() + d;
                    let mut lap = Lap::start();
                    loop {
                        n += find(&mut c, STREAMED).await?;
                        if lap.lap(&mut h) >= end {
                            return Ok((h, n));
                        }
                    }
                })
            })
            .collect();
        let (h, n) = join(hs).await?;
        m.done("sheaf", "server_stream_1k", conc, 1, n, &h);
    }
    Ok(())
}
