//! bench/floor's relay on glommio: `relay-on-glommio LISTEN UPSTREAM`.
//!
//! In scope: one executor, one upstream connection per client, `TCP_NODELAY` on both, a buffer of 4 KiB and a task for
//! each direction, as on monoio. The rings are as deep as the other relays'; all else is glommio's default.
//! Out of scope: deadlines, limits, shares and latency classes.

use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};
use std::net::SocketAddr;
use std::process::ExitCode;

const BUFFER_BYTES: usize = 4096;
const RING_ENTRIES: usize = 4096;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = words.as_slice() else {
        eprintln!("relay-on-glommio: LISTEN UPSTREAM");
        return ExitCode::FAILURE;
    };
    match run(listen, upstream) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("relay-on-glommio: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(listen: &str, upstream: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (listen, upstream) = (listen.parse()?, upstream.parse()?);
    // The process is pinned from outside, like every other.
    let executor = LocalExecutorBuilder::new(Placement::Unbound).ring_depth(RING_ENTRIES).make()?;
    executor.run(serve(listen, upstream))
}

async fn serve(listen: SocketAddr, upstream: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    // Its accept queue is 1,024 and cannot be chosen.
    let listener = TcpListener::bind(listen)?;
    loop {
        let Ok(down) = listener.accept().await else { continue };
        glommio::spawn_local(relay(down, upstream)).detach();
    }
}

async fn relay(down: TcpStream, upstream: SocketAddr) {
    let Ok(up) = TcpStream::connect(upstream).await else { return };
    for stream in [&down, &up] {
        let _ = stream.set_nodelay(true);
    }
    let (down_read, down_write) = split(down);
    let (up_read, up_write) = split(up);
    glommio::spawn_local(carry(down_read, up_write)).detach();
    carry(up_read, down_write).await;
}

/// Bytes in one direction, until one of the two sockets has no more to give or take.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..bytes]).await.is_err() {
            break;
        }
    }
    let _ = to.close().await;
}
