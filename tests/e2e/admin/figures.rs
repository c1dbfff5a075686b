//! What is counted is what took place.
