//! Writing documents: each with its index entries, in one transaction.
//!
//! A write reads at its transaction's snapshot and puts effects (keys and values) into it. If another transaction
//! committed one of these keys meanwhile, the commit conflicts and the whole evaluation runs again on a newer
//! snapshot; callers never see that ([`write::retrying`]).

mod arrivals;
mod capped;
mod change;
mod delete;
mod document_id;
mod document_write;
mod duplicate;
mod find_and_modify;
mod insert;
mod matching;
mod merge_into;
mod time_series;
mod update;
mod update_pipeline;
mod validate;
pub(crate) mod write;
mod write_out;

pub(crate) use arrivals::Arrivals;
pub(crate) use capped::documents as capped_documents;
pub(crate) use duplicate::duplicate_key;
pub(crate) use time_series::OpenBuckets;
