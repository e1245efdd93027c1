//! What a query says and means: expressions, filters, updates, projections, aggregation. Pure functions.
