//! The plan's JSON: a versioned form of its own, apart from the inner types, so that both can change. No I/O.
