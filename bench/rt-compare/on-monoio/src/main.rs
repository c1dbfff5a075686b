//! bench/floor's relay on monoio: `relay-on-monoio uring|uring-defer|epoll LISTEN UPSTREAM`.
//!
//! In scope: one thread, one upstream connection per client, `TCP_NODELAY` on both, a buffer of 4 KiB and a task for
//! each direction, as monoio's own interface suggests. The three drivers differ in nothing else.
//! Out of scope: deadlines, limits, and the traps of a cancelled operation: nothing here cancels one.

use monoio::io::{AsyncReadRent, AsyncWriteRent, AsyncWriteRentExt, Splitable};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

const BUFFER_BYTES: usize = 4096;
const RING_ENTRIES: u32 = 4096;
const ACCEPT_QUEUE: i32 = 16_384;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [driver, listen, upstream] = words.as_slice() else {
        eprintln!("relay-on-monoio: uring|uring-defer|epoll LISTEN UPSTREAM");
        return ExitCode::FAILURE;
    };
    match run(driver, listen, upstream) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("relay-on-monoio: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(driver: &str, listen: &str, upstream: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (listen, upstream) = (listen.parse()?, upstream.parse()?);
    let mut ring = io_uring::IoUring::builder();
    match driver {
        "uring" => {}
        "uring-defer" => {
            ring.setup_single_issuer().setup_defer_taskrun();
        }
        "epoll" => {
            let mut runtime = RuntimeBuilder::<LegacyDriver>::new().build()?;
            return Ok(runtime.block_on(serve(listen, upstream))?);
        }
        _ => return Err(format!("unknown driver {driver}").into()),
    }
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new().with_entries(RING_ENTRIES).uring_builder(ring).build()?;
    Ok(runtime.block_on(serve(listen, upstream))?)
}

async fn serve(listen: SocketAddr, upstream: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind_with_config(listen, &ListenerOpts::new().backlog(ACCEPT_QUEUE))?;
    loop {
        // Without a descriptor the client waits in the queue until a pair closes, as on bench/floor.
        let Ok((down, _)) = listener.accept().await else { continue };
        monoio::spawn(relay(down, upstream));
    }
}

async fn relay(down: TcpStream, upstream: SocketAddr) {
    // A failure means that a peer is gone, and the streams close as they are dropped.
    let Ok(up) = TcpStream::connect_addr(upstream).await else { return };
    for stream in [&down, &up] {
        let _ = stream.set_nodelay(true);
    }
    let (down_read, down_write) = down.into_split();
    let (up_read, up_write) = up.into_split();
    monoio::spawn(carry(down_read, up_write));
    carry(up_read, down_write).await;
}

/// Bytes in one direction, until one of the two sockets has no more to give or take.
async fn carry(mut from: impl AsyncReadRent, mut to: impl AsyncWriteRent) {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    loop {
        let (received, filled) = from.read(buffer).await;
        if !matches!(received, Ok(1..)) {
            break;
        }
        let (sent, empty) = to.write_all(filled).await;
        if sent.is_err() {
            break;
        }
        buffer = empty;
        buffer.clear();
    }
    let _ = to.shutdown().await;
}
