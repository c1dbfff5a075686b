"""Instructions per request with more workers than this machine has cores.

In scope: callgrind's count on the epoll rung, which must not grow with the number of workers. Out of scope: the counting
itself (callgrind), what it says about other machines (docs/performance.md).
"""

from .callgrind import http_case, instructions_per_request
from .proxies import CONF, RELEASE
from .sample import Sample

# Only a worker runs these.
WORKER_MARK = r"gatekeeper::worker::(session|exchange|tunnel|tcp)::"

# Workers look at their deadlines as time goes by, whoever asks for what; in runs of the same length that cancels out.
LASTING_S = 15.0


def measure_instructions(proxy, scenario, round_number, bench):
    """Instructions of all workers per request, the requests spread over 96 connections."""
    command = [RELEASE / "gatekeeper", "--cores", str(scenario.load.workers), "--driver", "epoll", CONF / "module.toml"]
    case = http_case(command, proxy.ports["http"], "/bench", scenario.load.connections)
    instructions = instructions_per_request(case, WORKER_MARK, bench.scratch / "callgrind", 3000, 9000, LASTING_S)
    return Sample(scenario.name, proxy.name, round_number, instructions=instructions)
