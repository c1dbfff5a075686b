"""A collector of spans: takes OTLP over HTTP, decodes it with the official messages, prints each span as JSON.

Prints its port first. Arguments are what it answers to one export after the other: a status, `hang` for no answer
within a minute, or `slow` for one after a second; the last one holds for all that follow.
"""

import http.server
import json
import sys
import threading
import time

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

SCRIPT = sys.argv[1:] or ["200"]
LOCK = threading.Lock()
ASKED = [0]


def parts(message):
    """The message and every message in it."""
    yield message
    for field, content in message.ListFields():
        if field.message_type:
            for part in content if field.is_repeated else [content]:
                yield from parts(part)


def value(any_value):
    return getattr(any_value, any_value.WhichOneof("value"))


def attributes(pairs):
    return {pair.key: value(pair.value) for pair in pairs}


def spans(message):
    for resource in message.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "resource": attributes(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "flags": span.flags,
                    "name": span.name,
                    "kind": span.kind,
                    "start_ns": span.start_time_unix_nano,
                    "end_ns": span.end_time_unix_nano,
                    "attributes": attributes(span.attributes),
                    "events": {event.name: event.time_unix_nano for event in span.events},
                    "status": span.status.code,
                    "message": span.status.message,
                }


class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with LOCK:
            word = SCRIPT[min(ASKED[0], len(SCRIPT) - 1)]
            ASKED[0] += 1
        if word == "hang":
            time.sleep(60)
            return
        if word == "slow":
            time.sleep(1)
        status = int(word) if word.isdigit() else 200
        if status == 200:
            message = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            unknown = any(len(UnknownFieldSet(part)) for part in parts(message))
            with LOCK:
                for span in spans(message):
                    fields = {name.lower(): text for name, text in self.headers.items()}
                    print(json.dumps({**span, "fields": fields, "path": self.path, "unknown": unknown}), flush=True)
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
print(server.server_address[1], flush=True)
# Ends with whoever started it.
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
