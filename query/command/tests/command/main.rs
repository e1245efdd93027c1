//! Commands from outside: documents in, replies out.

mod arguments;
mod table;
