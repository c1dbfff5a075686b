//! Every fault at once, each where it stands and with what to do.
