//! The inventory: what the user wrote. Reading is in `load` and `secrets`; everything else is pure.

pub mod model;
