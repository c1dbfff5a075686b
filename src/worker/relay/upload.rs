//! The client's half of an exchange: its request body on the way up, then watching whether it stays.
//!
//! Bodies stream: one buffer in hand, the next receive only when it was sent, so a slow upstream slows the
//! client. Every chunk line that goes up is our own. Out of scope: the answer (`answer`).

use std::future::{pending, poll_fn};
use std::task::Poll;

use super::converse::Talk;
use super::pace::Pace;
use crate::end::End;
use crate::proto::chunked::{CHUNK_END, Decoder, put_chunk_head, put_last_chunk};
use crate::proto::head::Body;
use crate::worker::io::{Received, Sender};
use crate::worker::session::downstream::Source;
use crate::worker::shard::buffer::{Class, Lease};

/// What of a request's body is still to come.
pub enum Upload {
    /// Nothing.
    Done,
    /// This many bytes.
    Length(u64),
    /// Chunks, of which this many bytes were data so far.
    Chunked(Decoder, u64),
}

impl Upload {
    /// The upload of a body framed like this.
    #[must_use]
    pub fn new(body: Body, trailers: bool) -> Self {
        match body {
            Body::None | Body::Length(0) => Self::Done,
            Body::Length(length) => Self::Length(length),
            Body::Chunked => Self::Chunked(Decoder::new(trailers), 0),
        }
    }

    /// Whether the whole body has gone.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The class of buffer that suits what comes next.
    fn class(&self) -> Class {
        match self {
            Self::Length(remaining) => Class::for_body(*remaining),
            Self::Done | Self::Chunked(..) => Class::Large,
        }
    }

    /// Takes body bytes from the front of `bytes`, leaving their data at its front. What is not taken
    /// belongs to the next request.
    ///
    /// # Errors
    /// `End::BadChunk`, `End::BodyTooLarge`, `End::HeadTooLarge` (trailers).
    pub fn take(&mut self, bytes: &mut [u8], body_bytes_max: u64) -> Result<Piece, End> {
        let piece = match self {
            Self::Done => Piece { taken: 0, data: 0, done: true },
            Self::Length(remaining) => {
                let taken = bytes.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
                *remaining -= taken as u64;
                Piece { taken, data: taken, done: *remaining == 0 }
            }
            Self::Chunked(decoder, total) => {
                let decoded = decoder.decode(bytes)?;
                *total += decoded.data as u64;
                if body_bytes_max > 0 && *total > body_bytes_max {
                    return Err(End::BodyTooLarge);
                }
                Piece { taken: decoded.consumed, data: decoded.data, done: decoded.finished }
            }
        };
        Ok(piece)
    }

    /// As `take`, appending to `out` what goes on. Says how many bytes were taken.
    ///
    /// # Errors
    /// As `take`.
    pub fn step(&mut self, bytes: &mut [u8], out: &mut Vec<u8>, body_bytes_max: u64) -> Result<usize, End> {
        let piece = self.take(bytes, body_bytes_max)?;
        match self {
            Self::Done | Self::Length(_) => out.extend_from_slice(&bytes[..piece.data]),
            Self::Chunked(decoder, _) => {
                put_chunk(out, &bytes[..piece.data]);
                if piece.done {
                    put_last_chunk(out, decoder.trailers());
                }
            }
        }
        if piece.done {
            *self = Self::Done;
        }
        Ok(piece.taken)
    }
}

/// What was taken of the bytes in hand.
pub struct Piece {
    /// Bytes consumed.
    pub taken: usize,
    /// Bytes of data, now at the front.
    pub data: usize,
    /// The body is complete.
    pub done: bool,
}

/// One chunk of our own around the data; none around nothing, which would end the body.
pub fn put_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        put_chunk_head(out, data.len());
        out.extend_from_slice(data);
        out.extend_from_slice(CHUNK_END);
    }
}

/// Sends the rest of the body up, then watches the client. Ends only when the exchange must.
pub async fn client_half(source: &mut Source, up: &mut Sender, upload: &mut Upload, talk: &Talk<'_>) -> End {
    if !upload.is_done() {
        // Most requests are whole by now: sessions carry no room for the others' way.
        match Box::pin(send_rest(source, up, upload, talk)).await {
            Ok(()) => {}
            Err(Stop::Client(end)) => return end,
            // The upstream takes no more, maybe because it has answered: the answer decides.
            Err(Stop::Upstream) => return pending().await,
        }
    }
    if !talk.uploaded.replace(true) {
        talk.sent_us.set(talk.shard.clock.now_us());
    }
    source.watch(talk.terms.half_close_grace_ms, &talk.progress).await
}

/// Sends the rest once there is word to send it: `100 Continue`, or the wait for it is over.
async fn send_rest(source: &mut Source, up: &mut Sender, upload: &mut Upload, talk: &Talk<'_>) -> Result<(), Stop> {
    poll_fn(|_| if talk.go.get() { Poll::Ready(()) } else { Poll::Pending }).await;
    while !upload.is_done() {
        send_next(source, up, upload, talk).await?;
    }
    Ok(())
}

/// The next bytes of a body.
///
/// # Errors
/// `End::ClientTruncated`, `End::BodyTimeout`, `End::BodyTooSlow`.
pub async fn receive_body(source: &mut Source, class: Class, pace: &Pace) -> Result<Lease, End> {
    source.reading.arm(pace.wait_ms());
    let since_ms = source.reading.now_ms();
    let received = source.next_in_time(class).await;
    let bytes = if let Some(Received::Data(lease)) = &received { lease.bytes().len() } else { 0 };
    pace.count(source.reading.now_ms() - since_ms, bytes);
    match received {
        Some(Received::Data(lease)) => Ok(lease),
        Some(Received::End | Received::Broken) => Err(End::ClientTruncated),
        None if pace.is_missed() => Err(End::BodyTooSlow),
        None => Err(End::BodyTimeout),
    }
}

enum Stop {
    Client(End),
    Upstream,
}

async fn send_next(source: &mut Source, up: &mut Sender, upload: &mut Upload, talk: &Talk<'_>) -> Result<(), Stop> {
    let mut lease = receive_body(source, upload.class(), &talk.body_pace).await.map_err(Stop::Client)?;
    let out = pass_on(source, upload, &mut lease, talk).map_err(Stop::Client)?;
    let sent = up.send(out.unwrap_or(lease), &source.reading, talk.terms.body_timeout_ms).await;
    sent.map(drop).map_err(|fault| if fault.late { Stop::Client(End::UpstreamWriteTimeout) } else { Stop::Upstream })
}

/// What goes up of the bytes in hand: the lease itself where its bytes go on as they are, else another.
fn pass_on(source: &mut Source, upload: &mut Upload, lease: &mut Lease, talk: &Talk<'_>) -> Result<Option<Lease>, End> {
    if let Upload::Length(remaining) = upload
        && lease.bytes().len() as u64 <= *remaining
    {
        *remaining -= lease.bytes().len() as u64;
        if *remaining == 0 {
            *upload = Upload::Done;
        }
        return Ok(None);
    }
    let mut out = talk.shard.buffers.lease(Class::for_bytes(lease.bytes().len() as u64 * 2));
    let taken = upload.step(lease.bytes_mut(), out.vec(), talk.terms.body_bytes_max)?;
    if taken < lease.bytes().len() {
        let mut rest = talk.shard.buffers.lease(Class::Small);
        rest.append(&lease.bytes()[taken..]);
        source.put_back(rest);
    }
    Ok(Some(out))
}
