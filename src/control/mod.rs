//! ROOM 5.
