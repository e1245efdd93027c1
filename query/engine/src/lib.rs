//! The embedded database: catalog, collections, indexes, planner, executor, sessions.
