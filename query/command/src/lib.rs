//! A raw command document and a session in, a reply or a cursor out.
