//! The sheaf command line: import, export, query, inspect.
