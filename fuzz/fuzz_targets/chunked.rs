//! A chunked body: one outcome at any split, and the trailers kept are whole field lines.
#![no_main]

use gatekeeper::end::End;
use gatekeeper::proto::chunked::Decoder;
use libfuzzer_sys::fuzz_target;

type Outcome = Result<(Vec<u8>, Vec<u8>, usize, bool), End>;

fn decode<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut decoder = Decoder::new(true);
    let (mut data, mut consumed, mut finished) = (Vec::new(), 0, false);
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let step = decoder.decode(&mut bytes)?;
        data.extend_from_slice(&bytes[..step.data]);
        consumed += step.consumed;
        finished = step.finished;
        if finished {
            break;
        }
        assert_eq!(step.consumed, piece.len());
    }
    Ok((data, decoder.trailers().to_vec(), consumed, finished))
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = decode([bytes]);
    assert_eq!(decode(bytes.chunks(usize::from(size).max(1))), whole);
    let Ok((_, trailers, ..)) = whole else { return };
    let mut lines = trailers;
    lines.extend_from_slice(b"\r\n");
    let mut storage = [httparse::EMPTY_HEADER; 128];
    assert!(httparse::parse_headers(&lines, &mut storage).expect("field lines").is_complete());
});
