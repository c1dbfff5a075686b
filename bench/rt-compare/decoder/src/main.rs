//! monoio-http's HTTP/1.1 decoder, asked about other people's messages.
//!
//! `decode-with-monoio-http corpus FOLDER` prints one line per case of tests/corpus: kind, name, the verdict that is
//! right, the one found, and the one found when the bytes arrive one at a time, separated by tabs.
//! `decode-with-monoio-http serve PORT` is its decoder behind a socket, in the way of its own example: it prints what
//! it makes of each request and answers nothing.
//!
//! In scope: its answers in the words of the corpus. Out of scope: which of them is right; bench/rt-compare/run tells.

mod cases;
mod verdict;

use monoio::io::stream::Stream;
use monoio::net::{TcpListener, TcpStream};
use monoio_http::h1::codec::decoder::RequestDecoder;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["corpus", folder] => corpus(Path::new(folder)),
        ["serve", port] => serve(port),
        ["clone"] => {
            println!("{}", monoio_http::h1::codec::decoder::DecodeError::Header.clone());
            Ok(())
        }
        _ => Err("usage: corpus FOLDER | serve PORT | clone".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("decode-with-monoio-http: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn corpus(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // A case that panics says so in its verdict.
    std::panic::set_hook(Box::new(|_| {}));
    for kind in ["requests", "responses", "chunked"] {
        for case in cases::read(&folder.join(kind))? {
            let (whole, in_pieces) = verdict::both(kind, &case.bytes);
            println!("{kind}\t{}\t{}\t{whole}\t{in_pieces}", case.name, case.expected);
        }
    }
    Ok(())
}

fn serve(port: &str) -> Result<(), Box<dyn std::error::Error>> {
    let address = format!("127.0.0.1:{port}");
    let mut runtime = monoio::RuntimeBuilder::<monoio::IoUringDriver>::new().build()?;
    runtime.block_on(async move {
        let listener = TcpListener::bind(address)?;
        println!("ready");
        loop {
            let (stream, _) = listener.accept().await?;
            monoio::spawn(listen_to(stream));
        }
    })
}

async fn listen_to(stream: TcpStream) {
    let mut decoder = RequestDecoder::new(stream);
    loop {
        match decoder.next().await {
            None => return println!("end"),
            Some(Err(fault)) => return println!("refused {fault}"),
            Some(Ok(request)) => println!("request {} {}", request.method(), request.uri()),
        }
    }
}
