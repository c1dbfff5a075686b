//! What the decoder makes of one message, in the words of the corpus.
//!
//! In scope: `none`, `length(N)`, `chunked`, `incomplete`, `data=…`, `refused`, `panic`.
//! Out of scope: whether the connection lives on; the decoder does not say.

use bytes::BytesMut;
use monoio_codec::{Decoded, Decoder};
use monoio_http::common::request::Request;
use monoio_http::common::response::Response;
use monoio_http::h1::codec::decoder::{
    ChannelWrapper, ChunkedBodyDecoder, FixedBodyDecoder, GenericHeadDecoder, NextDecoder, RequestHeadDecoder,
    ResponseHeadDecoder,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bodies longer than this are not told apart.
const LENGTH_MAX: usize = 4096;

/// The verdict on the bytes at once, and on the bytes one at a time.
pub(crate) fn both(kind: &str, bytes: &[u8]) -> (String, String) {
    let verdict = |step: usize| {
        catch_unwind(AssertUnwindSafe(|| match kind {
            "requests" => {
                head(GenericHeadDecoder::<Request, RequestHeadDecoder, ChannelWrapper>::default(), bytes, step)
            }
            "responses" => {
                head(GenericHeadDecoder::<Response, ResponseHeadDecoder, ChannelWrapper>::default(), bytes, step)
            }
            _ => chunked(bytes, step),
        }))
        .unwrap_or_else(|_| "panic".to_owned())
    };
    (verdict(bytes.len()), verdict(1))
}

type Next = NextDecoder<FixedBodyDecoder, ChunkedBodyDecoder, bytes::Bytes>;

/// Feeds a head, `step` bytes at a time, until the decoder decides.
fn head<M, D>(mut decoder: D, bytes: &[u8], step: usize) -> String
where
    D: Decoder<Item = (M, Next)>,
    D::Error: std::fmt::Display,
{
    let mut buffer = BytesMut::new();
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        match decoder.decode(&mut buffer) {
            Ok(Decoded::Some((_, NextDecoder::None))) => return "none".to_owned(),
            Ok(Decoded::Some((_, NextDecoder::Fixed(body, _)))) => return length(body),
            Ok(Decoded::Some((_, NextDecoder::Streamed(..)))) => return "chunked".to_owned(),
            Ok(_) => {}
            Err(fault) => return format!("refused: {fault}"),
        }
    }
    match buffer.len() == bytes.len() {
        true => "incomplete".to_owned(),
        // It waits for more, and some of what came is gone.
        false => "incomplete, bytes lost".to_owned(),
    }
}

/// How many bytes a body takes. The decoder keeps that to itself and is unchanged by a body that is too short.
fn length(mut body: FixedBodyDecoder) -> String {
    for bytes in 0..=LENGTH_MAX {
        if matches!(body.decode(&mut BytesMut::zeroed(bytes)), Ok(Decoded::Some(_))) {
            return format!("length({bytes})");
        }
    }
    format!("length(> {LENGTH_MAX})")
}

/// Feeds a chunked body likewise.
fn chunked(bytes: &[u8], step: usize) -> String {
    let mut decoder = ChunkedBodyDecoder::default();
    let mut buffer = BytesMut::new();
    let mut data = Vec::new();
    let mut fed = 0;
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        fed += piece.len();
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Decoded::Some(Some(chunk))) => data.extend_from_slice(&chunk),
                Ok(Decoded::Some(None)) => {
                    let data = format!("data={}", data.escape_ascii());
                    return match buffer.len() + bytes.len() - fed {
                        0 => data,
                        left => format!("{data} left={left}"),
                    };
                }
                Ok(_) => break,
                Err(fault) => return format!("refused: {fault}"),
            }
        }
    }
    "incomplete".to_owned()
}
