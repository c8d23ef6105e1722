//! The integration tests of the C interface of Extism 1.x, one binary. They call the functions of the header.

mod front_door;
