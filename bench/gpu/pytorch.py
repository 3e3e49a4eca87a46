"""The workload in PyTorch, for bench.lua.

For each line `MODE CALLS` read it runs so many calls and prints the microseconds
of one, or `fail` and why.
"""
import sys
import time

import torch

N = 16


def work(x):
    side = torch.cuda.Stream()
    event = torch.cuda.Event()
    with torch.cuda.stream(side):
        y = x + 1
        event.record()
    event.wait()
    return y * 2


def make(mode):
    if mode == "eager":
        return work
    torch._dynamo.reset()
    if mode == "compile-eager":
        return torch.compile(work, backend="eager", fullgraph=True)
    if mode == "inductor":
        return torch.compile(work, backend="inductor", fullgraph=True)
    return torch.compile(work, mode="reduce-overhead", fullgraph=True)


def main():
    x = torch.arange(1, N + 1, dtype=torch.float32, device="cuda")
    expected = (x + 1) * 2
    torch.cuda.synchronize()
    print("torch", torch.__version__, flush=True)
    functions, failed = {}, {}
    for line in sys.stdin:
        mode, calls = line.split()
        calls = int(calls)
        try:
            if mode in failed:
                raise RuntimeError(failed[mode])
            if mode not in functions:
                functions[mode] = make(mode)
                for _ in range(50):
                    functions[mode](x)
                torch.cuda.synchronize()
            f = functions[mode]
            start = time.perf_counter()
            for _ in range(calls):
                z = f(x)
            torch.cuda.synchronize()
            took = time.perf_counter() - start
            if not torch.equal(z, expected):
                raise RuntimeError("the result is wrong")
            print("%.4f" % (took / calls * 1e6), flush=True)
        except Exception as error:  # any of the compiler's
            failed[mode] = " ".join(str(error).split())[:300]
            print("fail", failed[mode], flush=True)


main()
