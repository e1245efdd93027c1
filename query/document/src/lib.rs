//! BSON as a value: order across types, key encoding, dotted paths, decimal arithmetic, extended JSON. No I/O.
