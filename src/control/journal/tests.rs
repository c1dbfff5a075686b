//! Files, rotation and forms, without a gateway.
