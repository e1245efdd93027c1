//! sheafd: the doors of the database (gRPC, HTTP), configuration, shutdown.
