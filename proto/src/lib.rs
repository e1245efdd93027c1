//! Wire contracts of SheafDB: the sheaf.v1 messages and services, and no logic.
