//! The program: the gateway without filters of anybody's own.

use std::process::ExitCode;

use gatekeeper::Gateway;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Gateway::new().main()
}
